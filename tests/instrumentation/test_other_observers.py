"""What stands beside the observer is served as without it: observers, handlers, processors."""

import asyncio
import dataclasses
import functools
import gc
import sys
from collections import Counter
from typing import Any

import pytest
from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    TextFrame,
    UserAudioRawFrame,
)
from pipecat.observers.base_observer import BaseObserver, FrameProcessed, FramePushed
from pipecat.pipeline.pipeline import Pipeline
from pipecat.processors.frame_processor import (
    FrameDirection,
    FrameProcessor,
    FrameProcessorSetup,
)

from pipecat_dd import DatadogObserver
from pipecat_dd.cli.demo.versions import PipelineWorker
from pipecat_dd.conversation.context import current_context
from tests.reliability.test_odd_bots import Last, Over
from tests.support.agent import TestAgent
from tests.support.calls import AUDIO, Call


class Recording(BaseObserver):
    """Notes each event."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.seen: list[str] = []

    async def on_process_frame(self, data: FrameProcessed) -> None:
        self.seen.append(f"{_kind(data.processor)} processes {data.frame.__class__.__name__}")

    async def on_push_frame(self, data: FramePushed) -> None:
        first = getattr(data, "first_push", None)
        self.seen.append(f"{_kind(data.source)} pushes {data.frame.__class__.__name__} {first}")


def _kind(processor: FrameProcessor) -> str:
    return type(processor).__name__


class Passing(FrameProcessor):
    """Passes frames on."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)


class Running(Call):
    """A pipeline at work; use as an async context manager."""

    def __init__(self, *observers: BaseObserver, processors: tuple[FrameProcessor, ...]) -> None:
        self._last = Last()
        self._running = None
        self.worker = PipelineWorker(
            Pipeline([*processors, self._last]),
            observers=list(observers),
            cancel_on_idle_timeout=False,
        )

    async def send(self, *frames: Frame) -> None:
        """Send frames, and wait until they and the observers' events are processed."""
        self._last.reached.clear()
        await self.worker.queue_frames([*frames, Over()])
        await asyncio.wait_for(self._last.reached.wait(), 20)
        for proxy in list(self.worker._observer._proxies.values()):
            await asyncio.wait_for(proxy.queue.join(), 20)


def _frames() -> tuple[Frame, ...]:
    return TextFrame("a"), InputAudioRawFrame(AUDIO, 16_000, 1), TextFrame("b")


@pytest.mark.parametrize("options", [{}, {"observe_every_push": False}])
async def test_other_observers_get_the_events_that_they_get_without_us(
    options: dict[str, Any],
) -> None:
    async def seen(*ours: BaseObserver) -> list[str]:
        given, late, passing = Recording(**options), Recording(**options), Recording(**options)
        async with Running(*ours, given, processors=(Passing(), Passing())) as running:
            await running.send(*_frames())
            running.worker.add_observer(late)
            running.worker.add_observer(passing)
            await running.send(*_frames())
            await running.worker.remove_observer(passing)
            gone = len(passing.seen)
            await running.send(*_frames())
            assert len(passing.seen) == gone
        assert late.seen
        # Which of two processors is first where both have something to do is up to the loop.
        return [f"{n} {what}" for one in (given, late, passing) for what, n in _counted(one)]

    assert await seen(DatadogObserver()) == await seen()


def _counted(recording: Recording) -> list[tuple[str, int]]:
    return sorted(Counter(recording.seen).items())


async def test_what_a_session_leaves_of_a_workers_observers_is_pipecats() -> None:
    observer, other = DatadogObserver(), Recording()
    passing = Passing()
    running = Running(observer, other, processors=(passing,))
    async with running:
        await running.send(*_frames())
        await running.worker.remove_observer(observer)
        before = len(other.seen)
        await running.send(*_frames())
        assert len(other.seen) > before
        proxy = running.worker._observer
        setup = getattr(passing, "_setup", None)
        assert getattr(setup, "observer", proxy) is proxy
        assert not [n for n, value in vars(proxy).items() if type(value).__name__ == "function"]


class Inner(Passing):
    """A processor that nothing but the user's own processor knows."""


class Holder(FrameProcessor):
    """Holds another processor, which Pipecat does not know of."""

    def __init__(self) -> None:
        super().__init__()
        self._held = Inner()

    async def setup(self, setup: FrameProcessorSetup) -> None:
        await super().setup(setup)
        await self._held.setup(setup)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        await self._held.process_frame(frame, direction)
        await self.push_frame(frame, direction)


async def test_a_processor_that_only_another_one_knows_is_found(agent: TestAgent) -> None:
    observer, other = DatadogObserver(frame_spans="all"), Recording()
    async with Running(observer, other, processors=(Holder(),)) as running:
        await running.send(*_frames())
        await running.send(*_frames())
    assert [s for s in agent.session(observer.session_id).spans if "Inner" in s.resource]
    assert "Inner processes TextFrame" in other.seen


async def test_a_handler_of_a_processors_frames_runs_for_each_whenever_it_was_added() -> None:
    passing = Passing()
    before: list[str] = []
    after: list[str] = []

    async def processes(_: FrameProcessor, frame: Frame) -> None:
        before.append(type(frame).__name__)

    async def pushed(_: FrameProcessor, frame: Frame) -> None:
        after.append(type(frame).__name__)

    passing.add_event_handler("on_before_process_frame", processes)
    async with Running(DatadogObserver(), processors=(passing,)) as running:
        await running.send(*_frames())
        passing.add_event_handler("on_after_push_frame", pushed)
        await running.send(*_frames())
    assert before.count("TextFrame") == 4
    assert before.count("InputAudioRawFrame") == 2
    assert after.count("TextFrame") == 2
    assert after.count("InputAudioRawFrame") == 1


@pytest.mark.skipif(
    sys.version_info >= (3, 13), reason="from Python 3.13 on a dictionary does not slow it down"
)
async def test_a_processor_gets_no_dictionary_of_its_attributes() -> None:
    class Small(Passing):
        """A class that no other test has made instances of."""

    def has_dictionary(one: FrameProcessor) -> bool:
        return any(type(h) is dict and "_event_handlers" in h for h in gc.get_referents(one))

    small = Small()
    async with Running(DatadogObserver(), processors=(small,)) as running:
        await running.send(*_frames())
        assert not has_dictionary(small)
    vars(small)
    assert has_dictionary(small)


class Pushes(BaseObserver):
    """Notes pushes only, as Pipecat's own observers do."""

    def __init__(self) -> None:
        super().__init__()
        self.pushed = 0
        self.processed = 0

    async def on_push_frame(self, data: FramePushed) -> None:
        self.pushed += 1


async def test_an_observer_that_takes_an_event_gets_it_however_it_takes_it() -> None:
    async def processes(data: FrameProcessed) -> None:
        assigned.processed += 1

    ignoring, assigned = Pushes(), Pushes()
    assigned.on_process_frame = processes  # type: ignore[method-assign]
    async with Running(DatadogObserver(), ignoring, assigned, processors=(Passing(),)) as running:
        await running.send(*_frames())
    assert assigned.processed >= 3 * 2
    assert ignoring.pushed == assigned.pushed >= 3 * 2


def test_pipecats_own_method_ignores_what_is_processed() -> None:
    # Observers that leave it at that do not get the event (`_pipecat/observers.py`).
    assert BaseObserver.on_process_frame.__code__.co_names == ()
    assert asyncio.run(BaseObserver().on_process_frame(None)) is None  # type: ignore[arg-type]


async def test_an_observer_whose_method_is_replaced_late_gets_the_events_from_then_on() -> None:
    async def processes(data: FrameProcessed) -> None:
        late.processed += 1

    late = Pushes()
    async with Running(DatadogObserver(), late, processors=(Passing(),)) as running:
        await running.send(*_frames())
        late.on_process_frame = processes  # type: ignore[method-assign]
        await running.send(*_frames())
        assert late.processed >= 3 * 2


async def test_an_observer_that_is_removed_gets_nothing_while_it_is_cleaned_up() -> None:
    class Slow(Recording):
        """Takes a while to be cleaned up."""

        async def cleanup(self) -> None:
            await super().cleanup()
            began.set()
            await go_on.wait()

    began, go_on, slow = asyncio.Event(), asyncio.Event(), Slow()
    async with Running(DatadogObserver(), slow, processors=(Passing(),)) as running:
        await running.send(*_frames())
        queue = running.worker._observer._proxies[slow].queue
        removing = asyncio.create_task(running.worker.remove_observer(slow))
        await asyncio.wait_for(began.wait(), 20)
        await running.send(*_frames())
        assert queue.qsize() == 0
        go_on.set()
        await removing


async def test_what_was_set_up_with_a_copy_reports_to_all_after_the_session() -> None:
    holder, spare = Passing(), Inner()
    observer, late = DatadogObserver(), Recording()
    async with Running(observer, processors=(holder,)) as running:
        await running.send(*_frames())
        await spare.setup(dataclasses.replace(holder._setup))  # type: ignore[type-var]
        spare._next = holder._next
        await running.worker.remove_observer(observer)
        running.worker.add_observer(late)
        await spare.push_frame(TextFrame("x"))
        await running.send(*_frames())
        await spare.cleanup()
    assert [what for what in late.seen if what.startswith("Inner pushes TextFrame")]


class Unknown(UserAudioRawFrame):
    """Audio whose user is looked up, which fails at times."""

    is_known = True

    def __str__(self) -> str:
        return self.name

    @property  # type: ignore[override]
    def user_id(self) -> str:
        if not self.is_known:
            raise LookupError("unknown")
        return ""

    @user_id.setter
    def user_id(self, value: str) -> None:
        pass


async def test_audio_whose_user_cannot_be_read_passes() -> None:
    seen: list[bool] = []

    class Sees(Passing):
        async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
            if isinstance(frame, Unknown):
                seen.append(frame.is_known)
            await super().process_frame(frame, direction)

    async with Running(DatadogObserver(), processors=(Passing(), Sees())) as running:
        for known in (True, False, False):
            frame = Unknown(audio=AUDIO, sample_rate=16_000, num_channels=1)
            frame.is_known = known
            await running.send(frame)
    assert seen == [True, False, False]


class Tracing(Passing):
    """Wraps its methods whenever they are looked up."""

    def __getattribute__(self, name: str) -> Any:
        found = object.__getattribute__(self, name)
        if name not in ("process_frame", "push_frame"):
            return found

        @functools.wraps(found)
        async def traced(*args: Any, **kwargs: Any) -> Any:
            return await found(*args, **kwargs)

        return traced


async def test_a_processor_that_wraps_what_is_looked_up_gets_its_methods_back() -> None:
    tracing, observer = Tracing(), DatadogObserver()
    async with Running(observer, processors=(tracing,)) as running:
        await running.send(*_frames())
        assert "push_frame" in vars(tracing)
        await running.worker.remove_observer(observer)
        assert not {"process_frame", "push_frame"} & set(vars(tracing))


async def test_a_method_whose_frame_has_another_name() -> None:
    class Other(Passing):
        async def push_frame(  # type: ignore[override]
            self, item: Frame, to: FrameDirection = FrameDirection.DOWNSTREAM
        ) -> None:
            await super().push_frame(item, to)

        async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
            await FrameProcessor.process_frame(self, frame, direction)
            await self.push_frame(item=frame, to=direction)

    other = Recording()
    async with Running(DatadogObserver(), other, processors=(Other(),)) as running:
        await running.send(*_frames())
    assert [what for what in other.seen if what.startswith("Other pushes TextFrame")]


@pytest.mark.parametrize("kind", [InputAudioRawFrame, TextFrame])
async def test_what_a_processor_does_after_one_that_it_holds_is_its_own(kind: type[Frame]) -> None:
    who: list[str] = []

    class Holds(Holder):
        async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
            await FrameProcessor.process_frame(self, frame, direction)
            await self._held.process_frame(frame, direction)
            work = current_context()
            if isinstance(frame, kind) and work is not None and work.processor is not None:
                who.append(work.processor.class_name)
            await self.push_frame(frame, direction)

    async with Running(DatadogObserver(), processors=(Holds(),)) as running:
        for _ in range(3):
            await running.send(*_frames())
    assert set(who) == {"Holds"}

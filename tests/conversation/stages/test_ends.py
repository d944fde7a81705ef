"""How a session ended: what its span says of that is what became of the pipeline."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
from pipecat.frames import frames
from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    ErrorFrame,
    Frame,
    StartFrame,
    StopFrame,
    TextFrame,
)
from pipecat.pipeline.parallel_pipeline import ParallelPipeline
from pipecat.pipeline.pipeline import Pipeline
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from pipecat_dd import DatadogObserver
from pipecat_dd.cli.demo.versions import PipelineWorker, WorkerRunner
from tests.support.agent import TestAgent
from tests.support.bot import Bot
from tests.support.shapes import watching
from tests.support.spans import Span, Trace
from tests.support.versions import PIPECAT, needs_pipecat


class Passes(FrameProcessor):
    """Passes everything on, and lets a test await a frame."""

    def __init__(self, *kinds: type[Frame], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kinds = kinds or (TextFrame,)
        self.saw = asyncio.Event()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, self.kinds):
            self.saw.set()
        await self.push_frame(frame, direction)


class Swallows(Passes):
    """Keeps what it waits for to itself."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await FrameProcessor.process_frame(self, frame, direction)
        if isinstance(frame, self.kinds):
            self.saw.set()
            return
        await self.push_frame(frame, direction)


class SwallowsAsItPushes(Swallows):
    """The same, where it is pushed."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await Passes.process_frame(self, frame, direction)

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        if not isinstance(frame, self.kinds):
            await super().push_frame(frame, direction)


class Hangs(Passes):
    """Never comes to the end of what it waits for."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await FrameProcessor.process_frame(self, frame, direction)
        if isinstance(frame, self.kinds):
            self.saw.set()
            await asyncio.Event().wait()
        await self.push_frame(frame, direction)


class Running:
    """A pipeline at work."""

    def __init__(self, observer: DatadogObserver, *processors: FrameProcessor, **args: Any) -> None:
        self.first = Passes(TextFrame)
        self.observer = observer
        self.task: asyncio.Task[None]
        self.worker: Any = PipelineWorker(
            Pipeline([self.first, *processors]), observers=[observer], **args
        )

    async def run(self) -> None:
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(self.worker)
        await runner.run()

    async def killed(self) -> None:
        """See the session off as where the event loop is shut down: our tasks are cancelled."""
        for task in asyncio.all_tasks():
            if task.get_name() == "pipecat_dd::sentinel":
                task.cancel()
                await asyncio.wait([task])

    async def released(self, keeper: FrameProcessor) -> None:
        """Let a pipeline go that waits for the end that a processor has kept."""
        await FrameProcessor.push_frame(keeper, EndFrame())
        await asyncio.wait([self.task], timeout=20)

    async def started(self) -> None:
        await self.worker.queue_frame(TextFrame("hello"))
        await self.first.saw.wait()


@asynccontextmanager
async def running(
    *processors: FrameProcessor, observer: DatadogObserver | None = None, **args: Any
) -> AsyncIterator[Running]:
    """Run a pipeline; after the block it has to come to its end by itself."""
    bot = Running(observer or watching(), *processors, **args)
    bot.task = asyncio.create_task(bot.run())
    async with asyncio.timeout(25):
        try:
            await bot.started()
            yield bot
            await asyncio.wait([bot.task])
        except BaseException:
            bot.task.cancel()
            raise


@asynccontextmanager
async def losing(
    keeper: Passes, *processors: FrameProcessor, kind: type[Frame] = EndFrame, **args: Any
) -> AsyncIterator[Running]:
    """Run a pipeline one of whose processors has kept the end for itself.

    After the block the session is seen off, and only then the pipeline let go.
    """
    async with running(*processors, **args) as bot:
        await bot.worker.queue_frame(kind())
        await keeper.saw.wait()
        yield bot
        await bot.killed()
        await bot.released(keeper)


def ended(agent: TestAgent, bot: Any) -> Span:
    observer = bot if isinstance(bot, DatadogObserver) else bot.observer
    trace = agent.session(observer.session_id)
    trace.check()
    return trace.one("pipecat.session")


def frame_spans(agent: TestAgent, bot: Running, kind: str) -> list[Span]:
    trace: Trace = agent.session(bot.observer.session_id)
    return [span for span in trace.named("pipecat.frame") if span["frame.class"] == kind]


class Renews(Passes):
    """Ends with a frame of its own."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await FrameProcessor.process_frame(self, frame, direction)
        await self.push_frame(EndFrame() if isinstance(frame, EndFrame) else frame, direction)


class Asks(Passes):
    """Asks the worker for the end."""

    def __init__(self, what: str) -> None:
        super().__init__()
        name = f"{what}WorkerFrame" if hasattr(frames, "EndWorkerFrame") else f"{what}TaskFrame"
        self._asks_by = getattr(frames, name)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, TextFrame):
            await self.push_frame(self._asks_by(), FrameDirection.UPSTREAM)


class Breaks(Passes):
    """Reports what brings the pipeline down, as it is told to."""

    def __init__(self, report: Callable[["Breaks"], Any]) -> None:
        super().__init__()
        self._report = report

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, TextFrame):
            await self._report(self)


def raised(error: Exception) -> Exception:
    """Return an exception with a traceback, which Pipecat 1.0 cannot do without."""
    try:
        raise error
    except Exception as found:
        return found


def fatal(processor: FrameProcessor) -> Any:
    error = raised(OSError("no route"))
    return processor.push_error("it is broken", exception=error, fatal=True)


def mild(processor: FrameProcessor) -> Any:
    return processor.push_error("it is broken", exception=raised(OSError("no route")))


def permanent(processor: FrameProcessor) -> Any:
    return processor.push_error("it is broken", force_treat_as_permanent=True)


def queue(kind: type[Frame]) -> Callable[[Running], Awaitable[None]]:
    return lambda bot: bot.worker.queue_frame(kind())  # type: ignore[no-any-return]


async def nothing(_: Running) -> None:
    pass


async def cancel_the_worker(bot: Running) -> None:
    await bot.worker.cancel()


async def cancel_the_task(bot: Running) -> None:
    bot.task.cancel()


def branches() -> FrameProcessor:
    return ParallelPipeline([Passes()], [Passes(), Passes()])


ENDINGS = {
    "an_end_frame": ([Passes], queue(EndFrame), "ended"),
    "a_stop_frame": ([Passes], queue(StopFrame), "stopped"),
    "a_cancel_frame": ([Passes], queue(CancelFrame), "cancelled"),
    "the_worker_is_cancelled": ([Passes], cancel_the_worker, "cancelled"),
    "the_task_is_cancelled": ([Passes], cancel_the_task, "cancelled"),
    "a_processor_asks_for_the_end": ([Passes, partial(Asks, "End")], nothing, "ended"),
    "a_processor_asks_to_cancel": ([Passes, partial(Asks, "Cancel")], nothing, "cancelled"),
    "through_parallel_branches": ([branches, Passes], queue(EndFrame), "ended"),
    "a_processor_ends_with_a_frame_of_its_own": ([Renews, Passes], queue(EndFrame), "ended"),
    "after_an_error_that_it_survives": ([partial(Breaks, mild), Passes], queue(EndFrame), "ended"),
}
"""Ends that nothing keeps: what makes the processors, what ends them, what the session says."""


@pytest.mark.parametrize(("makers", "end", "reason"), ENDINGS.values(), ids=ENDINGS)
async def test_a_session_says_how_it_was_ended(
    agent: TestAgent,
    makers: list[Callable[[], FrameProcessor]],
    end: Callable[[Running], Awaitable[None]],
    reason: str,
) -> None:
    async with running(*(make() for make in makers)) as bot:
        await end(bot)
    session = ended(agent, bot)
    assert session["session.end_reason"] == reason
    assert session.get("session.end_lost_in") is None
    assert not session.error
    for kind in (EndFrame, StopFrame):
        assert not frame_spans(agent, bot, kind.__name__), "it is no frame that stands out"


@pytest.mark.parametrize("kind", [EndFrame, StopFrame])
@pytest.mark.parametrize("keeps", [Swallows, SwallowsAsItPushes, Hangs])
async def test_an_end_that_a_processor_keeps_is_lost_in_it(
    agent: TestAgent, keeps: type[Passes], kind: type[Frame]
) -> None:
    keeper = keeps(kind)
    async with losing(keeper, Passes(), keeper, Passes(), kind=kind) as bot:
        await bot.worker.cancel()
    session = ended(agent, bot)
    assert session["session.end_reason"] == "lost_end"
    assert session["session.end_lost_in"] == keeps.__name__
    assert not session.error
    (span,) = frame_spans(agent, bot, kind.__name__)
    assert span.resource == f"{keeps.__name__} {kind.__name__}"
    assert session.start_ns <= span.start_ns <= span.end_ns <= session.end_ns + 1_000


async def test_an_end_that_was_lost_is_told_of_with_no_cancellation_too(agent: TestAgent) -> None:
    keeper = Swallows(EndFrame)
    async with losing(keeper, keeper, Passes()) as bot:
        await asyncio.sleep(0)
    assert ended(agent, bot)["session.end_reason"] == "lost_end"


async def test_an_end_on_its_way_as_the_process_goes_is_not_lost(agent: TestAgent) -> None:
    slow = Hangs(EndFrame)
    async with losing(slow, slow) as bot:
        pass
    session = ended(agent, bot)
    assert session["session.end_reason"] == "exited"
    assert session.get("session.end_lost_in") is None


@pytest.mark.parametrize("mode", ["off", "all"])
async def test_where_the_end_was_lost_is_told_as_frame_spans_say(
    agent: TestAgent, mode: Any
) -> None:
    keeper = Swallows(EndFrame)
    observer = DatadogObserver(frame_spans=mode)
    async with losing(keeper, keeper, Passes(), observer=observer) as bot:
        await bot.worker.cancel()
    session = ended(agent, bot)
    assert session["session.end_lost_in"] == "Swallows"
    told = [s.resource for s in frame_spans(agent, bot, "EndFrame")]
    assert told.count("Swallows EndFrame") == (0 if mode == "off" else 1)


async def test_of_parallel_branches_the_one_that_keeps_the_end_is_named(agent: TestAgent) -> None:
    class Slow(Passes):
        async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
            if isinstance(frame, EndFrame):
                await asyncio.sleep(0.05)
            await super().process_frame(frame, direction)

    keeper, slow = Swallows(EndFrame), Slow(EndFrame)
    async with losing(keeper, ParallelPipeline([keeper], [slow]), Passes()) as bot:
        await slow.saw.wait()
        await bot.worker.cancel()
    session = ended(agent, bot)
    assert session["session.end_reason"] == "lost_end"
    assert session["session.end_lost_in"] == "Swallows"


@needs_pipecat("1.3", "the runner has no tasks of its own")
async def test_ctrl_c_to_the_runner_is_a_cancellation(agent: TestAgent) -> None:
    bot = Running(watching(), Passes())

    async def run() -> None:
        runner = WorkerRunner(handle_sigint=True)
        await runner.add_workers(bot.worker)
        await runner.run()

    try:
        task = asyncio.create_task(run())
        await bot.started()
        os.kill(os.getpid(), signal.SIGINT)
        async with asyncio.timeout(20):
            await task
    finally:
        asyncio.get_running_loop().remove_signal_handler(signal.SIGINT)
    assert ended(agent, bot)["session.end_reason"] == "cancelled"


class Connects(Passes):
    """Takes its time to be set up."""

    def __init__(self, failing: Exception | None = None) -> None:
        super().__init__()
        self.begun = asyncio.Event()
        self._failing = failing

    async def setup(self, *args: Any, **kwargs: Any) -> None:
        await super().setup(*args, **kwargs)
        self.begun.set()
        if self._failing is not None:
            raise self._failing
        await asyncio.Event().wait()


@needs_pipecat("1.12", "a pipeline that is being set up cannot be cancelled")
async def test_a_hang_up_before_the_pipeline_has_started_is_a_cancellation(
    agent: TestAgent,
) -> None:
    slow = Connects()
    bot = Running(watching(), slow)
    task = asyncio.create_task(bot.run())
    async with asyncio.timeout(20):
        await slow.begun.wait()
        await bot.worker.cancel()
        await task
    session = ended(agent, bot)
    assert session["session.end_reason"] == "cancelled"
    assert not session.error


@needs_pipecat("1.12", "a pipeline that is being set up cannot be cancelled")
async def test_a_hang_up_in_the_same_breath_is_a_cancellation(agent: TestAgent) -> None:
    """No processor has been heard of by then."""
    bot = Running(watching(), Connects())
    setting_up = bot.observer.setup

    async def setup(*args: Any) -> None:
        await setting_up(*args)
        asyncio.get_running_loop().call_soon(lambda: asyncio.ensure_future(bot.worker.cancel()))

    bot.observer.setup = setup  # type: ignore[method-assign]
    async with asyncio.timeout(20):
        await bot.run()
    assert ended(agent, bot)["session.end_reason"] == "cancelled"


@pytest.mark.skipif(PIPECAT < (1, 8), reason="Pipecat waits for ever before 1.8")
async def test_a_pipeline_that_never_starts_has_failed_and_says_where(agent: TestAgent) -> None:
    keeper = Swallows(StartFrame)
    bot = Running(watching(), keeper, Passes(), start_timeout_secs=0.3)
    async with asyncio.timeout(20):
        await bot.run()
    session = ended(agent, bot)
    assert session["session.end_reason"] == "failed"
    assert session.error
    assert session["error.type"] == "PipelineError"
    assert "Swallows had the StartFrame last" in session["error.message"]


@pytest.mark.parametrize("cancels", [True, False])
async def test_only_what_pipecat_cancels_since_nobody_spoke_is_an_idle_timeout(
    agent: TestAgent, cancels: bool
) -> None:
    bot = Running(watching(), Passes(), idle_timeout_secs=0.2, cancel_on_idle_timeout=cancels)

    @bot.worker.event_handler("on_idle_timeout")
    async def on_idle_timeout(worker: Any) -> None:
        await worker.cancel()

    async with asyncio.timeout(20):
        await bot.run()
    session = ended(agent, bot)
    assert session["session.end_reason"] == ("idle_timeout" if cancels else "cancelled")
    assert not session.error


async def test_an_end_that_is_lost_is_no_idle_timeout(agent: TestAgent) -> None:
    keeper = Swallows(EndFrame)
    async with losing(keeper, keeper, Passes(), idle_timeout_secs=0.3) as bot:
        await asyncio.sleep(0.6)
    assert ended(agent, bot)["session.end_reason"] == "lost_end"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_what_a_fatal_error_brings_down_has_failed(agent: TestAgent) -> None:
    async with running(Breaks(fatal), Passes()) as bot:
        pass
    session = ended(agent, bot)
    assert session["session.end_reason"] == "failed"
    assert session.error
    assert session["error.type"] == "OSError"
    assert session["error.message"] == "it is broken"
    assert session.get("error.stack") is None, "it is on the span of what failed"


@needs_pipecat("1.8", "a processor that is broken stays at work")
@pytest.mark.parametrize(("policy", "failed"), [("END", True), ("CANCEL", True), ("CONTINUE", 0)])
async def test_what_a_processor_brings_down_that_can_no_longer_work_has_failed(
    agent: TestAgent, policy: str, failed: bool
) -> None:
    from pipecat.pipeline.worker import ProcessorUnusablePolicy

    chosen = ProcessorUnusablePolicy[policy]
    async with running(Breaks(permanent), Passes(), processor_unusable_policy=chosen) as bot:
        if not failed:
            await bot.worker.queue_frame(EndFrame())
    session = ended(agent, bot)
    assert session["session.end_reason"] == ("failed" if failed else "ended")
    assert session.error == bool(failed)
    assert session["session.error_count"] == 1


async def test_a_handler_of_the_users_that_cancels_for_an_error_cancels(agent: TestAgent) -> None:
    bot = Running(watching(), Breaks(mild))

    @bot.worker.event_handler("on_pipeline_error")
    async def on_pipeline_error(worker: Any, frame: ErrorFrame) -> None:
        await worker.cancel()

    task = asyncio.create_task(bot.run())
    async with asyncio.timeout(20):
        await bot.worker.queue_frame(TextFrame("hello"))
        await task
    assert ended(agent, bot)["session.end_reason"] == "cancelled"


@needs_pipecat("1.14", "an observer that is removed is not told so")
async def test_an_observer_that_is_removed_says_so(agent: TestAgent) -> None:
    async with running(Passes()) as bot:
        await bot.worker.remove_observer(bot.observer)
        session = ended(agent, bot)
        assert session["session.end_reason"] == "removed"
        assert not session.error
        await bot.worker.queue_frame(EndFrame())


async def test_a_turn_that_failed_is_an_error_and_one_that_was_answered_is_not(
    agent: TestAgent,
) -> None:
    observer = watching()
    async with Bot(observer) as bot:
        bot.provider.fail("chat", status=401)
        await bot.user_says("How are you?")
        await bot.until(ErrorFrame)
        await bot.ask("And now?")
        await bot.tts.push_error("a hiccup")
        await bot.end()
    trace = agent.session(observer.session_id)
    trace.check()
    failed, answered = trace.named("pipecat.turn")
    model = trace.named("pipecat.llm")[0]
    assert (failed["turn.outcome"], failed.error) == ("failed", True)
    for tag in ("error.type", "error.message"):
        assert failed[tag] == model[tag]
    assert failed.get("error.stack") is None
    assert (answered["turn.outcome"], answered.error) == ("answered", False)
    assert not trace.one("pipecat.session").error

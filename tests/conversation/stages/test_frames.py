"""Every visit of a frame to a processor is accounted for, in every mode."""

import asyncio
import contextvars
import gc
import itertools
import sys
import time
from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest
from ddtrace.trace import tracer
from loguru import logger
from pipecat.frames.frames import (
    EndFrame,
    Frame,
    LLMTextFrame,
    StopFrame,
    TextFrame,
    TTSSpeakFrame,
)
from pipecat.observers.base_observer import BaseObserver
from pipecat.pipeline.pipeline import Pipeline
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from pipecat_dd import DatadogObserver, _guard
from pipecat_dd.instrumentation import frame_tracker
from tests.support.agent import TestAgent
from tests.support.bot import Bot
from tests.support.spans import Span, Trace


@pytest.fixture
def visits(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count the calls of each processor's process_frame, from the base that all of them call."""
    calls: Counter[str] = Counter()
    inner = FrameProcessor.process_frame

    async def counting(self: FrameProcessor, frame: Frame, direction: FrameDirection) -> None:
        calls[self.name] += 1
        await inner(self, frame, direction)

    monkeypatch.setattr(FrameProcessor, "process_frame", counting)
    return calls


class Own(FrameProcessor):
    """A processor of the user's own, which does something with what passes."""

    def __init__(self) -> None:
        super().__init__()
        self.hangs, self.goes_on = asyncio.Event(), asyncio.Event()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, TTSSpeakFrame):
            if frame.text == "slow":
                await asyncio.sleep(0.05)
            if frame.text == "logged":
                logger.info("saw it")
            if frame.text == "failed":
                raise ValueError("no such word")
            if frame.text == "hangs":
                self.hangs.set()
                await self.goes_on.wait()
        await self.push_frame(frame, direction)


def counted(trace: Trace) -> Counter[str]:
    """Return how many visits the frame spans of each processor stand for."""
    counts: Counter[str] = Counter()
    for span in trace.named("pipecat.frame"):
        counts[span["processor.name"]] += int(span["frame.count"])
    return counts


async def test_in_all_the_counts_add_up_to_the_calls(
    agent: TestAgent, visits: Counter[str]
) -> None:
    observer = DatadogObserver(frame_spans="all")
    async with Bot(observer, extra=[Own()]) as bot:
        await bot.ask("How are you?")
        await bot.user_says("Tell me more")
        await bot.speaks(2)
        await bot.user_says("Stop")
        await bot.answered(3)
        await bot.end()

    trace = agent.session(observer.session_id)
    trace.check()
    counts = counted(trace)
    wrapped = {name: calls for name, calls in visits.items() if name in counts}
    compound = ("Pipeline", "PipelineSource", "PipelineSink", "PipelineWorker")
    assert not [name for name in visits if name not in counts and not name.startswith(compound)]
    assert dict(counts) == wrapped
    assert len(counts) >= 7
    runs = [span for span in trace.named("pipecat.frame") if span["frame.count"] > 1]
    assert {span["frame.class"] for span in runs} >= {"InputAudioRawFrame", "TTSAudioRawFrame"}


async def test_in_every_mode_the_turn_counts_each_processors_work(
    agent: TestAgent, visits: Counter[str]
) -> None:
    for mode in ("all", "notable", "off"):
        visits.clear()
        observer = DatadogObserver(frame_spans=mode)  # type: ignore[arg-type]
        async with Bot(observer) as bot:
            await bot.ask("How are you?")
            await bot.end()
        trace = agent.session(observer.session_id)
        session, turn = trace.one("pipecat.session"), trace.one("pipecat.turn")
        for name, calls in visits.items():
            key = f"processor.{name.partition('#')[0]}"
            if f"{key}.frames" not in session.tags:
                continue
            assert session[f"{key}.frames"] == calls, (mode, name)
            assert turn[f"{key}.frames"] <= calls
        key = "processor.OpenAILLMService"
        llm = trace.one("pipecat.llm")
        assert turn[f"{key}.longest_ms"] == pytest.approx(llm.secs * 1000, rel=0.2)
        assert turn[f"{key}.longest_ms"] <= turn[f"{key}.busy_ms"]


async def test_off_gives_frames_no_spans(agent: TestAgent) -> None:
    observer = DatadogObserver(frame_spans="off")
    async with Bot(observer, extra=[Own()]) as bot:
        await bot.push(TTSSpeakFrame("logged"), TTSSpeakFrame("failed"))
        await bot.answered()
        await bot.end()
    trace = agent.session(observer.session_id)
    trace.check()
    assert not trace.named("pipecat.frame")
    assert trace.one("pipecat.session")["session.error_count"] == 1


def frames_of(trace: Trace, processor: str) -> list[Span]:
    return [
        span
        for span in trace.named("pipecat.frame")
        if span["processor.name"].startswith(processor)
    ]


async def test_notable_is_what_was_slow_logged_or_failed(agent: TestAgent) -> None:
    class PassesOn(FrameProcessor):
        async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
            await super().process_frame(frame, direction)
            await self.push_frame(frame, direction)

    observer = DatadogObserver(slow_frame_ms=40)
    own = Own()
    async with Bot(observer, extra=[own, PassesOn()]) as bot:
        for word in ("slow", "logged", "quick", "failed"):
            await bot.push(TTSSpeakFrame(word))
        await bot.answered(3)
        await bot.end()

    trace = agent.session(observer.session_id)
    trace.check()
    speak = [s for s in frames_of(trace, own.name) if s["frame.class"] == "TTSSpeakFrame"]
    assert len(speak) == 4, "a processor of the user's own has a span for each frame with data"
    slow, _, quick, failed = speak
    assert slow.secs >= 0.05 > quick.secs
    assert failed.error
    assert failed["error.type"] == "ValueError"
    assert failed["error.message"] == "no such word"
    assert "raise ValueError" in failed["error.stack"]
    assert all(span["frame.direction"] == "downstream" for span in speak)
    assert not [s for s in frames_of(trace, own.name) if s["frame.class"] == "EndFrame"]
    controls = {s["frame.class"] for s in frames_of(trace, "QuickOutput") if not s.error}
    assert "BotStartedSpeakingFrame" not in controls, "nothing happened in it"


async def test_what_hangs_when_the_session_ends_is_told_and_counted(agent: TestAgent) -> None:
    for mode in ("all", "notable"):
        observer, own = DatadogObserver(frame_spans=mode), Own()  # type: ignore[arg-type]
        async with Bot(observer, extra=[own]) as bot:
            await bot.push(TTSSpeakFrame("logged"), TTSSpeakFrame("hangs"))
            await own.hangs.wait()
            await observer.cleanup()  # as where the process is told to end
            own.goes_on.set()
            await bot.end()
        trace = agent.session(observer.session_id)
        trace.check()
        hung = [span for span in frames_of(trace, "Own#") if span.tags.get("interrupted")]
        assert [span["frame.class"] for span in hung] == ["TTSSpeakFrame"]
        assert hung[0].error is False
        if mode == "all":
            told = sum(int(span["frame.count"]) for span in frames_of(trace, "Own#"))
            assert trace.one("pipecat.session")["processor.Own.frames"] == told


@pytest.mark.parametrize("last", [EndFrame, StopFrame])
async def test_what_is_still_worked_on_as_a_bot_ends_in_order_is_not_cut_off(
    agent: TestAgent, last: type[Frame]
) -> None:
    class Late(FrameProcessor):
        finished = False

        async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
            await super().process_frame(frame, direction)
            await self.push_frame(frame, direction)
            if isinstance(frame, last):
                await asyncio.sleep(0.05)
                self.finished = True

    class Slow(BaseObserver):
        async def cleanup(self) -> None:
            await asyncio.sleep(0.2)

    late = Late()
    observer = DatadogObserver(frame_spans="all")
    async with Bot(observer, Slow(), extra=[late]) as bot:
        await bot.push(last())
        assert bot.running is not None
        await bot.running
        while not late.finished:  # noqa: ASYNC110 - Pipecat may let it go on in its own time
            await asyncio.sleep(0.01)
    trace = agent.session(observer.session_id)
    trace.check()
    assert frames_of(trace, "Late#")
    assert not [span for span in frames_of(trace, "Late#") if span.tags.get("interrupted")]


async def test_of_a_bot_that_goes_on_after_its_sessions_end_nothing_is_told(
    agent: TestAgent,
) -> None:
    observer = DatadogObserver(frame_spans="all", turn_end_timeout_secs=0.05)
    async with Bot(observer, extra=[Own()]) as bot:
        await bot.ask("How are you?")
        assert observer._latest.runtime is not None
        conversation = observer._latest.runtime.conversation
        conversation.end(time.time_ns())  # as where a server is told to end, and drains
        await bot.push(TTSSpeakFrame("failed"))
        await bot.ask("And now?")
        await bot.end()
        assert not conversation._stages._open
    trace = agent.session(observer.session_id)
    trace.check()
    assert len(trace.named("pipecat.turn")) == 1


async def test_an_observer_of_two_conversations_gives_each_a_session(agent: TestAgent) -> None:
    observer = DatadogObserver()
    ids = []
    for number in range(2):
        async with Bot(observer) as bot:
            await bot.ask(f"Question {number}")
            ids.append(observer.session_id)
            await bot.end()
    assert len(set(ids)) == 2
    for session_id in ids:
        trace = agent.session(session_id)
        trace.check()
        assert len(trace.named("pipecat.turn")) == 1


async def test_an_error_of_ours_is_not_in_what_the_bot_raises(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*args: Any) -> None:
        raise RuntimeError("of ours")

    class Raises(FrameProcessor):
        seen: Any = "nothing"

        async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
            self.seen = sys.exc_info()[0]
            raise ValueError("of the bot's")

    observer, raises = DatadogObserver(), Raises()
    for part in _guard.parts().values():
        monkeypatch.setattr(part, "failures", 0)
    monkeypatch.setattr(frame_tracker, "FrameProcessing", broken)
    await observer.setup(None)
    assert observer._latest.pipelines is not None
    observer._latest.pipelines.install(Pipeline([raises]))
    with pytest.raises(ValueError, match="of the bot's") as raised:
        await raises.process_frame(TextFrame("hello"), FrameDirection.DOWNSTREAM)
    assert _guard.instrumentation.failures == 1
    assert raised.value.__context__ is None
    assert raises.seen is None
    await observer.cleanup()


async def test_a_clock_that_is_set_back_takes_no_time_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Hangs(FrameProcessor):
        async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
            if isinstance(frame, TTSSpeakFrame):
                await asyncio.Event().wait()

    tomorrow_ns = time.time_ns() + 86_400 * 10**9
    clock = itertools.count(tomorrow_ns, -1_000_000_000)
    monkeypatch.setattr(frame_tracker, "time", SimpleNamespace(time_ns=lambda: next(clock)))
    observer, hangs = DatadogObserver(frame_spans="off"), Hangs()
    await observer.setup(None)
    assert observer._latest.pipelines is not None
    assert observer._latest.runtime is not None
    session = observer._latest.runtime.session
    observer._latest.pipelines.install(Pipeline([hangs]))
    await hangs.process_frame(TextFrame("hello"), FrameDirection.DOWNSTREAM)
    (processor,) = (found for found in session.processors.values() if found.frames)
    assert processor.busy_ns == 0
    visit: Any = hangs.process_frame(TTSSpeakFrame("hello"), FrameDirection.DOWNSTREAM)
    visit.send(None)
    await observer.cleanup()
    figures = {name: value for name, value in session.root.attributes.items() if "Hangs" in name}
    assert figures["processor.Hangs.frames"] == 2
    assert figures["processor.Hangs.busy_ms"] == 0
    visit.close()


async def test_a_visit_that_the_garbage_collector_ends_activates_nothing_there() -> None:
    class Hangs(FrameProcessor):
        async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
            await asyncio.Event().wait()

    observer, hangs = DatadogObserver(), Hangs(enable_direct_mode=True)
    await observer.setup(None)
    assert observer._latest.pipelines is not None
    observer._latest.pipelines.install(Pipeline([hangs]))
    pending: list[Any] = []

    async def caller() -> None:
        with tracer.trace("the caller's"):
            visit: Any = hangs.process_frame(TextFrame("hello"), FrameDirection.DOWNSTREAM)
            visit.send(None)
            pending.append(visit)
            del visit
            await found

    found: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    calls = asyncio.create_task(caller())
    await asyncio.sleep(0)

    async def elsewhere() -> None:
        pending.clear()
        gc.collect()
        found.set_result(tracer.context_provider.active())

    await asyncio.create_task(elsewhere(), context=contextvars.Context())
    await calls
    assert found.result() is None
    await observer.cleanup()


async def test_what_the_users_own_processor_streams_is_one_span_for_a_run(
    agent: TestAgent,
) -> None:
    observer = DatadogObserver()
    own = Own()
    async with Bot(observer, extra=[own]) as bot:
        await bot.ask("How are you?")
        await bot.end()
    trace = agent.session(observer.session_id)
    tokens = [s for s in frames_of(trace, own.name) if s["frame.class"] == LLMTextFrame.__name__]
    assert len(tokens) == 1
    assert tokens[0]["frame.count"] >= 3
    assert tokens[0].parent is trace.one("pipecat.turn")
    assert "frame.id" not in tokens[0].tags


async def test_the_bot_gets_every_frame_and_error_that_it_got_without_us() -> None:
    class Recorder(FrameProcessor):
        def __init__(self) -> None:
            super().__init__()
            self.seen: list[tuple[str, Any]] = []

        async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
            await super().process_frame(frame, direction)
            if isinstance(frame, (TextFrame, TTSSpeakFrame, EndFrame)):
                self.seen.append((type(frame).__name__, getattr(frame, "text", None)))
            await self.push_frame(frame, direction)

    heard = []
    for observers in ([], [DatadogObserver(frame_spans="all")]):
        recorder = Recorder()
        async with Bot(*observers, extra=[Own(), recorder]) as bot:
            await bot.push(TTSSpeakFrame("failed"), TTSSpeakFrame("quick"))
            await bot.answered()
            await bot.ask("How are you?")
            await bot.end()
        heard.append(recorder.seen)
    assert heard[0] == heard[1]


async def test_processors_are_as_before_when_the_session_is_over() -> None:
    own = Own()
    async with Bot(DatadogObserver(), extra=[own]) as bot:
        await bot.until(Frame)
        assert "process_frame" in vars(own)
        await bot.end()
        for processor in (own, bot.llm, bot.tts, bot.stt, bot.output):
            left = [
                name
                for name, value in vars(processor).items()
                if getattr(value, "__module__", "").startswith("pipecat_dd.")
            ]
            assert not left, processor.name

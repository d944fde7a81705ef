"""Whatever happens, in whatever order: one session, everything closed, everything in its place."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from ddtrace.trace import Span, TraceFilter, tracer
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from loguru import logger
from pipecat.frames import frames
from pipecat.frames.frames import (
    EndFrame,
    ErrorFrame,
    Frame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    InterruptionFrame,
    LLMMessagesAppendFrame,
    TextFrame,
    TranscriptionFrame,
    TTSSpeakFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.llm_service import FunctionCallParams
from pipecat.transports.base_transport import TransportParams

from pipecat_dd import DatadogObserver, _guard, current_session
from pipecat_dd.cli.demo.versions import PipelineWorker, WorkerRunner
from tests.support.bot import QuickOutput
from tests.support.scripted import ScriptedLLM, ScriptedTTS, asked

Spans = dict[str, list[Span]]


@pytest.fixture(scope="module")
def sent() -> Iterator[Spans]:
    """What is sent, by session; it is kept here and goes no further."""
    kept: Spans = defaultdict(list)

    class Keep(TraceFilter):
        def process_trace(self, trace: list[Span]) -> list[Span] | None:
            for span in trace:
                kept[str(span.get_tag("session_id"))].append(span)
            return None

    tracer.configure(trace_processors=[Keep()])
    yield kept
    tracer.configure(trace_processors=[])


class Source(FrameProcessor):
    """Counts what it works on while the session runs, and raises where it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.worked_on = 0

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        # Pipecat cleans observers up first: a processor may go on after the session's end.
        self.worked_on += bool(current_session())
        await super().process_frame(frame, direction)
        if isinstance(frame, TextFrame) and frame.text == "raise":
            raise ValueError("told to")
        await self.push_frame(frame, direction)


FRAMES: dict[str, Callable[[], Frame]] = {
    "speech begins": lambda: VADUserStartedSpeakingFrame(start_secs=0.2),
    "speech ends": lambda: VADUserStoppedSpeakingFrame(stop_secs=0.2),
    "turn begins": UserStartedSpeakingFrame,
    "turn ends": UserStoppedSpeakingFrame,
    "interim": lambda: InterimTranscriptionFrame("he", "u-1", "now"),
    "transcript": lambda: TranscriptionFrame("hello", "u-1", "now"),
    "audio": lambda: InputAudioRawFrame(b"\0\0" * 160, 16_000, 1),
    "interruption": InterruptionFrame,
    "answer": lambda: asked("say it"),
    "hanging answer": lambda: asked("hang"),
    "failing answer": lambda: asked("fail"),
    "raising answer": lambda: asked("raise"),
    "tool": lambda: asked("call quick"),
    "slow tool": lambda: asked("call slow"),
    "broken tool": lambda: asked("call broken"),
    "speak": lambda: TTSSpeakFrame("Hello there."),
    "raise": lambda: TextFrame("raise"),
    "error": lambda: ErrorFrame("something"),
    "message": lambda: LLMMessagesAppendFrame([{"role": "user", "content": "hi"}], run_llm=True),
}
for name, kind, args in (
    ("service hears speech", "ProposedUserStartedSpeakingFrame", ()),
    ("service hears silence", "ProposedUserStoppedSpeakingFrame", ()),
    ("silence predicted", "EagerTranscriptionFrame", ("hello", "u-1", "now")),
    ("prediction withdrawn", "EagerEndOfTurnCancelFrame", ()),
    ("muted", "UserMuteStartedFrame", ()),
    ("unmuted", "UserMuteStoppedFrame", ()),
    ("backchannel", "UserBackchannelFrame", ("mm-hm", "u-1", "now")),
    ("bot's backchannel", "BotBackchannelFrame", ("Mm-hm.",)),
):
    if hasattr(frames, kind):  # older versions have less to say
        FRAMES[name] = partial(getattr(frames, kind), *args)
PAUSE = "pause"

steps = st.lists(st.sampled_from([*FRAMES, PAUSE, PAUSE, PAUSE]), max_size=30)


def waits_for(observer: DatadogObserver, worker: Any) -> int:
    """Return how much waits in the queue in front of an observer: Pipecat has one for each."""
    proxies = worker._observer._proxies or {}
    return proxies[observer].queue.qsize() if observer in proxies else 0


async def converse(story: list[str], *, ends_well: bool, frame_spans: Any) -> tuple[str, Any]:
    observer = DatadogObserver(frame_spans=frame_spans, turn_end_timeout_secs=0.05)
    source, llm = Source(), ScriptedLLM()

    async def quick(params: FunctionCallParams) -> None:
        await params.result_callback({"done": True})

    async def slow(params: FunctionCallParams) -> None:
        await asyncio.Event().wait()

    async def broken(params: FunctionCallParams) -> None:
        raise LookupError("broken")

    for handler in (quick, slow, broken):
        llm.register_function(handler.__name__, handler)
    output = QuickOutput(TransportParams(audio_out_enabled=True))
    worker = PipelineWorker(
        Pipeline([source, llm, ScriptedTTS(), output]),
        observers=[observer],
        cancel_on_idle_timeout=False,
    )
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    running = asyncio.create_task(runner.run())
    for step in story:
        if step == PAUSE:
            await asyncio.sleep(0.02)
        else:
            await worker.queue_frame(FRAMES[step]())
    async with asyncio.timeout(5):  # what is not taken from the queue stays in memory for good
        while waits_for(observer, worker):  # noqa: ASYNC110 (Pipecat's queue announces nothing)
            await asyncio.sleep(0.01)
    if ends_well and "hanging answer" not in story:
        await worker.queue_frame(EndFrame())
    else:
        await worker.cancel()
    await asyncio.wait_for(running, 20)
    return observer.session_id, source


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(story=steps, ends_well=st.booleans(), frame_spans=st.sampled_from(["notable", "all", "off"]))
@example(
    story=["turn begins", "turn ends", "tool", PAUSE, "slow tool", PAUSE, "interruption", "error"],
    ends_well=False,
    frame_spans="all",
)
@example(
    story=["speech begins", "turn begins", "hanging answer", PAUSE, "turn begins", "interruption"],
    ends_well=True,
    frame_spans="notable",
)
def test_everything_is_closed_and_in_its_place(
    sent: Spans, story: list[str], ends_well: bool, frame_spans: str
) -> None:
    logger.remove()
    failures = {part: part.failures for part in vars(_guard).values() if hasattr(part, "failures")}
    session_id, source = asyncio.run(converse(story, ends_well=ends_well, frame_spans=frame_spans))
    assert {part: part.failures for part in failures} == failures, "something of ours raised"

    spans = sent.pop(session_id)
    (session,) = [span for span in spans if span.name == "pipecat.session"]
    by_id = {span.span_id: span for span in spans}
    assert len(by_id) == len(spans), "a span was sent twice"
    assert {span.trace_id for span in spans} == {session.trace_id}
    end_ns = session.start_ns + (session.duration_ns or 0)
    for span in spans:
        assert span.duration_ns is not None
        assert span.duration_ns >= 0
        assert span.start_ns >= session.start_ns
        assert span.start_ns + span.duration_ns <= end_ns + 1_000
        assert span is session or span.parent_id in by_id, f"{span.name} has no parent"
        if span is not session and span.name.startswith("pipecat."):
            assert span.start_ns >= by_id[span.parent_id or 0].start_ns - 1_000
    turns = sorted(
        (span for span in spans if span.name == "pipecat.turn"),
        key=lambda span: span.get_metric("turn.number") or 0,
    )
    for before, after in pairwise(turns):
        assert before.start_ns + (before.duration_ns or 0) <= after.start_ns + 1_000
    names = Counter(span.name for span in spans)
    assert session.get_metric("session.turn_count") == names["pipecat.turn"]
    assert session.get_metric("session.bot_speech_count") == names["pipecat.bot_speech"]
    assert (session.get_metric("processor.Source.frames") or 0) == source.worked_on
    if frame_spans == "all":
        counted = sum(
            span.get_metric("frame.count") or 0
            for span in spans
            if span.name == "pipecat.frame" and span.get_tag("processor.name") == source.name
        )
        assert counted == source.worked_on

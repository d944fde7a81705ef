"""Conversations of real bots, recorded once; an hour of many bots is made of them."""

import asyncio
import copy
import json
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from ddtrace.trace import Span, TraceFilter, tracer
from loguru import logger
from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from pipecat_dd import DatadogObserver
from pipecat_dd.cli.demo.provider import Delays, Say
from pipecat_dd.conversation import turns
from tests.support.bot import QUICK, Bot
from tests.support.datadog_backend import Backend, Json
from tests.support.dogstatsd import listening, sending_to
from tests.support.lines import written_lines

SERVICE = "test-bot"
"""The service of the recordings; see tests/conftest.py."""

SYNTHETIC = (
    "pipecat.sessions.active",
    "pipecat.event_loop.",
    "pipecat.voice_gap",
    "pipecat.user_audio.",
    "pipecat.session.first_speech_seconds",
    "pipecat.session.longest_silence_seconds",
    "pipecat.session.longest_bot_silence_seconds",
    "pipecat.service.reconnect_seconds",
    "pipecat.service.events",
    "pipecat.observer.",
    "pipecat.logs.",
)
"""Of the process, not of a conversation; and what depends on the machine that runs the tests."""

PAUSE_SECS = 0.3
"""What is left waiting for longer than this waited in vain, while a recording is made."""


@dataclass
class Recording:
    """All that a bot sent of one conversation.

    Attributes:
        lines: Its lines.
        chunks: Its spans, as they would have been sent together.
        metrics: Its metrics: name, value, tags.
    """

    lines: list[Json] = field(default_factory=list)
    chunks: list[list[Json]] = field(default_factory=list)
    metrics: list[tuple[str, float, dict[str, str]]] = field(default_factory=list)

    @property
    def spans(self) -> list[Json]:
        return [span for chunk in self.chunks for span in chunk]

    def without(self, *, spans: tuple[str, ...] = (), metrics: tuple[str, ...] = ()) -> "Recording":
        """Return the same without what a killed process, say, does not send."""
        return Recording(
            self.lines,
            [[one for one in chunk if one["name"] not in spans] for chunk in self.chunks],
            [one for one in self.metrics if one[0] not in metrics],
        )

    def with_tag(self, metric: str, tag: str, value: str) -> "Recording":
        """Return the same with another value of a metric's tag."""
        return Recording(
            self.lines,
            self.chunks,
            [
                (name, number, {**tags, tag: value} if name == metric else tags)
                for name, number, tags in self.metrics
            ],
        )

    def with_metric(self, name: str, value: float, count: int = 1, **tags: str) -> "Recording":
        """Return the same with a metric that this conversation did not send."""
        return Recording(self.lines, self.chunks, [*self.metrics, *[(name, value, tags)] * count])

    def without_ids(self) -> "Recording":
        """Return the same as it is where tracing is off: lines have no trace."""
        ids = ("dd.trace_id", "dd.span_id", "pipecat.trace_id", "pipecat.span_id")
        lines = [{k: v for k, v in line.items() if k not in ids} for line in self.lines]
        return Recording(lines, [], self.metrics)


class Gate(FrameProcessor):
    """Keeps the model from being asked, while it is shut."""

    def __init__(self) -> None:
        super().__init__()
        self.shut = False
        self.kept = asyncio.Event()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if self.shut and isinstance(frame, LLMContextFrame):
            self.kept.set()
        else:
            await self.push_frame(frame, direction)


class _Chunks(TraceFilter):
    def __init__(self, chunks: list[list[Json]]) -> None:
        self._chunks = chunks

    def process_trace(self, trace: list[Span]) -> list[Span] | None:
        self._chunks.append([_as_sent(span) for span in trace])
        return None


def _as_sent(span: Span) -> Json:
    return {
        "name": span.name,
        "resource": span.resource,
        "service": span.service,
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "parent_id": span.parent_id or 0,
        "start": span.start_ns,
        "duration": span.duration_ns or 0,
        "error": int(span.error),
        "meta": {str(name): str(value) for name, value in span.get_tags().items()},
        "metrics": {str(name): value for name, value in span.get_metrics().items()},
    }


@contextmanager
def _taken(chunks: list[list[Json]]) -> Iterator[None]:
    was_enabled = tracer.enabled
    tracer.configure(trace_processors=[_Chunks(chunks)])
    tracer.enabled = True
    try:
        yield
    finally:
        tracer.configure(trace_processors=[])
        tracer.enabled = was_enabled


def record(
    talk: Callable[[Bot, Gate], Awaitable[None]], *, turn_end_secs: float = 2.5, **options: Any
) -> Recording:
    """Hold a conversation, and return what the bot sent of it.

    Args:
        talk: What the user does.
        turn_end_secs: How long the bot must be quiet for a turn to be over.
        **options: For the bot.
    """
    recording = Recording()

    async def hold() -> None:
        gate = Gate()
        observer = DatadogObserver(
            session_id="recorded",
            metrics=True,
            slow_frame_ms=60_000,
            turn_end_timeout_secs=turn_end_secs,
        )
        async with Bot(observer, between=[gate], **options) as bot:
            await talk(bot, gate)
            await bot.end()

    with (
        listening() as received,
        sending_to(received.url),
        written_lines(level="INFO") as lines,
        _taken(recording.chunks),
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(turns, "LEFT_WAITING_SECS", PAUSE_SECS)
        asyncio.run(hold())
        received.until(lambda: bool(received.named("pipecat.sessions.ended")))
        # asyncio's own are of connections that an earlier recording has left behind.
        recording.lines = [line for line in lines.all if line["name"] != "asyncio"]
    recording.metrics = [
        (one.name, one.value, dict(tag.split(":", 1) for tag in one.tags))
        for one in received.metrics
        if not one.name.startswith(SYNTHETIC)
    ]
    return recording


async def good(bot: Bot, gate: Gate) -> None:
    """Two turns, each answered."""
    for words in ("How are you?", "Thank you."):
        logger.info("the user is about to speak")
        await bot.ask(words)


async def pausing(bot: Bot, gate: Gate) -> None:
    """A user who goes on before the bot has answered, and is answered then."""
    gate.shut = True
    await bot.user_says("I would like")
    await gate.kept.wait()
    gate.shut = False
    await bot.ask("two pizzas, please.")


async def unanswered(bot: Bot, gate: Gate) -> None:
    """A user who waits for an answer, and asks again."""
    gate.shut = True
    await bot.user_says("Are you there?")
    await gate.kept.wait()
    await asyncio.sleep(PAUSE_SECS * 2)  # what is measured is how long nothing comes
    gate.shut = False
    await bot.ask("Hello?")


async def wordless(bot: Bot, gate: Gate) -> None:
    """A model that answers with nothing, and a user who waits until the turn is over."""
    bot.answer = Say("")
    await bot.user_says("Are you there?")
    await bot.until(LLMFullResponseEndFrame)
    await asyncio.sleep(PAUSE_SECS * 3)  # what is measured is how long nothing comes


async def failing(bot: Bot, gate: Gate) -> None:
    """A model whose key is refused."""
    bot.provider.fail("chat", status=401)
    await bot.user_says("Are you there?")
    await bot.until(ErrorFrame)


async def silent(bot: Bot, gate: Gate) -> None:
    """Nobody says anything."""


SLOW = Delays(
    transcription_secs=QUICK.transcription_secs,
    first_token_secs=3.1,
    token_secs=QUICK.token_secs,
    first_audio_secs=QUICK.first_audio_secs,
)


async def once(bot: Bot, gate: Gate) -> None:
    """One turn, answered."""
    await bot.ask("How are you?")


class Hour:
    """Bots at work, made of recordings.

    Args:
        backend: Where all arrives.
        start: When it begins, in seconds.
    """

    def __init__(self, backend: Backend, start: float = 1_000_000.0) -> None:
        self.backend = backend
        self.start = start
        self._count = 0
        self._running: dict[str, list[tuple[float, float]]] = defaultdict(list)

    def session(
        self,
        recording: Recording,
        at: float,
        secs: float = 120.0,
        service: str = SERVICE,
        source: str = "bot-0",
    ) -> None:
        """Have a bot hold a conversation.

        Args:
            recording: The conversation.
            at: When, in seconds from the beginning.
            secs: How long it lasts: all but its start is told at its end.
            service: The bot's service.
            source: The bot's process.
        """
        self._count += 1
        self._running[source].append((at, at + secs))
        begins, ends = self.start + at, self.start + at + secs
        own = {"session_id": f"s-{self._count}"}
        for line in recording.lines:
            self.backend.line(ends, _renamed(line, own, self._count, service))
        for chunk in recording.chunks:
            self.backend.chunk(ends, [_moved(span, own, self._count, service) for span in chunk])
        for name, value, tags in recording.metrics:
            when = begins if name == "pipecat.sessions.started" else ends
            self.backend.metric(name, when, value, {**tags, "service": service})

    def say_running(self, until: float) -> None:
        """Have each process say how many sessions run in it: at each start and end, and between."""
        for source, sessions in self._running.items():
            moments = {moment for one in sessions for moment in one}
            for begins, ends in sessions:
                last = min(ends, until)
                moments |= {begins + 30.0 * step for step in range(int((last - begins) / 30.0))}
            for at in sorted(moment for moment in moments if moment <= until):
                count = sum(begins <= at < ends for begins, ends in sessions)
                self.gauge("pipecat.sessions.active", at, count, source)

    def gauge(
        self, name: str, at: float, value: float, source: str = "", service: str = SERVICE
    ) -> None:
        """Have a process say something of itself."""
        self.backend.metric(name, self.start + at, value, {"service": service}, source)

    def moments(self, until: float, every: float = 600.0, since: float = 600.0) -> list[float]:
        """Return the moments at which monitors look."""
        self.backend.metrics.sort()
        count = int((until - since) / every) + 1
        return [self.start + since + number * every for number in range(count)]


def _renamed(line: Json, own: dict[str, str], number: int, service: str) -> Json:
    line = copy.deepcopy(line)
    if "session_id" in line:
        line |= own
    for name in ("dd.trace_id", "pipecat.trace_id"):
        if name in line:
            line[name] = f"{_trace_id(int(line[name], 16), number):032x}"
    return json.loads(json.dumps(line)) | {"service": service, "dd.service": service}


def _moved(span: Json, own: dict[str, str], number: int, service: str) -> Json:
    meta = {**span["meta"], **own}
    trace_id = _trace_id(span["trace_id"], number)
    if "_dd.p.tid" in meta:
        meta["_dd.p.tid"] = f"{trace_id >> 64:016x}"
    return {**span, "service": service, "trace_id": trace_id, "meta": meta}


def _trace_id(recorded: int, number: int) -> int:
    return (recorded + (number << 20)) % (1 << 128)

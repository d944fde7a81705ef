"""Combine a bot's traces and log lines: a tree of spans, each with its log lines.

Like Datadog itself, this module knows only what the bot sent: the chunks that the test agent
received, and the log file of JSON lines.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from pipecat_dd.cli.demo.agent import Chunks
from pipecat_dd.names import fields
from pipecat_dd.names.spans import Kind, span_name

SESSION = span_name(Kind.SESSION)
TURN = span_name(Kind.TURN)
FRAME = span_name(Kind.FRAME)

_NS_PER_MS = 1_000_000
_LOW_64_BITS = 2**64 - 1


@dataclass(slots=True)
class Line:
    """A log line.

    Attributes:
        at_ns: When it was written, in nanoseconds since the epoch, precise to the millisecond.
        level: Its level's name.
        function: The function that wrote it.
        message: Its text.
        trace_id: The lower 64 bits of its trace id; None if it has none.
        span_id: Its span id; None if it has none.
        fields: All fields of the line.
    """

    at_ns: int
    level: str
    function: str
    message: str
    trace_id: int | None
    span_id: int | None
    fields: dict[str, Any]


@dataclass(slots=True)
class Span:
    """A span with its children and log lines.

    Attributes:
        trace_id: The lower 64 bits of its trace id.
        span_id: Its id.
        parent_id: Its parent's id; 0 for a root.
        name: Its operation name.
        resource: Its resource.
        start_ns: Its start, in nanoseconds since the epoch.
        duration_ns: Its duration, in nanoseconds.
        error: Whether it failed.
        meta: Its tags with text values.
        metrics: Its tags with numeric values.
        children: Its child spans, ordered by start.
        lines: The log lines that carry its id, ordered by time.
    """

    trace_id: int
    span_id: int
    parent_id: int
    name: str
    resource: str
    start_ns: int
    duration_ns: int
    error: bool
    meta: dict[str, str]
    metrics: dict[str, float]
    children: list["Span"] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)

    @property
    def end_ns(self) -> int:
        """Its end, in nanoseconds since the epoch."""
        return self.start_ns + self.duration_ns

    def walk(self) -> Iterator["Span"]:
        """Yield the span and all its descendants, parents first."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(frozen=True, slots=True)
class Received:
    """All spans and log lines of a bot.

    Attributes:
        spans: All spans, ordered by start.
        roots: The spans that have no parent, or whose parent did not arrive.
        lines: All log lines, ordered by time.
    """

    spans: list[Span]
    roots: list[Span]
    lines: list[Line]

    @property
    def session(self) -> Span | None:
        """The conversation's span; None if it did not arrive."""
        return next((span for span in self.spans if span.name == SESSION), None)

    @property
    def turns(self) -> list[Span]:
        """The spans of the turns, ordered by start."""
        turns = [span for span in self.spans if span.name == TURN]
        return sorted(turns, key=lambda span: span.start_ns)

    def lines_in_session(self) -> list[Line]:
        """Return the lines that were written between the session's start and end.

        Lines in the same millisecond as the start or the end are left out, because the times of
        lines are precise only to the millisecond. So are those about the whole process: that
        garbage collection blocked the event loop, say, which is no session's doing.
        """
        session = self.session
        if session is None:
            return []
        last_ms = session.end_ns // _NS_PER_MS
        return [
            line
            for line in self.lines
            if session.start_ns < line.at_ns and line.at_ns // _NS_PER_MS < last_ms
            if not _is_of_process(line)
        ]

    def uncorrelated(self) -> list[Line]:
        """Return the lines during the session that do not carry the ids of a received span."""
        known = {(span.trace_id, span.span_id) for span in self.spans}
        return [
            line for line in self.lines_in_session() if (line.trace_id, line.span_id) not in known
        ]

    def problems(self) -> list[str]:
        """Return the problems with the received data, as sentences; empty if there are none."""
        if not self.spans:
            return ["the test agent received no traces"]
        if self.session is None:
            return [f"the test agent received no span {SESSION}"]
        problems = []
        if not self.turns:
            problems.append(f"the test agent received no span {TURN}")
        if not self.lines_in_session():
            problems.append("no log line was written during the session")
        if lines := self.uncorrelated():
            first = lines[0]
            problems.append(
                f"{len(lines)} log lines of the session do not carry the ids of a received span. "
                f"The first is {first.level} in {first.function}: {first.message[:80]}"
            )
        return problems


def _is_of_process(line: Line) -> bool:
    by_us = str(line.fields.get(fields.NAME)).startswith("pipecat_dd.")
    return by_us and fields.SESSION_ID not in line.fields


def receive(chunks: Chunks, log_file: Path) -> Received:
    """Combine traces and log lines.

    Args:
        chunks: The traces that the test agent received.
        log_file: The bot's log file. It may be missing.
    """
    lines = sorted(_read_lines(log_file), key=lambda line: line.at_ns)
    spans = sorted(
        (_span(raw) for chunk in chunks for raw in chunk), key=lambda span: span.start_ns
    )
    by_id = {(span.trace_id, span.span_id): span for span in spans}
    roots: list[Span] = []
    for span in spans:
        parent = by_id.get((span.trace_id, span.parent_id))
        (parent.children if parent else roots).append(span)
    for line in lines:
        if line.trace_id is None or line.span_id is None:
            continue
        owner = by_id.get((line.trace_id, line.span_id))
        if owner:
            owner.lines.append(line)
    return Received(spans, roots, lines)


def _span(raw: dict[str, Any]) -> Span:
    return Span(
        trace_id=raw["trace_id"] & _LOW_64_BITS,
        span_id=raw["span_id"],
        parent_id=raw.get("parent_id") or 0,
        name=raw["name"],
        resource=raw.get("resource") or "",
        start_ns=raw["start"],
        duration_ns=raw["duration"],
        error=bool(raw.get("error")),
        meta=raw.get("meta") or {},
        metrics=raw.get("metrics") or {},
    )


def _read_lines(log_file: Path) -> Iterable[Line]:
    if not log_file.exists():
        return
    for text in log_file.read_text(encoding="utf-8").splitlines():
        line = json.loads(text)
        at = datetime.fromisoformat(line[fields.TIMESTAMP])
        trace_id, span_id = line.get(fields.DD_TRACE_ID), line.get(fields.DD_SPAN_ID)
        yield Line(
            at_ns=round(at.timestamp() * 1000) * _NS_PER_MS,
            level=line.get(fields.LEVELNAME, ""),
            function=line.get(fields.FUNCTION, ""),
            message=line.get(fields.MESSAGE, ""),
            trace_id=int(trace_id, 16) & _LOW_64_BITS if trace_id else None,
            span_id=int(span_id) if span_id else None,
            fields=line,
        )

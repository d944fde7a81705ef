"""What a bot sent and wrote, put together: spans as a tree, each log line with its span.

Made from outside: from the chunks that the test agent received and from the file of JSON lines,
as Datadog itself would have to.
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
        at_ns: When it was written, in nanoseconds since the epoch; known to the millisecond.
        level: Its level's name.
        function: The function that wrote it.
        message: Its text.
        trace_id: The lower 64 bits of its trace id; None if it has none.
        span_id: Its span id; None if it has none.
        fields: The whole line.
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
    """A span, with what belongs under it.

    Attributes:
        trace_id: The lower 64 bits of its trace id.
        span_id: Its id.
        parent_id: Its parent's id; 0 for a root.
        name: The operation.
        resource: What it was done on.
        start_ns: Its start, in nanoseconds since the epoch.
        duration_ns: Its duration, in nanoseconds.
        error: Whether it failed.
        meta: Its tags.
        metrics: Its numbers.
        children: The spans of which it is the parent, in order of their start.
        lines: The log lines that carry its id, in order of time.
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
        """Yield the span and everything under it, parents first."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(frozen=True, slots=True)
class Received:
    """All that arrived.

    Attributes:
        spans: Every span.
        roots: The spans whose parent did not arrive, or that have none.
        lines: Every log line.
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
        """The turns, in order."""
        turns = [span for span in self.spans if span.name == TURN]
        return sorted(turns, key=lambda span: span.start_ns)

    def lines_in_session(self) -> list[Line]:
        """Return the lines written between the session's start and end.

        Those of the very millisecond in which it starts or ends are left out: a line's time is
        known no finer.
        """
        session = self.session
        if session is None:
            return []
        last_ms = session.end_ns // _NS_PER_MS
        return [
            line
            for line in self.lines
            if session.start_ns < line.at_ns and line.at_ns // _NS_PER_MS < last_ms
        ]

    def uncorrelated(self) -> list[Line]:
        """Return the lines of the session's time that carry no id of a span that arrived."""
        known = {(span.trace_id, span.span_id) for span in self.spans}
        return [
            line for line in self.lines_in_session() if (line.trace_id, line.span_id) not in known
        ]

    def problems(self) -> list[str]:
        """Return what is wrong with what arrived, in a sentence each; nothing if all is well."""
        if not self.spans:
            return ["no traces arrived at the test agent"]
        if self.session is None:
            return [f"no span {SESSION} arrived"]
        problems = []
        if not self.turns:
            problems.append(f"no span {TURN} arrived")
        if not self.lines_in_session():
            problems.append("no log line was written during the session")
        if lines := self.uncorrelated():
            first = lines[0]
            problems.append(
                f"{len(lines)} log lines of the session carry no id of a span that arrived, "
                f"the first is {first.level} in {first.function}: {first.message[:80]}"
            )
        return problems


def receive(chunks: Chunks, log_file: Path) -> Received:
    """Put traces and log lines together.

    Args:
        chunks: What the test agent received.
        log_file: The bot's log; one that is not there has no lines.
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

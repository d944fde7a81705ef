"""One conversation: its spans and lines as the page gets them, and what they add up to."""

import json
import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pipecat_dd.cli.view.payloads import RawSpan
from pipecat_dd.names import fields, tags
from pipecat_dd.names.spans import PREFIX, Kind, span_name

_SPAN_BYTES: Final = 700
"""What a span takes in memory beside its JSON."""
_LINE_BYTES: Final = 150
_NS_PER_MS: Final = 1e6
_FIRST_MS: Final = 1e11
_END_MS: Final = 1e14
_LEFT_OUT: Final = frozenset({tags.SESSION_ID, tags.COMPONENT, "runtime-id", "process_id"})
"""Tags that say the same on every span, or mean something to Datadog alone."""
_DDTRACES_LANGUAGE: Final = ("language", "python")
_OF_TURNS: Final = frozenset(
    {Kind.USER_SPEECH, Kind.STT, Kind.END_OF_TURN, Kind.LLM, Kind.TTS, Kind.BOT_SPEECH}
)
"""Stages whose parent is a turn, where it is not the session."""
_FORGOTTEN_AS: Final[dict[str, int]] = {Kind.FRAME: 0, Kind.TURN: 2}
"""Which kinds are forgotten before others, and which after them."""
_OF_SESSION: Final = frozenset({Kind.STARTUP, Kind.PARTICIPANT})
_KINDS: Final = {span_name(kind): str(kind) for kind in Kind}
_PLACED: Final = frozenset(
    {
        *(fields.TIMESTAMP, fields.STATUS, fields.LEVELNAME, fields.NAME, fields.FUNCTION),
        *(fields.LINE, fields.MESSAGE, fields.SESSION_ID, fields.PARTICIPANT_ID),
        *(fields.PARTICIPANT, fields.DD_TRACE_ID, fields.DD_SPAN_ID, fields.PIPECAT_TRACE_ID),
        *(fields.PIPECAT_SPAN_ID, fields.PIPECAT_VERSION, fields.SERVICE, fields.DD_SERVICE),
        *(fields.DD_ENV, fields.DD_VERSION, fields.ERROR),
        *("ddsource", "ddtags", "hostname"),
    }
)
"""Members of a line that have a place of their own, or say nothing here."""

Summary = dict[str, Any]


@dataclass(slots=True)
class _Span:
    """A span that was received, or a turn that goes on and is known by its parts.

    Attributes:
        id: Its id.
        parent: Its parent's id; empty for a root.
        kind: Its kind; empty for a span that is not ours.
        body: Its JSON, without the turn and the closing brace.
        turn: The id of the turn around it, where known.
        start_ms: Its start, in milliseconds since the epoch.
        end_ms: Its end.
        is_open: Whether only its parts are known.
    """

    id: str
    parent: str
    kind: str
    body: bytes
    start_ms: float
    end_ms: float
    turn: str = ""
    is_open: bool = False

    @property
    def json(self) -> bytes:
        turn = b',"turn":"%s"}' % self.turn.encode() if self.turn else b"}"
        return self.body + turn

    @property
    def size(self) -> int:
        return len(self.body) + _SPAN_BYTES


class Call:
    """One conversation.

    Attributes:
        id: The session's id.
        size: About how many bytes of memory it takes.
        dropped: How many of its spans and lines were forgotten.
        is_over: Whether no more is expected, though its end was not received.
        heard_at: When something of it was received last, by the caller's clock.
        trace_ids: The lower 64 bits of its traces' ids.
    """

    def __init__(self, session_id: str) -> None:
        self.id = session_id
        self.size = 0
        self.dropped = 0
        self.is_over = False
        self.heard_at = 0.0
        self.trace_ids: set[int] = set()
        self._spans: dict[str, _Span] = {}
        self._children: dict[str, list[str]] = {}
        self._lines: deque[bytes] = deque()
        self._line_count = 0
        self._first_ms = math.inf
        self._last_ms = 0.0
        self._service = ""
        self._names: dict[str, str] = {}
        self._root: RawSpan | None = None
        self._root_id = ""
        self._totals = _Totals()

    @property
    def is_live(self) -> bool:
        """Whether it goes on."""
        return self._root is None and not self.is_over

    @property
    def span_ids(self) -> Iterable[str]:
        """The ids of its spans."""
        return self._spans.keys()

    # What comes in

    def add_spans(self, spans: Iterable[RawSpan]) -> Iterator[bytes]:
        """Add spans; yield each one that is new or has changed, as JSON."""
        changed: dict[str, None] = {}
        knew_root = bool(self._root_id)
        for raw in spans:
            changed.update(dict.fromkeys(self._add(raw)))
        parts = changed if knew_root or not self._root_id else self._spans
        for found in list(parts):
            changed.update(dict.fromkeys(self._widen(found)))
        for span_id in changed:
            if span_id in self._spans:
                yield self._spans[span_id].json

    def _add(self, raw: RawSpan) -> Iterator[str]:
        span = _span_of(raw)
        if span.id in self._spans and not self._spans[span.id].is_open:
            return  # sent twice
        self._put(span)
        self._service = self._service or raw.service
        self._first_ms = min(self._first_ms, span.start_ms)
        self._last_ms = max(self._last_ms, span.end_ms)
        if participant := raw.meta.get(tags.PARTICIPANT_ID):
            name = raw.meta.get(tags.PARTICIPANT_NAME, "")
            self._names[participant] = name or self._names.get(participant, "")
        if span.kind == Kind.SESSION:
            self._root, self._root_id = raw, span.id
        elif span.kind in _OF_SESSION and span.parent:
            self._root_id = span.parent
        self._totals.add(span.kind, raw)
        yield span.id
        yield from self._place(span.id)

    def _put(self, span: _Span) -> None:
        before = self._spans.get(span.id)
        if before is not None:
            self.size -= before.size
        elif span.parent:
            self._children.setdefault(span.parent, []).append(span.id)
        self._spans[span.id] = span
        self.size += span.size

    def _place(self, span_id: str) -> Iterator[str]:
        """Find the turn of a span and of all below it; yield those whose turn is new."""
        waiting = [span_id]
        while waiting:
            span = self._spans[waiting.pop()]
            parent = self._spans.get(span.parent)
            turn = ""
            if span.kind != Kind.TURN and parent is not None:
                turn = parent.id if parent.kind == Kind.TURN else parent.turn
            if turn and turn != span.turn:
                span.turn = turn
                yield span.id
            elif span.id != span_id:
                continue
            waiting += (one for one in self._children.get(span.id, ()) if one in self._spans)

    def _widen(self, span_id: str) -> Iterator[str]:
        """Have a turn that goes on reach from its first part to its last."""
        part = self._spans.get(span_id)
        if part is None or part.kind not in _OF_TURNS or not part.parent or not self._root_id:
            return
        turn = self._spans.get(part.parent)
        if part.parent == self._root_id or (turn is not None and not turn.is_open):
            return
        start_ms = part.start_ms if turn is None else min(turn.start_ms, part.start_ms)
        end_ms = part.end_ms if turn is None else max(turn.end_ms, part.end_ms)
        if turn is not None and (start_ms, end_ms) == (turn.start_ms, turn.end_ms):
            return
        trace = json.loads(part.body + b"}")["trace"]
        made = {
            "id": part.parent,
            "trace": trace,
            "parent": self._root_id,
            "name": span_name(Kind.TURN),
            "kind": str(Kind.TURN),
            "resource": "",
            "service": self._service,
            "start": start_ms,
            "dur": round(end_ms - start_ms, 3),
            "error": False,
            "open": True,
            "tags": {},
            "metrics": {},
        }
        self._put(
            _Span(
                id=part.parent,
                parent=self._root_id,
                kind=str(Kind.TURN),
                body=_json(made)[:-1],
                start_ms=start_ms,
                end_ms=end_ms,
                is_open=True,
            )
        )
        yield part.parent
        yield from self._place(part.parent)

    def add_line(self, line: dict[str, Any]) -> bytes:
        """Add a line; return it as JSON."""
        # One that does not say when it was written comes after all that was received before it.
        at_ms = time_of(line) or self._last_ms
        self._line_count += 1
        made: dict[str, Any] = {"n": self._line_count, "t": at_ms}
        person = line.get(fields.PARTICIPANT)
        person = person if isinstance(person, dict) else {}
        participant = _text(line.get(fields.PARTICIPANT_ID)) or _text(person.get(fields.ID_KEY))
        name = _text(person.get(fields.NAME_KEY))
        if participant:
            self._names[participant] = name or self._names.get(participant, "")
        number = line.get(fields.LINE)
        error = line.get(fields.ERROR)
        rest = {key: value for key, value in line.items() if key not in _PLACED}
        made |= _filled(
            level=_text(line.get(fields.LEVELNAME)) or "INFO",
            msg=_text(line.get(fields.MESSAGE)),
            span=_text(line.get(fields.DD_SPAN_ID) or line.get(fields.PIPECAT_SPAN_ID)),
            trace=_text(line.get(fields.DD_TRACE_ID) or line.get(fields.PIPECAT_TRACE_ID)),
            participant=participant,
            participant_name=name,
            logger=_text(line.get(fields.NAME)),
            function=_text(line.get(fields.FUNCTION)),
            line=number if type(number) is int else None,
            fields=rest,
            error=error if isinstance(error, dict) else None,
        )
        made.setdefault("msg", "")
        body = _json(made)
        self._lines.append(body)
        self.size += len(body) + _LINE_BYTES
        self._service = self._service or _text(line.get(fields.SERVICE))
        if at_ms:
            self._first_ms = min(self._first_ms, at_ms)
            self._last_ms = max(self._last_ms, at_ms)
        return body

    def forget(self, size: int) -> None:
        """Forget the oldest lines, then the oldest spans, of about a size; the turns last."""
        target = self.size - size
        while self._lines and self.size > target:
            self.size -= len(self._lines.popleft()) + _LINE_BYTES
            self.dropped += 1
        if self.size <= target:
            return
        groups: dict[int, list[_Span]] = {0: [], 1: [], 2: []}
        for span in self._spans.values():
            if span.kind != Kind.SESSION:
                groups[_FORGOTTEN_AS.get(span.kind, 1)].append(span)
        for span in (one for group in groups.values() for one in group):
            if self.size <= target:
                break
            self.size -= span.size
            self.dropped += 1
            del self._spans[span.id]
        # Without those that are gone: a call may go on for weeks.
        self._children = {}
        for span in self._spans.values():
            if span.parent:
                self._children.setdefault(span.parent, []).append(span.id)

    # What goes out

    def summary(self) -> Summary:
        """Return what it adds up to. What is unknown is absent."""
        root, totals = self._root, self._totals
        known: dict[str, Any] = dict(root.metrics) if root is not None else {}
        texts = root.meta if root is not None else {}

        def sum_of(tag: str, so_far: float) -> float | None:
            return known.get(tag, so_far or None)

        turns = sum(1 for span in self._spans.values() if span.kind == Kind.TURN)
        start_ms = None if math.isinf(self._first_ms) else self._first_ms
        end_ms = self._last_ms
        if root is not None:
            start_ms = root.start_ns / _NS_PER_MS
            end_ms = (root.start_ns + root.duration_ns) / _NS_PER_MS
        return _filled(
            id=self.id,
            name=(root.resource if root is not None else "") or self._service,
            service=self._service,
            start=start_ms,
            end=None if self.is_live else end_ms,
            is_live=self.is_live,
            has_no_end=(root is None and not self.is_live) or None,
            turns=int(known.get(tags.SESSION_TURN_COUNT, turns)),
            participants=int(known.get(tags.SESSION_PARTICIPANT_COUNT, len(self._names))),
            participant_names=[name for name in self._names.values() if name],
            outcome=texts.get(tags.SESSION_OUTCOME),
            end_reason=texts.get(tags.SESSION_END_REASON),
            errors=int(known.get(tags.SESSION_ERROR_COUNT, totals.errors)),
            slowest_answer_secs=totals.slowest_answer_secs or None,
            voice_gap_count=sum_of(tags.SESSION_VOICE_GAP_COUNT, totals.gaps),
            voice_gap_secs=sum_of(tags.SESSION_VOICE_GAP_SECONDS, totals.gap_secs),
            blocked_count=sum_of(tags.SESSION_BLOCKED_COUNT, totals.blocks),
            blocked_secs=sum_of(tags.SESSION_BLOCKED_SECONDS, totals.blocked_secs),
            interruptions=int(known.get(tags.SESSION_INTERRUPTION_COUNT, totals.interruptions)),
            span_count=len(self._spans),
            line_count=len(self._lines),
            dropped=self.dropped,
        )

    def json(self, number: int) -> bytes:
        """Return all of it as JSON.

        Args:
            number: The number of the last change that is in it.
        """
        return b'{"session":%s,"spans":[%s],"lines":[%s],"seq":%d}' % (
            _json(self.summary()),
            b",".join(span.json for span in self._spans.values()),
            b",".join(self._lines),
            number,
        )


class _Totals:
    """What spans add up to while the session's own span is not there yet."""

    __slots__ = (
        "blocked_secs",
        "blocks",
        "errors",
        "gap_secs",
        "gaps",
        "interruptions",
        "slowest_answer_secs",
    )

    def __init__(self) -> None:
        self.errors = self.interruptions = 0
        self.slowest_answer_secs = self.gaps = self.gap_secs = self.blocks = 0.0
        self.blocked_secs = 0.0

    def add(self, kind: str, raw: RawSpan) -> None:
        metrics = raw.metrics
        if kind == Kind.TURN:
            waited = metrics.get(tags.TURN_USER_BOT_LATENCY_SECONDS, 0.0)
            self.slowest_answer_secs = max(self.slowest_answer_secs, waited)
            self.gaps += metrics.get(tags.TURN_VOICE_GAP_COUNT, 0.0)
            self.gap_secs += metrics.get(tags.TURN_VOICE_GAP_SECONDS, 0.0)
            self.interruptions += raw.meta.get(tags.TURN_WAS_INTERRUPTED) == "true"
        elif kind == Kind.BLOCKED:
            self.blocks += 1
            self.blocked_secs += raw.duration_ns / 1e9
        elif kind and kind != Kind.SESSION:
            self.errors += raw.error


def _span_of(raw: RawSpan) -> _Span:
    kind = _KINDS.get(raw.name, "")
    if not kind and raw.name.startswith(PREFIX) and tags.SESSION_ID in raw.meta:
        kind = raw.name.removeprefix(PREFIX)  # of a newer version of ours
    start_ms = round(raw.start_ns / _NS_PER_MS, 3)
    # A span that is its own parent has none.
    parent = str(raw.parent_id) if raw.parent_id not in (0, raw.span_id) else ""
    made = _filled(
        id=str(raw.span_id),
        trace=f"{raw.trace_id:032x}",
        parent=parent,
        name=raw.name,
        kind=kind or None,
    ) | {
        "resource": raw.resource,
        "service": raw.service,
        "start": start_ms,
        "dur": round(raw.duration_ns / _NS_PER_MS, 3),
        "error": raw.error,
        "tags": {
            key: value
            for key, value in raw.meta.items()
            if _is_shown(key) and (key, value) != _DDTRACES_LANGUAGE
        },
        "metrics": {key: value for key, value in raw.metrics.items() if _is_shown(key)},
    }
    return _Span(
        id=str(raw.span_id),
        parent=parent,
        kind=kind,
        body=_json(made)[:-1],
        start_ms=start_ms,
        end_ms=start_ms + raw.duration_ns / _NS_PER_MS,
    )


def _is_shown(tag: str) -> bool:
    return not tag.startswith("_") and tag not in _LEFT_OUT


def time_of(line: dict[str, Any]) -> float:
    """Return when a line was written, in milliseconds since the epoch; 0 if it does not say.

    A number may be in seconds, as `time.time()` is, in milliseconds, microseconds or nanoseconds:
    whichever puts it between 1973 and 5138.
    """
    given: Any = line.get(fields.TIMESTAMP)
    try:
        if isinstance(given, str):
            given = datetime.fromisoformat(given).timestamp()
        if type(given) in (int, float) and math.isfinite(given):
            for unit_ms in (1e3, 1.0, 1e-3, 1e-6):
                if _FIRST_MS <= given * unit_ms < _END_MS:
                    return float(given * unit_ms)
    except (ValueError, OverflowError, OSError):
        pass
    return 0.0


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else str(value)


def _filled(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value not in (None, "", {})}


def _json(value: Any) -> bytes:
    try:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except ValueError:  # a number that JSON lacks
        text = json.dumps(_finite(value), ensure_ascii=False, separators=(",", ":"))
    # "replace": half of a character, which JSON can hold and UTF-8 cannot.
    return text.encode("utf-8", "replace")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_finite(one) for one in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value

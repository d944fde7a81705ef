"""Reads what ddtrace and our log lines' sender send to an Agent and to the log intake.

Nothing that comes in is trusted: what is not as it must be raises `PayloadError`, and texts and
counts are bounded.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgpack  # type: ignore[import-untyped]

MAX_SPANS: Final = 100_000
"""The most spans in one payload: ddtrace sends at most 20 MB."""
MAX_LINES: Final = 10_000
_MAX_CONTAINERS: Final = 1_000_000
"""The most lists and maps in one payload. Each takes some 60 bytes, and one byte in MessagePack."""
_MAX_TAGS: Final = 1_000
_MAX_TEXT_CHARS: Final = 30_000
_MAX_NAME_CHARS: Final = 1_000
_MAX_ID: Final = 2**64 - 1
_MAX_NS: Final = 2**63 - 1

_UPPER_TRACE_ID: Final = "_dd.p.tid"
_FIELDS_05: Final = 12
"""How many values a span has in version 0.5 of the protocol."""


class PayloadError(ValueError):
    """A payload is malformed. The message says where, and quotes nothing of it."""


@dataclass(slots=True)
class RawSpan:
    """A span as ddtrace sends it.

    Attributes:
        trace_id: The trace's id, 64 or, where known, 128 bits.
        span_id: The span's id.
        parent_id: Its parent's id; 0 for a root.
        name: The operation's name.
        resource: The resource.
        service: The service.
        start_ns: The start, in nanoseconds since the epoch.
        duration_ns: The duration.
        error: Whether it failed.
        meta: Tags with text values.
        metrics: Tags with numbers, all of them finite.
    """

    trace_id: int
    span_id: int
    parent_id: int
    name: str
    resource: str
    service: str
    start_ns: int
    duration_ns: int
    error: bool
    meta: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)


def spans_of(body: bytes, version: str) -> list[RawSpan]:
    """Return the spans of a request.

    Args:
        body: The request's body, in MessagePack or JSON.
        version: The protocol's: ``v0.3``, ``v0.4`` or ``v0.5``.

    Raises:
        PayloadError: The payload is malformed.
    """
    given = _json(body) if body[:1] in (b"[", b"{") else _unpacked(body)
    if version == "v0.5":
        return _spans_05(given)
    return [
        span for trace in _list(given, "traces") for span in _whole(_list(trace, "a trace"), _span)
    ]


def lines_of(body: bytes) -> list[dict[str, Any]]:
    """Return the lines of a request to the log intake.

    Raises:
        PayloadError: The payload is malformed.
    """
    given = _json(body)
    lines = _list(given, "lines") if isinstance(given, list) else [given]
    if len(lines) > MAX_LINES:
        raise PayloadError(f"more than {MAX_LINES} lines")
    if not all(isinstance(line, dict) for line in lines):
        raise PayloadError("a line is not an object")
    return lines


def line_of(text: str) -> dict[str, Any] | None:
    """Return a line of a log file; None for one that is no JSON object."""
    if not text.lstrip().startswith("{"):
        return None
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return line if isinstance(line, dict) else None


def span_kept(given: dict[str, Any]) -> RawSpan:
    """Return a span that was written as the dictionary of a `RawSpan`.

    Raises:
        PayloadError: It is malformed.
    """
    span = _span(given | {"start": given.get("start_ns"), "duration": given.get("duration_ns")})
    span.trace_id = _int(given.get("trace_id"), "trace_id")
    return span


def _unpacked(body: bytes) -> Any:
    count = 0

    def counted(made: Any) -> Any:
        nonlocal count
        count += 1
        if count > _MAX_CONTAINERS:
            raise PayloadError(f"more than {_MAX_CONTAINERS} lists and maps")
        return made

    try:
        return msgpack.unpackb(
            body,
            raw=False,
            unicode_errors="replace",
            strict_map_key=False,
            max_array_len=MAX_SPANS,
            max_map_len=_MAX_TAGS * 10,
            list_hook=counted,
            object_hook=counted,
        )
    except PayloadError:
        raise
    except Exception as error:  # of several unrelated classes
        raise PayloadError(f"not MessagePack ({type(error).__name__})") from None


def _json(body: bytes) -> Any:
    # Those in texts count as well: a payload has far fewer.
    if body.count(b"[") + body.count(b"{") > _MAX_CONTAINERS:
        raise PayloadError(f"more than {_MAX_CONTAINERS} lists and objects")
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise PayloadError("no JSON") from None


def _list(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise PayloadError(f"{what}: no list")
    if len(value) > MAX_SPANS:
        raise PayloadError(f"{what}: more than {MAX_SPANS}")
    return value


def _whole(trace: list[Any], read: Callable[[Any], RawSpan]) -> list[RawSpan]:
    """Return the spans of one trace's part, all with the 128 bits of its trace's id."""
    spans = [read(one) for one in trace]
    upper = next((found for span in spans if (found := span.meta.get(_UPPER_TRACE_ID))), "")
    try:
        high = int(upper, 16) if 0 < len(upper) <= 16 else 0
    except ValueError:
        high = 0
    for span in spans:
        span.trace_id |= high << 64
    return spans


def _span(given: Any) -> RawSpan:
    if not isinstance(given, dict):
        raise PayloadError("a span is not a map")
    return RawSpan(
        trace_id=_int(given.get("trace_id"), "trace_id") & _MAX_ID,
        span_id=_int(given.get("span_id"), "span_id"),
        parent_id=_int(given.get("parent_id") or 0, "parent_id"),
        name=_text(given.get("name"), "name"),
        resource=_text(given.get("resource") or "", "resource"),
        service=_text(given.get("service") or "", "service"),
        start_ns=_int(given.get("start"), "start", most=_MAX_NS),
        duration_ns=_int(given.get("duration"), "duration", most=_MAX_NS),
        error=bool(given.get("error")),
        meta=_meta(given.get("meta") or {}),
        metrics=_metrics(given.get("metrics") or {}),
    )


def _spans_05(given: Any) -> list[RawSpan]:
    parts = _list(given, "a payload")
    if len(parts) != 2:
        raise PayloadError("a payload does not have two parts")
    texts = _list(parts[0], "the table of texts")
    if not all(isinstance(text, str) for text in texts):
        raise PayloadError("the table of texts contains something else")

    def text(index: Any) -> str:
        if type(index) is not int or not 0 <= index < len(texts):
            raise PayloadError("an index outside the table of texts")
        found: str = texts[index]
        return found

    def pairs(given: Any) -> Mapping[Any, Any]:
        if not isinstance(given, dict):
            raise PayloadError("tags are not a map")
        return given

    def span(given: Any) -> RawSpan:
        if not isinstance(given, list) or len(given) != _FIELDS_05:
            raise PayloadError(f"a span does not have {_FIELDS_05} values")
        service, name, resource, trace_id, span_id, parent_id, start, duration, error = given[:9]
        return RawSpan(
            trace_id=_int(trace_id, "trace_id") & _MAX_ID,
            span_id=_int(span_id, "span_id"),
            parent_id=_int(parent_id, "parent_id"),
            name=_text(text(name), "name"),
            resource=_text(text(resource), "resource"),
            service=_text(text(service), "service"),
            start_ns=_int(start, "start", most=_MAX_NS),
            duration_ns=_int(duration, "duration", most=_MAX_NS),
            error=bool(error),
            meta=_meta({text(key): text(value) for key, value in pairs(given[9]).items()}),
            metrics=_metrics({text(key): value for key, value in pairs(given[10]).items()}),
        )

    return [one for trace in _list(parts[1], "traces") for one in _whole(_list(trace, "it"), span)]


def _int(value: Any, what: str, *, most: int = 2**128) -> int:
    if type(value) is not int or not 0 <= value <= most:
        raise PayloadError(f"{what} is not a whole number from 0 on")
    return value


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise PayloadError(f"{what} is not text")
    return value[:_MAX_NAME_CHARS]


def _meta(given: Any) -> dict[str, str]:
    return {
        key[:_MAX_NAME_CHARS]: value[:_MAX_TEXT_CHARS]
        for key, value in _bounded(given).items()
        if isinstance(key, str) and isinstance(value, str)
    }


def _metrics(given: Any) -> dict[str, float]:
    return {
        key[:_MAX_NAME_CHARS]: value
        for key, value in _bounded(given).items()
        if isinstance(key, str) and type(value) in (int, float) and math.isfinite(value)
    }


def _bounded(given: Any) -> Mapping[Any, Any]:
    if not isinstance(given, dict):
        raise PayloadError("tags are not a map")
    if len(given) > _MAX_TAGS:
        raise PayloadError(f"more than {_MAX_TAGS} tags")
    return given

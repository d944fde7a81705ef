"""Starts, dates, describes and finishes spans."""

import math
import re
from collections.abc import Iterator
from typing import Final

from ddtrace.constants import ERROR_MSG, ERROR_STACK, ERROR_TYPE, VERSION_KEY

from pipecat_dd import _guard
from pipecat_dd._ddtrace.busy import BUSY
from pipecat_dd._ddtrace.public import Active, Span, tracer
from pipecat_dd._ddtrace.sending import PARTS_LEAVE
from pipecat_dd._ddtrace.settings import unified
from pipecat_dd._private import peek
from pipecat_dd.names import fields

MEASURED = "_dd.measured"

_SURROGATES: Final = re.compile("[\ud800-\udfff]")


def writable(text: str) -> str:
    """Replace the characters of a text that UTF-8 cannot encode.

    Half a surrogate pair (from a file name, or a text that was cut) cannot be encoded. ddtrace
    would drop the span, and with it all that it was about to send of the trace.
    """
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return _SURROGATES.sub("\ufffd", text)
    return text


def start(name: str, parent: Active, resource: str) -> Span:
    """Start a span without making it active.

    Args:
        name: The span's operation name.
        parent: The span's parent, which need not have been started.
        resource: Any text.
    """
    with BUSY:
        span = tracer.start_span(name, child_of=parent, resource=writable(resource))
    # A started span must be finished, so nothing may raise from here on.
    try:
        _set_version(span)
    except Exception as error:
        _guard.spans.failed(error)
    return span


def _set_version(span: Span) -> None:
    """Set ``DD_VERSION`` on a span; ddtrace decides by the active span, which may be unrelated."""
    version = unified()[2]
    if version is not None and span.get_tag(VERSION_KEY) is None:
        span.set_tag(VERSION_KEY, version)


def place(span: Span, start_ns: int, span_id: int, *, is_root: bool = False) -> None:
    """Set the start and the id of a span that has just been started.

    Args:
        span: The span.
        start_ns: When it began, in nanoseconds since the epoch.
        span_id: The id reserved for it.
        is_root: Whether to remove the parent, because it will never be sent.
    """
    if is_root:
        span.parent_id = None
    span.start_ns = start_ns
    span.span_id = span_id


def finish(span: Span, end_ns: int) -> None:
    """Finish a span, and send all finished spans of its trace, though others may be open.

    Args:
        span: The span.
        end_ns: When it ended, in nanoseconds since the epoch. A time before its start counts as
            its start, since ddtrace accepts negative durations.
    """
    end_secs = max(end_ns, span.start_ns) / 1e9
    while int(end_secs * 1e9) < span.start_ns:
        # Seconds in a float are some 200 ns apart.
        end_secs = math.nextafter(end_secs, math.inf)
    with BUSY, PARTS_LEAVE:
        span.finish(end_secs)


def set_tag(span: Span, name: str, value: str) -> None:
    """Set a tag on a span; characters that cannot be encoded are replaced."""
    span.set_tag(writable(name), writable(value))


def set_metric(span: Span, name: str, value: float) -> None:
    """Set a number on a span."""
    span.set_metric(writable(name), value)


def set_error(span: Span, type_: str, message: str, stack: str) -> None:
    """Mark a span as failed.

    Args:
        span: The span.
        type_: The error's type, such as ``ValueError``.
        message: The error's message.
        stack: The traceback; empty if there is none.
    """
    span.error = 1
    set_tag(span, ERROR_TYPE, type_)
    set_tag(span, ERROR_MSG, message)
    if stack:
        set_tag(span, ERROR_STACK, stack)


def clear_error(span: Span) -> None:
    """Remove the error from a span."""
    span.error = 0
    remove = getattr(span, "remove_tag", None)
    if remove is None:  # not in every ddtrace
        remove = getattr(peek(span, "_meta"), "pop", None)
    for name in (ERROR_TYPE, ERROR_MSG, ERROR_STACK):
        if remove is not None and span.get_tag(name) is not None:
            remove(name)


def is_by_otel(span: Span) -> bool:
    """Whether a span was started through OpenTelemetry's API."""
    return bool(peek(span, "_span_api") == "otel")


def with_those_above(span: Span) -> Iterator[Span]:
    """Yield a span, its parent, and so on, as far as they are in this process."""
    found: Span | None = span
    while found is not None:
        yield found
        found = peek(found, "_parent")


def log_ids(active: Active) -> tuple[str | None, str | None]:
    """Return the trace and span id of a span or context, as ddtrace writes them into log lines.

    Each is None if there is none.
    """
    ids = tracer.get_log_correlation_context(active)
    trace_id, span_id = ids.get(fields.DD_TRACE_ID), ids.get(fields.DD_SPAN_ID)
    return (
        trace_id if trace_id and trace_id != "0" else None,
        span_id if span_id and span_id != "0" else None,
    )

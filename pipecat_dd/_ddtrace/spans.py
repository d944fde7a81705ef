"""Spans: dated, started and finished in one go."""

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
    """Return text of characters that UTF-8 has.

    Half a surrogate pair (of a file's name, or of text that was cut) cannot be encoded: ddtrace
    then drops the span, and with it what else it was about to send of the trace.

    Args:
        text: Any text.
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
        name: Its name.
        parent: Its parent, which need not have been started.
        resource: Its resource.
    """
    with BUSY:
        span = tracer.start_span(name, child_of=parent, resource=writable(resource))
    # What is started must be finished: nothing may be raised from here on.
    try:
        _set_version(span)
    except Exception as error:
        _guard.spans.failed(error)
    return span


def _set_version(span: Span) -> None:
    """Put ``DD_VERSION`` on a span: ddtrace goes by what is active, which may be another's."""
    version = unified()[2]
    if version is not None and span.get_tag(VERSION_KEY) is None:
        span.set_tag(VERSION_KEY, version)


def place(span: Span, start_ns: int, span_id: int, *, is_root: bool = False) -> None:
    """Put a span that has just been started where it belongs.

    Args:
        span: The span.
        start_ns: When it began, in nanoseconds since the epoch.
        span_id: The id reserved for it.
        is_root: Whether the parent that it was started with is never sent.
    """
    if is_root:
        span.parent_id = None
    span.start_ns = start_ns
    span.span_id = span_id


def finish(span: Span, end_ns: int) -> None:
    """Finish a span, and send what has finished in its trace, whoever has a span open there.

    Args:
        span: The span.
        end_ns: When it ended, in nanoseconds since the epoch; a time before its start is
            taken to be its start, since ddtrace does not clamp a negative duration.
    """
    end_secs = max(end_ns, span.start_ns) / 1e9
    while int(end_secs * 1e9) < span.start_ns:
        # Seconds in a float are some 200 ns apart.
        end_secs = math.nextafter(end_secs, math.inf)
    with BUSY, PARTS_LEAVE:
        span.finish(end_secs)


def set_tag(span: Span, name: str, value: str) -> None:
    """Put text on a span.

    Args:
        span: The span.
        name: The tag's name.
        value: The text.
    """
    span.set_tag(writable(name), writable(value))


def set_metric(span: Span, name: str, value: float) -> None:
    """Put a number on a span.

    Args:
        span: The span.
        name: The metric's name.
        value: The number.
    """
    span.set_metric(writable(name), value)


def set_error(span: Span, type_: str, message: str, stack: str) -> None:
    """Mark a span as failed.

    Args:
        span: The span.
        type_: The kind of error.
        message: What it says.
        stack: Its traceback; left out where it is empty.
    """
    span.error = 1
    set_tag(span, ERROR_TYPE, type_)
    set_tag(span, ERROR_MSG, message)
    if stack:
        set_tag(span, ERROR_STACK, stack)


def clear_error(span: Span) -> None:
    """Take off a span that it has failed.

    Args:
        span: The span.
    """
    span.error = 0
    remove = getattr(span, "remove_tag", None)
    if remove is None:  # not in every ddtrace
        remove = getattr(peek(span, "_meta"), "pop", None)
    for name in (ERROR_TYPE, ERROR_MSG, ERROR_STACK):
        if remove is not None and span.get_tag(name) is not None:
            remove(name)


def is_by_otel(span: Span) -> bool:
    """Whether a span was begun through OpenTelemetry's interface.

    Args:
        span: The span.
    """
    return bool(peek(span, "_span_api") == "otel")


def with_those_above(span: Span) -> Iterator[Span]:
    """Yield a span, its parent, and so on, as far as they are here."""
    found: Span | None = span
    while found is not None:
        yield found
        found = peek(found, "_parent")


def log_ids(active: Active) -> tuple[str | None, str | None]:
    """Return the trace and span id of a span as ddtrace writes them into log lines.

    Args:
        active: The span, or its context.
    """
    ids = tracer.get_log_correlation_context(active)
    trace_id, span_id = ids.get(fields.DD_TRACE_ID), ids.get(fields.DD_SPAN_ID)
    return (
        trace_id if trace_id and trace_id != "0" else None,
        span_id if span_id and span_id != "0" else None,
    )

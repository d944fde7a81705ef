"""Spans: dated, started and finished in one go, and what stands in for them until then."""

import math
import re
from collections.abc import Iterator
from typing import Final

from ddtrace.constants import ERROR_MSG, ERROR_STACK, ERROR_TYPE

from pipecat_dd._ddtrace.busy import BUSY
from pipecat_dd._ddtrace.public import Active, Context, Span, tracer
from pipecat_dd._ddtrace.settings import mapped_service
from pipecat_dd._private import peek

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


def stand_in(name: str, parent: Active, resource: str, start_ns: int, span_id: int) -> Span:
    """Return a span that others can be children of while it has not been started.

    ddtrace keeps back what has finished in a trace until all that was *started* in it has. A
    span that is made but not started holds nothing back, and its children are what those of a
    started span are: of its service, and no entry to it.

    Args:
        name: The name of the span it stands in for.
        parent: That span's parent.
        resource: Its resource.
        start_ns: When it began, in nanoseconds since the epoch.
        span_id: Its id.
    """
    context = parent if isinstance(parent, Context) else parent.context
    assert context.trace_id is not None
    span = Span(
        name,
        service=mapped_service(),
        resource=writable(resource),
        trace_id=context.trace_id,
        span_id=span_id,
        parent_id=parent.span_id,
        context=context.copy(context.trace_id, span_id),
    )
    span.start_ns = start_ns
    return span


def retire(stand_in: Span) -> None:
    """Mark a stand-in as over, so that ddtrace no longer takes it to be active.

    Args:
        stand_in: The span, which was never started and so is not sent.
    """
    with BUSY:
        stand_in.finish()


def start(name: str, parent: Active, resource: str) -> Span:
    """Start a span without making it active.

    Args:
        name: Its name.
        parent: Its parent, which need not have been started.
        resource: Its resource.
    """
    with BUSY:
        return tracer.start_span(name, child_of=parent, resource=writable(resource))


def place(span: Span, start_ns: int, span_id: int) -> None:
    """Put a span that has just been started where it belongs.

    Args:
        span: The span.
        start_ns: When it began, in nanoseconds since the epoch.
        span_id: The id reserved for it.
    """
    span.start_ns = start_ns
    span.span_id = span_id


def finish(span: Span, end_ns: int) -> None:
    """Finish a span.

    Args:
        span: The span.
        end_ns: When it ended, in nanoseconds since the epoch; a time before its start is
            taken to be its start, since ddtrace does not clamp a negative duration.
    """
    end_secs = max(end_ns, span.start_ns) / 1e9
    while int(end_secs * 1e9) < span.start_ns:
        # Seconds in a float are some 200 ns apart.
        end_secs = math.nextafter(end_secs, math.inf)
    with BUSY:
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
    fields = tracer.get_log_correlation_context(active)
    trace_id, span_id = fields.get("dd.trace_id"), fields.get("dd.span_id")
    return (
        trace_id if trace_id and trace_id != "0" else None,
        span_id if span_id and span_id != "0" else None,
    )

"""Capture the spans that ddtrace would send.

A trace filter is ddtrace's public API to inspect traces before they are sent, and to drop them.
ddtrace calls it when a span finishes, so captured spans are available immediately.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ddtrace.trace import Span, TraceFilter, tracer

from pipecat_dd._private import peek
from pipecat_dd.testing.captured import CapturedSpan

PRIVATE: dict[str, str] = {
    "Tracer._span_aggregator": "the user's own trace filters, which run "
    "before the capture and are restored after it",
}
"""The private names that this module uses, and what for."""


class _CaptureFilter(TraceFilter):
    def __init__(self, take: Callable[[CapturedSpan], None]) -> None:
        self._take = take

    def process_trace(self, trace: list[Span]) -> list[Span] | None:
        for span in trace:
            self._take(_captured(span))
        return None


@contextmanager
def capture_spans(take: Callable[[CapturedSpan], None]) -> Iterator[None]:
    """Capture finished spans within a block, instead of sending them.

    This turns tracing on for the block, even if ``DD_TRACE_ENABLED=false`` has turned it off, as is
    usual in tests.

    Args:
        take: Called with each span, in the thread that finished it.
    """
    was_enabled = tracer.enabled
    filters = _users_filters()
    # The user's filters run first, so that the spans are captured as they would be sent.
    tracer.configure(trace_processors=[*filters, _CaptureFilter(take)])
    tracer.enabled = True
    try:
        yield
    finally:
        tracer.configure(trace_processors=filters)
        tracer.enabled = was_enabled


def _users_filters() -> list[Any]:
    found = getattr(peek(tracer, "_span_aggregator"), "user_processors", None)
    return [one for one in found or [] if not isinstance(one, _CaptureFilter)]


def _captured(span: Span) -> CapturedSpan:
    tags: dict[str, Any] = {**span.get_tags(), **span.get_metrics()}
    return CapturedSpan(
        name=span.name,
        resource=span.resource,
        service=span.service,
        span_id=span.span_id,
        parent_id=span.parent_id or 0,
        trace_id=span.trace_id,
        start_ns=span.start_ns,
        duration_ns=span.duration_ns or 0,
        is_error=bool(span.error),
        tags={_text(name): _value(value) for name, value in tags.items()},
    )


def _text(text: str | bytes) -> str:
    return text if isinstance(text, str) else text.decode("utf8", "replace")


def _value(value: Any) -> str | float:
    return value if isinstance(value, (int, float)) else _text(value)

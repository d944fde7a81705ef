"""Takes the spans that ddtrace would send.

A filter of traces is ddtrace's public way to see what is about to be sent, and to stop it. It is
called where a span finishes, so nothing has to be waited for.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ddtrace.trace import Span, TraceFilter, tracer

from pipecat_dd._private import peek
from pipecat_dd.testing.seen import SeenSpan

PRIVATE: dict[str, str] = {
    "Tracer._span_aggregator": "the user's own filters of traces, which see "
    "the spans first, and stand alone again afterwards",
}
"""What is used here without being public, and what it is used for."""


class _Divert(TraceFilter):
    def __init__(self, take: Callable[[SeenSpan], None]) -> None:
        self._take = take

    def process_trace(self, trace: list[Span]) -> list[Span] | None:
        for span in trace:
            self._take(_seen(span))
        return None


@contextmanager
def diverted(take: Callable[[SeenSpan], None]) -> Iterator[None]:
    """Have finished spans handed over instead of sent.

    Tracing is on meanwhile, also where ``DD_TRACE_ENABLED=false`` has turned it off, as it
    mostly is for tests.

    Args:
        take: Called with each, in the thread that finished it.
    """
    was_enabled = tracer.enabled
    filters = _users_filters()
    # The user's own come first: what is captured is what would have been sent.
    tracer.configure(trace_processors=[*filters, _Divert(take)])
    tracer.enabled = True
    try:
        yield
    finally:
        tracer.configure(trace_processors=filters)
        tracer.enabled = was_enabled


def _users_filters() -> list[Any]:
    found = getattr(peek(tracer, "_span_aggregator"), "user_processors", None)
    return [one for one in found or [] if not isinstance(one, _Divert)]


def _seen(span: Span) -> SeenSpan:
    tags: dict[str, Any] = {**span.get_tags(), **span.get_metrics()}
    return SeenSpan(
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

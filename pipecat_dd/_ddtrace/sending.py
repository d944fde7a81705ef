"""What becomes of spans between their finish and the writer that sends them."""

import contextlib
import threading
from collections.abc import Callable, Iterable
from typing import Any

from ddtrace.trace import TraceFilter

from pipecat_dd import _guard
from pipecat_dd._ddtrace.busy import BUSY
from pipecat_dd._ddtrace.public import Span, tracer
from pipecat_dd._forks import in_forked_processes
from pipecat_dd._private import peek


class _PartsLeave:
    """Has a span that finishes take along all that has finished in its trace.

    ddtrace waits for all spans that were started in a trace, those of others too, or for 300
    that have finished (``DD_TRACE_PARTIAL_FLUSH_MIN_SPANS``, read when it is imported). That
    number is lowered for as long as a span of ours finishes, and not for other people's traces.
    """

    def __init__(self) -> None:
        # A signal's handler may finish a span in the very thread that finishes one.
        self._lock = threading.RLock()
        self._count = 0
        self._before: tuple[Any, bool, int] | None = None

    def __enter__(self) -> None:
        with self._lock:
            if self._count == 0:
                # Whatever fails here, the span in this block must be finished.
                try:
                    self._before = _lower()
                except Exception as error:
                    _guard.spans.failed(error)
            self._count += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._count -= 1
            if self._count == 0:
                try:
                    self._restore()
                except Exception as error:
                    _guard.spans.failed(error)

    def _restore(self) -> None:
        if self._before is not None:
            aggregator, is_on, least = self._before
            self._before = None
            aggregator.partial_flush_enabled = is_on
            aggregator.partial_flush_min_spans = least

    def renew(self) -> None:
        """In a forked process: the threads that were at it are not here."""
        self._lock = threading.RLock()
        if self._count:
            self._count = 0
            self._restore()


def _lower() -> tuple[Any, bool, int] | None:
    """Have any span that finishes take along all that has; return what was set, if known."""
    aggregator = peek(tracer, "_span_aggregator")
    is_on = getattr(aggregator, "partial_flush_enabled", None)
    least = getattr(aggregator, "partial_flush_min_spans", None)
    if aggregator is None or not isinstance(is_on, bool) or not isinstance(least, int):
        return None  # they wait, as they would without us
    aggregator.partial_flush_enabled = True
    aggregator.partial_flush_min_spans = 1
    return aggregator, is_on, least


PARTS_LEAVE = _PartsLeave()
"""Marks a block in which a span finishes: ``with PARTS_LEAVE:``."""

in_forked_processes(PARTS_LEAVE.renew)


def send_finished(trace_ids: Iterable[int]) -> None:
    """Hand over to the writer what has finished in traces that somebody has a span open in.

    Args:
        trace_ids: The traces.
    """
    aggregator = peek(tracer, "_span_aggregator")
    traces, lock = peek(aggregator, "_traces"), peek(aggregator, "_lock")
    for trace_id in trace_ids:
        # Whatever it is that ddtrace has changed, what is open goes on as it would without us.
        with contextlib.suppress(Exception):
            trace = traces.get(trace_id)
            if trace is None:
                continue
            with lock, BUSY, PARTS_LEAVE:
                done = next((span for span in trace.spans if span.finished), None)
                if done is not None:
                    trace.num_finished -= 1  # it is counted again, as if it had finished now
                    aggregator.on_span_finish(done)


Spans = list[Span]


class _PassingBy(TraceFilter):
    """Shows what is about to be sent to us, before the user's own filters see it."""

    def __init__(self, look: Callable[[Spans], Spans]) -> None:
        self._look = look

    def process_trace(self, trace: Spans) -> Spans | None:
        try:
            return self._look(trace) if trace else trace
        except Exception as error:
            _guard.spans.failed(error)
            return trace


def look_at_parts(look: Callable[[Spans], Spans]) -> bool:
    """Have each part of a trace pass by before it is sent. Once in a process.

    ddtrace's public way, ``tracer.configure(trace_processors=...)``, takes the place of the
    user's own filters, and makes the writer anew.

    Args:
        look: Given spans of one trace that have finished, returns those to send now.

    Returns:
        Whether they pass by.
    """
    filters = _filters()
    if filters is not None and not looks_at_parts():
        filters.append(_PassingBy(look))
    return filters is not None


def looks_at_parts() -> bool:
    """Whether each part of a trace passes by before it is sent."""
    return any(isinstance(one, _PassingBy) for one in _filters() or ())


def _filters() -> list[Any] | None:
    """Return ddtrace's own filters, which none of the user's takes the place of."""
    found = getattr(peek(tracer, "_span_aggregator"), "dd_processors", None)
    return found if isinstance(found, list) else None

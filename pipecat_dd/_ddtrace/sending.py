"""Processes finished spans before the writer sends them, and has them sent early."""

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
    """Sends, when one of our spans finishes, all finished spans of its trace.

    By itself ddtrace waits until all spans started in a trace have finished, or at least 300 of
    them (``DD_TRACE_PARTIAL_FLUSH_MIN_SPANS``, read when ddtrace is imported). This lowers that
    number while a span of ours finishes, so that no other trace is affected.
    """

    def __init__(self) -> None:
        # Reentrant: a signal handler may finish a span in a thread that is finishing one.
        self._lock = threading.RLock()
        self._count = 0
        self._before: tuple[Any, bool, int] | None = None

    def __enter__(self) -> None:
        with self._lock:
            if self._count == 0:
                # Whatever fails here, the span must finish.
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
        """Reset in a forked process, which lacks the threads that were finishing spans."""
        self._lock = threading.RLock()
        if self._count:
            self._count = 0
            self._restore()


def _lower() -> tuple[Any, bool, int] | None:
    """Lower the number to one; return the settings before, or None if they are unknown."""
    aggregator = peek(tracer, "_span_aggregator")
    is_on = getattr(aggregator, "partial_flush_enabled", None)
    least = getattr(aggregator, "partial_flush_min_spans", None)
    if aggregator is None or not isinstance(is_on, bool) or not isinstance(least, int):
        return None  # finished spans wait, as they would without us
    aggregator.partial_flush_enabled = True
    aggregator.partial_flush_min_spans = 1
    return aggregator, is_on, least


PARTS_LEAVE = _PartsLeave()
"""Marks a block in which a span of ours finishes: ``with PARTS_LEAVE:``."""

in_forked_processes(PARTS_LEAVE.renew)


def send_finished(trace_ids: Iterable[int]) -> None:
    """Pass to the writer the finished spans of traces in which other spans are still open.

    Args:
        trace_ids: The ids of the traces.
    """
    aggregator = peek(tracer, "_span_aggregator")
    traces, lock = peek(aggregator, "_traces"), peek(aggregator, "_lock")
    for trace_id in trace_ids:
        # If this fails with another version of ddtrace, the spans wait as they would without us.
        with contextlib.suppress(Exception):
            trace = traces.get(trace_id)
            if trace is None:
                continue
            with lock, BUSY, PARTS_LEAVE:
                done = next((span for span in trace.spans if span.finished), None)
                if done is not None:
                    trace.num_finished -= 1  # the next call counts it again
                    aggregator.on_span_finish(done)


Spans = list[Span]


class _PassingBy(TraceFilter):
    """Lets us process spans that are about to be sent, before the user's own filters do."""

    def __init__(self, look: Callable[[Spans], Spans]) -> None:
        self._look = look

    def process_trace(self, trace: Spans) -> Spans | None:
        try:
            return self._look(trace) if trace else trace
        except Exception as error:
            _guard.spans.failed(error)
            return trace


def look_at_parts(look: Callable[[Spans], Spans]) -> bool:
    """Process each part of a trace before it is sent; done once per process.

    ddtrace's public ``tracer.configure(trace_processors=...)`` would replace the user's own
    filters and create a new writer.

    Args:
        look: Given finished spans of one trace, returns those to send now.

    Returns:
        Whether this ddtrace allows it.
    """
    filters = _filters()
    if filters is not None and not looks_at_parts():
        filters.append(_PassingBy(look))
    return filters is not None


def looks_at_parts() -> bool:
    """Whether each part of a trace is processed before it is sent."""
    return any(isinstance(one, _PassingBy) for one in _filters() or ())


def _filters() -> list[Any] | None:
    """Return the list of ddtrace's own filters, which the user's never replace."""
    found = getattr(peek(tracer, "_span_aggregator"), "dd_processors", None)
    return found if isinstance(found, list) else None

"""Metrics about this package itself: its errors, the events and lines it dropped.

These are counted where they happen, from the start of the process, whether or not metrics are
sent. Here the counts are read at intervals, and the increase since the last reading is sent.
"""

import threading
from collections.abc import Callable, Iterator, Mapping

from pipecat_dd import _guard
from pipecat_dd.export import shipping
from pipecat_dd.export.metrics.sample import Sample
from pipecat_dd.names import metric_tags, metrics

Read = Callable[[], Mapping[str, int]]
"""Returns the counts so far by the value of the metric's tag, or by ``""`` if it has no tag."""


def _failures() -> Mapping[str, int]:
    return {name: part.failures for name, part in _guard.parts().items()}


def _dropped_events() -> Mapping[str, int]:
    return {"": _guard.dropped_count()}


def _shipped() -> Mapping[str, int]:
    return {"": shipping.shipping_counts().shipped}


_SENT_AS_ZERO = metrics.LOGS_SHIPPED
"""Also sent as 0 if lines were dropped: without it, the share of shipped lines has no value."""


def _dropped_lines() -> Mapping[str, int]:
    return shipping.shipping_counts().dropped


SOURCES: list[tuple[str, str | None, Read]] = [
    (metrics.OBSERVER_FAILURES, metric_tags.PART, _failures),
    (metrics.OBSERVER_SHED, None, _dropped_events),
    (metrics.LOGS_SHIPPED, None, _shipped),
    (metrics.LOGS_DROPPED, metric_tags.REASON, _dropped_lines),
]
"""The metrics: the name in the contract, its tag, and the function that returns the counts."""


class OwnMetrics:
    """Yields the increase of the counts since the last call."""

    def __init__(self) -> None:
        self._reported: dict[tuple[str, str], int] = {}
        self._lock = threading.RLock()

    def poll(self) -> Iterator[Sample]:
        """Yield what was added since the last call, and how many parts are off."""
        with self._lock:
            for metric, tag, value, count in _counts():
                before = self._reported.get((metric, value), 0)
                # If it is less than before, the counter has started again from zero.
                added = count - before if count >= before else count
                self._reported[metric, value] = count
                if added > 0 or (metric == _SENT_AS_ZERO and any(_dropped_lines().values())):
                    yield Sample(metric, added, {tag: value} if tag else {})
        off = sum(part.off for part in _guard.parts().values())
        yield Sample(metrics.OBSERVER_PARTS_OFF, off)

    def after_fork(self) -> None:
        """Exclude what the parent has counted, since the parent reports it."""
        self._lock = threading.RLock()
        self._reported = {(metric, value): count for metric, _, value, count in _counts()}


def _counts() -> Iterator[tuple[str, str | None, str, int]]:
    for metric, tag, read in SOURCES:
        for value, count in read().items():
            yield metric, tag, value, count

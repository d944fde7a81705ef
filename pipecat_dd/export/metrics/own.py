"""What this package says of itself: errors of its own, and what it let go.

Each of these is counted where it happens, from the process's beginning on, whether metrics are
sent or not. Here the counts are read now and then, and what has been added is sent.
"""

import threading
from collections.abc import Callable, Iterator, Mapping

from pipecat_dd import _guard
from pipecat_dd.export import shipping
from pipecat_dd.export.metrics.sample import Sample
from pipecat_dd.names import metric_tags, metrics

Read = Callable[[], Mapping[str, int]]
"""Returns the counts so far, by the value of the metric's tag; by ``""`` where it has none."""


def _failures() -> Mapping[str, int]:
    return {name: part.failures for name, part in _guard.parts().items()}


def _shed() -> Mapping[str, int]:
    return {"": _guard.dropped_count()}


def _shipped() -> Mapping[str, int]:
    return {"": shipping.counts().shipped}


_WITHOUT_LINES = metrics.LOGS_SHIPPED
"""Sent as 0, too, where lines were dropped: a share cannot be taken of what was never sent."""


def _dropped() -> Mapping[str, int]:
    return shipping.counts().dropped


SOURCES: list[tuple[str, str | None, Read]] = [
    (metrics.OBSERVER_FAILURES, metric_tags.PART, _failures),
    (metrics.OBSERVER_SHED, None, _shed),
    (metrics.LOGS_SHIPPED, None, _shipped),
    (metrics.LOGS_DROPPED, metric_tags.REASON, _dropped),
]
"""What is counted: a metric of the contract, its tag, and who knows the counts."""


class OwnMetrics:
    """Remembers what has been said of the counts."""

    def __init__(self) -> None:
        self._said: dict[tuple[str, str], int] = {}
        self._lock = threading.RLock()

    def poll(self) -> Iterator[Sample]:
        """Yield what has been added since last time, and how many parts are off."""
        with self._lock:
            for metric, tag, value, count in _counts():
                said = self._said.get((metric, value), 0)
                # Less than before: who counts has begun anew.
                added = count - said if count >= said else count
                self._said[metric, value] = count
                if added > 0 or (metric == _WITHOUT_LINES and any(_dropped().values())):
                    yield Sample(metric, added, {tag: value} if tag else {})
        off = sum(part.off for part in _guard.parts().values())
        yield Sample(metrics.OBSERVER_PARTS_OFF, off)

    def after_fork(self) -> None:
        """Leave out what was counted by the parent, which says it itself."""
        self._lock = threading.RLock()
        self._said = {(metric, value): count for metric, _, value, count in _counts()}


def _counts() -> Iterator[tuple[str, str | None, str, int]]:
    for metric, tag, read in SOURCES:
        for value, count in read().items():
            yield metric, tag, value, count

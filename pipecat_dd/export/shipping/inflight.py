"""The batches that are being sent, until their result is known.

One thread sends. At the end of the process another may have to take over its batches, since a
thread that waits for the network cannot be stopped. Whichever thread removes a batch from here
counts its lines, so that each line is counted exactly once.
"""

from collections import deque
from collections.abc import Iterable

from pipecat_dd.export.shipping.batches import Batch, size_of
from pipecat_dd.export.shipping.buffer import Buffer
from pipecat_dd.export.shipping.counting import Counters


class Inflight:
    """The batches that are being sent, in order.

    Args:
        buffer: Where the lines come from: both share one memory limit.
        counters: Their lock guards the batches.
    """

    def __init__(self, buffer: Buffer, counters: Counters) -> None:
        self._buffer = buffer
        self._counters = counters
        self._batches: deque[Batch] = deque()

    def __bool__(self) -> bool:
        return bool(self._batches)

    @property
    def first(self) -> Batch | None:
        """The batch to send next. It stays here until `remove`."""
        with self._counters.lock:
            return self._batches[0] if self._batches else None

    def add(self, batches: Iterable[Batch]) -> None:
        """Add batches behind the others."""
        with self._counters.lock:
            self._batches.extend(batches)
            self._update_size()

    def remove(self, batch: Batch) -> bool:
        """Remove a batch if it is still the first.

        Returns:
            Whether it was removed; if not, another thread has taken it over.
        """
        with self._counters.lock:
            if not self._batches or self._batches[0] is not batch:
                return False
            self._batches.popleft()
            self._update_size()
            return True

    def put_back(self, batch: Batch) -> None:
        """Add a removed batch again, before the others."""
        with self._counters.lock:
            self._batches.appendleft(batch)
            self._update_size()

    def split(self, batch: Batch) -> None:
        """Replace a batch by its two halves if it is still the first."""
        with self._counters.lock:
            if self.remove(batch):
                self._batches.extendleft(reversed(batch.halves()))
                self._update_size()

    def _update_size(self) -> None:
        self._buffer.set_inflight_bytes(sum(size_of(batch.lines) for batch in self._batches))

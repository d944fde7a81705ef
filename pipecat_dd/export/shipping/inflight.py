"""What was taken from memory to be sent, until it is known what became of it.

One thread sends; at the process's end another may have to take over what it holds, since a
thread that waits for the network cannot be told to stop. Whoever takes a batch out of here
decides what became of it, so that no line is counted twice or left out.
"""

from collections import deque
from collections.abc import Iterable

from pipecat_dd.export.shipping.batches import Batch, size_of
from pipecat_dd.export.shipping.buffer import Buffer
from pipecat_dd.export.shipping.counting import Counters


class Inflight:
    """The batches in hand, in order.

    Args:
        waiting: Counts them into the memory it may take.
        counters: Whose lock guards this.
    """

    def __init__(self, waiting: Buffer, counters: Counters) -> None:
        self._waiting = waiting
        self._counters = counters
        self._batches: deque[Batch] = deque()

    def __bool__(self) -> bool:
        return bool(self._batches)

    @property
    def first(self) -> Batch | None:
        """The batch to be sent next; it stays in hand."""
        with self._counters.lock:
            return self._batches[0] if self._batches else None

    def add(self, batches: Iterable[Batch]) -> None:
        """Take batches in hand, after those that are."""
        with self._counters.lock:
            self._batches.extend(batches)
            self._weigh()

    def let_go(self, batch: Batch) -> bool:
        """Take the first batch out.

        Args:
            batch: What it is taken to be.

        Returns:
            Whether it was; if not, somebody else has taken over.
        """
        with self._counters.lock:
            if not self._batches or self._batches[0] is not batch:
                return False
            self._batches.popleft()
            self._weigh()
            return True

    def put_back(self, batch: Batch) -> None:
        """Put back what was let go of, before the others."""
        with self._counters.lock:
            self._batches.appendleft(batch)
            self._weigh()

    def split(self, batch: Batch) -> None:
        """Put the halves of the first batch in its place.

        Args:
            batch: What it is taken to be.
        """
        with self._counters.lock:
            if self.let_go(batch):
                self._batches.extendleft(reversed(batch.halves()))
                self._weigh()

    def _weigh(self) -> None:
        self._waiting.holding(sum(size_of(batch.lines) for batch in self._batches))

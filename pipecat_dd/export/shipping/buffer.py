"""The lines in memory that wait to be shipped, up to a limit.

This is the only part of shipping that the bot's logging call waits for: it appends a line under a
lock that is held only that long.
"""

from collections import deque
from queue import Empty, SimpleQueue
from sys import getsizeof
from typing import Final

from pipecat_dd.export.shipping.batches import BATCH_BYTES, MAX_LINES
from pipecat_dd.export.shipping.counting import Counters, Reason

_WAKE: Final = None


class Buffer:
    """Lines in the order in which they were written.

    Args:
        max_bytes: How much memory the lines may take, lines being sent included. Beyond it the
            oldest lines are dropped: during an outage, what happens now matters more than how
            it began.
        counters: Where written and dropped lines are counted. Its lock guards the buffer.
    """

    def __init__(self, max_bytes: int, counters: Counters) -> None:
        self._max_bytes = max_bytes
        self._counters = counters
        self._lines: deque[str] = deque()
        self._bytes = 0
        self._inflight_bytes = 0
        self._wakes_at_line = False
        # Unlike an Event, a SimpleQueue is reentrant: a finalizer that logs may call `wake` while
        # this thread is in it.
        self._wakeups: SimpleQueue[None] = SimpleQueue()

    def __len__(self) -> int:
        return len(self._lines)

    def put(self, line: str) -> None:
        """Add a line. Never waits for the network.

        Args:
            line: A JSON object.
        """
        counters, lines = self._counters, self._lines
        with counters.lock:
            counters.written += 1
            before = self._bytes
            self._bytes = after = before + getsizeof(line)
            lines.append(line)
            if after + self._inflight_bytes > self._max_bytes:
                self._drop_oldest()
            is_due = self._wakes_at_line or (
                before < BATCH_BYTES <= after or len(lines) == MAX_LINES
            )
            self._wakes_at_line = False
        if is_due:
            self.wake()

    def _drop_oldest(self) -> None:
        while self._lines and self._bytes + self._inflight_bytes > self._max_bytes:
            self._bytes -= getsizeof(self._lines.popleft())
            self._counters.drop(1, Reason.MEMORY_FULL)

    def take(self) -> list[str]:
        """Remove and return the oldest lines: about as many as fit into one request."""
        taken: list[str] = []
        with self._counters.lock:
            size = 0
            while self._lines and len(taken) < MAX_LINES and size < BATCH_BYTES:
                line = self._lines.popleft()
                taken.append(line)
                size += getsizeof(line)
            self._bytes -= size
        return taken

    def set_inflight_bytes(self, bytes_: int) -> None:
        """Set how much memory the lines being sent take, which counts towards the limit."""
        with self._counters.lock:
            self._inflight_bytes = bytes_

    @property
    def fills_a_request(self) -> bool:
        """Whether the lines fill a whole request."""
        return len(self._lines) >= MAX_LINES or self._bytes >= BATCH_BYTES

    def wake(self) -> None:
        """Wake the thread that waits in `wait`."""
        self._wakeups.put(_WAKE)

    def wait(self, secs: float | None, *, for_a_line: bool = False) -> None:
        """Wait until there are enough lines for a request, or until `wake` is called.

        Args:
            secs: The longest wait, in seconds; None for no limit.
            for_a_line: Whether to return at the first line already.
        """
        with self._counters.lock:
            if for_a_line and self._lines:
                return
            self._wakes_at_line = for_a_line
        try:
            self._wakeups.get(timeout=None if secs is None else max(secs, 0.0))
            while True:
                self._wakeups.get_nowait()
        except Empty:
            pass

"""The lines that wait to be shipped, in memory and within a bound.

What the bot's logging call waits for is in here, and nothing else of shipping is: a line is
appended under a lock that is held for as long as that takes.
"""

from collections import deque
from queue import Empty, SimpleQueue
from sys import getsizeof
from typing import Final

from pipecat_dd.export.shipping.batches import BATCH_BYTES, MAX_LINES
from pipecat_dd.export.shipping.counting import Counters, Reason

_BELL: Final = None


class Buffer:
    """Lines in the order in which they were written.

    Args:
        max_bytes: Memory that they may take; beyond it the oldest go. What happens now is
            worth more than what happened when an outage began.
        counters: Counts them.
    """

    def __init__(self, max_bytes: int, counters: Counters) -> None:
        self._max_bytes = max_bytes
        self._counters = counters
        self._lines: deque[str] = deque()
        self._bytes = 0
        self._in_hand_bytes = 0
        self._is_awaited = False
        # Unlike an Event, it can be rung by a finalizer in the middle of being rung.
        self._bell: SimpleQueue[None] = SimpleQueue()

    def __len__(self) -> int:
        return len(self._lines)

    def put(self, line: str) -> None:
        """Take a line. Does not block, however the intake fares.

        Args:
            line: A JSON object.
        """
        counters, lines = self._counters, self._lines
        with counters.lock:
            counters.written += 1
            before = self._bytes
            self._bytes = after = before + getsizeof(line)
            lines.append(line)
            if after + self._in_hand_bytes > self._max_bytes:
                self._let_go_of_the_oldest()
            is_due = self._is_awaited or (before < BATCH_BYTES <= after or len(lines) == MAX_LINES)
            self._is_awaited = False
        if is_due:
            self.ring()

    def _let_go_of_the_oldest(self) -> None:
        while self._lines and self._bytes + self._in_hand_bytes > self._max_bytes:
            self._bytes -= getsizeof(self._lines.popleft())
            self._counters.drop(1, Reason.MEMORY_FULL)

    def take(self) -> list[str]:
        """Return the oldest lines: as many as a request may hold, more or less."""
        taken: list[str] = []
        with self._counters.lock:
            size = 0
            while self._lines and len(taken) < MAX_LINES and size < BATCH_BYTES:
                line = self._lines.popleft()
                taken.append(line)
                size += getsizeof(line)
            self._bytes -= size
        return taken

    def holding(self, bytes_: int) -> None:
        """Say how many bytes are in hand: on their way, and as much in memory as before."""
        with self._counters.lock:
            self._in_hand_bytes = bytes_

    @property
    def fills_a_request(self) -> bool:
        """Whether there are as many lines as one request takes."""
        return len(self._lines) >= MAX_LINES or self._bytes >= BATCH_BYTES

    def ring(self) -> None:
        """Wake whoever waits."""
        self._bell.put(_BELL)

    def pause(self, secs: float | None, *, for_a_line: bool = False) -> None:
        """Wait until the bell rings: there is a request's worth of lines, or somebody rang.

        Args:
            secs: How long at most; None for as long as it takes.
            for_a_line: Whether one line is enough.
        """
        with self._counters.lock:
            if for_a_line and self._lines:
                return
            self._is_awaited = for_a_line
        try:
            self._bell.get(timeout=None if secs is None else max(secs, 0.0))
            while True:
                self._bell.get_nowait()
        except Empty:
            pass

"""What has changed lately, for viewers that follow.

Each change has a number, and the last few thousand are kept. A viewer says up to which number it
knows everything, and gets what came since. One that is further behind than what is kept has to
load everything anew. So no viewer costs memory, however slow it is, and none does either.
"""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Final, Literal

KEPT: Final = 5_000
KEPT_BYTES: Final = 16 * 2**20

Topic = Literal["sessions", "spans", "lines", "gone"]


@dataclass(frozen=True, slots=True)
class Change:
    """A change.

    Attributes:
        number: Its number; the next change has the next one.
        topic: What has changed.
        session_id: The session that it belongs to.
        item: The span or the line, as JSON; empty for other topics.
    """

    number: int
    topic: Topic
    session_id: str
    item: bytes = b""


class Changes:
    """The last changes."""

    def __init__(self, kept: int = KEPT) -> None:
        self._last: deque[Change] = deque()
        self._kept = kept
        self._bytes = 0
        self._news = asyncio.Event()
        self.number = 0
        """The number of the last change."""
        self.is_closed = False
        """Whether nothing more will come."""

    def close(self) -> None:
        """Have all viewers leave: the server ends."""
        self.is_closed = True
        self._news.set()

    def add(self, topic: Topic, session_id: str, item: bytes = b"") -> None:
        """Record a change and wake the viewers that wait."""
        self.number += 1
        self._last.append(Change(self.number, topic, session_id, item))
        self._bytes += len(item)
        while len(self._last) > self._kept or self._bytes > KEPT_BYTES:
            self._bytes -= len(self._last.popleft().item)
        if not self._news.is_set():
            self._news.set()

    def since(self, number: int) -> list[Change] | None:
        """Return the changes after a number; None if they are not all there any more."""
        if number > self.number:
            return None  # another run of the server's
        missing = self.number - number
        if missing > len(self._last):
            return None
        return [] if not missing else list(self._last)[-missing:]

    async def wait(self, number: int) -> None:
        """Wait for a change after a number, or for the end."""
        while self.number <= number and not self.is_closed:
            self._news.clear()
            await self._news.wait()

"""Whether written audio has reached the caller's host, as far as the sender's kernel knows.

A transport may take all that is written while the network, or the peer, takes none of it. The
kernel knows what was acknowledged. Audio that was acknowledged late came late, and as late as its
acknowledgement is later than the shortest round trip.
"""

from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Protocol

LATE_NS = 200_000_000
"""How late an acknowledgement must be, at least, to count: peers delay theirs by as much. We look
where the next piece is written, so a few tens of milliseconds more pass before it is sure."""

OFTEN_NS = 100_000_000
"""How often we look while audio is written. After a longer pause it is not known when in it the
audio was acknowledged: what the caller sends meanwhile acknowledges as well."""

MAX_OUTSTANDING = 1_000
"""How many pieces are followed: more than half a minute of audio."""


class Acknowledged(Protocol):
    """What the peer has acknowledged."""

    @property
    def byte_count(self) -> int:
        """How many bytes."""

    @property
    def last_ns(self) -> int:
        """How long ago the last acknowledgement came."""

    @property
    def round_trip_ns(self) -> int:
        """The shortest round trip."""


@dataclass(slots=True)
class _Piece:
    at_ns: int
    length_ns: int
    speech: Hashable
    is_first: bool
    end_byte: int | None = None


@dataclass(frozen=True, slots=True)
class Late:
    """Audio that came late.

    Attributes:
        at_ns: When it came: when it would have been written, had the network not stood still.
        outstanding_ns: How much audio came then, or has not come yet.
        speech: The speech it belongs to.
        is_first: Whether it is the first of it: then nothing was heard before it.
        since_ns: How much audio had come since the last that was late.
    """

    at_ns: int
    outstanding_ns: int
    speech: Hashable
    is_first: bool
    since_ns: int


class Delivery:
    """Follows what was written to one socket until it is acknowledged."""

    def __init__(self) -> None:
        self._pieces: deque[_Piece] = deque(maxlen=MAX_OUTSTANDING)
        self._since_ns = 0
        self._looked_ns = 0

    def send(self, at_ns: int, length_ns: int, speech: Hashable, *, is_first: bool) -> None:
        """Record that a piece of audio is written.

        Args:
            at_ns: When, on the monotonic clock.
            length_ns: How long it plays.
            speech: The speech it belongs to.
            is_first: Whether it is the first piece of it.
        """
        self._pieces.append(_Piece(at_ns, length_ns, speech, is_first))

    def look(
        self, at_ns: int, unacknowledged: int, ask: Callable[[], Acknowledged | None]
    ) -> Late | None:
        """Look what has been acknowledged, before the next piece is written.

        Args:
            at_ns: Now, on the monotonic clock.
            unacknowledged: How many bytes are not.
            ask: Asks the kernel for more, where it is needed.

        Returns:
            What came late since the last look, if anything did.
        """
        pieces = self._pieces
        looked_ns, self._looked_ns = self._looked_ns, at_ns
        if not pieces:
            return None
        if not unacknowledged and at_ns - pieces[0].at_ns <= LATE_NS:
            self._since_ns += sum(piece.length_ns for piece in pieces)
            pieces.clear()
            return None
        found = ask()
        if found is None:
            pieces.clear()
            return None
        for piece in reversed(pieces):
            if piece.end_byte is not None:
                break
            piece.end_byte = found.byte_count + unacknowledged
        outstanding_ns = sum(piece.length_ns for piece in pieces)
        oldest, since_ns, came_now_ns = pieces[0], self._since_ns, 0
        while pieces and (not unacknowledged or (pieces[0].end_byte or 0) <= found.byte_count):
            came_now_ns += pieces.popleft().length_ns
        self._since_ns += came_now_ns
        # At the last look it had not come yet.
        if not came_now_ns or looked_ns - found.round_trip_ns - oldest.at_ns <= LATE_NS:
            return None
        came_ns = looked_ns if at_ns - looked_ns > OFTEN_NS else at_ns - found.last_ns
        self._since_ns = came_now_ns
        return Late(
            came_ns - found.round_trip_ns, outstanding_ns, oldest.speech, oldest.is_first, since_ns
        )

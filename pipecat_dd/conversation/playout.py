"""The caller's playout clock: computes what the caller hears from when audio was written.

The caller plays each piece of audio as soon as it is there and the one before it has been played.
So audio that is written at ``w`` ends at ``max(end, w) + length``, and the caller hears a gap where
the bot's voice had ended before the next of it begins. No buffer of the caller's is assumed: one
that holds audio back hides as much of each gap as it holds.
"""

from collections.abc import Iterable
from itertools import islice

MIN_GAP_NS = 40_000_000
"""The shortest gap that is reported: one piece of audio as transports write it. A shorter one
may be jitter of the event loop, and is hardly noticeable in speech."""

ADD_UP_WITHIN_NS = 1_000_000_000
"""Within how much audio shorter gaps that are as long together are one. Jitter does not add up: the
clock waits for the latest piece once. A synthesis that is slower than speech does, and crackles."""

MAX_PLACED_GAPS = 20
"""For how many gaps of a speech their position is recorded."""


def places_of(gaps: Iterable[tuple[int, int]]) -> str:
    """Return the positions and lengths of a speech's first gaps, as a tag holds them.

    Args:
        gaps: When each began after the speech, and its length, in nanoseconds.
    """
    first = islice(gaps, MAX_PLACED_GAPS)
    return " ".join(f"{at_ns / 1e9:.3f}+{length_ns / 1e9:.3f}" for at_ns, length_ns in first)


class PlayoutClock:
    """What the caller hears on one line: a transport writes audio to it, piece by piece.

    All times are nanoseconds of one clock, which never goes back.
    """

    __slots__ = ("_end_ns", "_voice_end_ns")

    def __init__(self) -> None:
        self._end_ns = 0
        self._voice_end_ns = 0

    def begin_speech(self) -> None:
        """Record that a speech begins: the silence before it is no gap."""
        self._voice_end_ns = 0

    def write(self, at_ns: int, length_ns: int) -> int:
        """Record a piece of the bot's voice.

        Args:
            at_ns: When it was written.
            length_ns: How long it plays.

        Returns:
            How long the voice was silent before it; 0 for the first piece of a speech.
        """
        start_ns = max(self._end_ns, at_ns)
        gap_ns = start_ns - self._voice_end_ns if self._voice_end_ns else 0
        self._end_ns = self._voice_end_ns = start_ns + length_ns
        return gap_ns

    def fill(self, at_ns: int, length_ns: int) -> None:
        """Record audio that is not the bot's voice: background sound, a tone, silence.

        It holds up the voice that comes after it, but does not fill the voice's gaps.

        Args:
            at_ns: When it was written.
            length_ns: How long it plays.
        """
        self._end_ns = max(self._end_ns, at_ns) + length_ns

    def delay(self, at_ns: int, outstanding_ns: int) -> int:
        """Record that the latest audio was not there when it was written, but came later.

        Args:
            at_ns: When it came.
            outstanding_ns: How much audio came then, or is still to come.

        Returns:
            How long the voice was silent before it.
        """
        gap_ns = max(0, at_ns - (self._end_ns - outstanding_ns))
        self._end_ns += gap_ns
        self._voice_end_ns += gap_ns
        return gap_ns

    def unplayed_ns(self, at_ns: int) -> int:
        """Return how much of the voice that was written is not played yet.

        Args:
            at_ns: The moment that is asked about.
        """
        return max(0, self._voice_end_ns - at_ns)

    def cut(self, at_ns: int) -> None:
        """Record that what is not played yet is discarded."""
        self._end_ns = min(self._end_ns, at_ns)
        self._voice_end_ns = 0

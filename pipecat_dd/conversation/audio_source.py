"""One source of the user's audio, and the gaps between its pieces.

Audio comes in pieces, and a piece is due when those before it have played. A clock per source
computes when that is; a piece that comes well after that ends a gap. It makes no difference
whether the pieces in between were late, and now come all at once, or were never sent.

A client may send nothing on purpose: it is muted, or sends only while a key is held. So a gap that
outlasts the speech counts only if the audio comes back soon, before the bot answers, and never for
a source that has sent nothing for longer than that before.
"""

import math
import sys
from collections import deque

from pipecat_dd.conversation.model import Stage
from pipecat_dd.names import tags

LATE_NS = 80_000_000
"""How late a piece must come for a gap: well above the jitter of WebRTC and telephony, which send
a piece every 20 ms and are 10 to 30 ms late at times."""

SETTLE_NS = 200_000_000
"""How long a source must have been early all the time for its clock to be set back by that much.

After a late piece, a stall that was caught up with, or a beginning with buffered audio, a source
would otherwise stay ahead of its clock for good, and its next gap would seem shorter than it is.
"""

SOON_NS = 5_000_000_000
"""How soon audio must come back for a gap that outlasts the speech to count."""

MAX_GAPS = 256
"""How many gaps of a source are remembered. The user's speech rarely has more than a few."""

FULL_SCALE = 32_768
"""The level of a 16-bit sample at full scale."""

SAMPLE_NS = 150_000_000
"""How far apart the pieces are of which the level is measured, whatever their length."""

MAX_RECENT = 64
"""How many measurements may be of the silence at the end of speech: some ten seconds of them."""

SILENT_DBFS = -96.0
"""The level of digital silence; the quietest sound of 16 bits has -90 dBFS."""

Gap = tuple[int, int]
"""The start and the end of a gap, in nanoseconds of one clock."""


class AudioSource:
    """One source of audio: a participant's microphone, or all that a transport mixes.

    Times are on the monotonic clock. Only the code that receives the audio, in whatever thread,
    calls :meth:`arrive` and :meth:`add_level`.

    Attributes:
        name: The transport's name for the participant; None if the pieces name none.
        due_ns: When the next piece is due; 0 before the first.
        gaps: The gaps between its pieces, the latest last.
        pending: The gaps of the speech that ended while its audio was late, until audio comes.
        sample_ns: From when on the level of a piece is to be measured.
    """

    __slots__ = (
        "_catches_up_ns",
        "_clipped",
        "_early_ns",
        "_is_intermittent",
        "_most_early_ns",
        "_recent",
        "_samples",
        "_settles_ns",
        "_squares",
        "_usual_ns",
        "due_ns",
        "gaps",
        "name",
        "pending",
        "sample_ns",
    )

    def __init__(self, name: str | None = None) -> None:
        self.name = name
        self.due_ns = 0
        self.gaps: deque[Gap] = deque(maxlen=MAX_GAPS)
        self.pending: list[Gap] | None = None
        # The least and the most by which a piece was early since the clock was last set.
        self._early_ns = sys.maxsize
        self._most_early_ns = 0
        self._settles_ns = 0
        # How early pieces usually are, as those of a batch; they are no earlier after a late one,
        # but for those that catch up with it.
        self._usual_ns = sys.maxsize
        self._catches_up_ns = 0
        self._is_intermittent = False
        self.reset_level()

    def arrive(self, at_ns: int, length_ns: int) -> None:
        """Record that a piece arrived. Called fifty times a second.

        Args:
            at_ns: When.
            length_ns: How long it plays.
        """
        early_ns = self.due_ns - at_ns
        if early_ns < 0:
            if early_ns < -LATE_NS and self.due_ns:
                self._end_gap((self.due_ns, at_ns))
            self.due_ns = at_ns + length_ns
            self._early_ns = 0
            self._catches_up_ns = at_ns + SETTLE_NS
            return
        self.due_ns += length_ns
        if early_ns < self._early_ns:
            self._early_ns = early_ns
        if early_ns > self._most_early_ns:
            self._most_early_ns = early_ns
        if early_ns > self._usual_ns and at_ns < self._catches_up_ns:
            self.due_ns = at_ns + length_ns + self._usual_ns
        if at_ns >= self._settles_ns:
            self._settle(at_ns)

    def _settle(self, at_ns: int) -> None:
        """Set the clock back by what all pieces were early, and note how early the others were."""
        self.due_ns -= self._early_ns
        if self._settles_ns:
            self._usual_ns = self._most_early_ns - self._early_ns
        self._early_ns, self._most_early_ns = sys.maxsize, 0
        self._settles_ns = at_ns + SETTLE_NS

    def is_late(self, now_ns: int) -> bool:
        """Whether the next piece should have come by now."""
        return bool(self.due_ns) and now_ns - self.due_ns > LATE_NS

    def _end_gap(self, gap: Gap) -> None:
        pending, self.pending = self.pending, None
        is_long = gap[1] - gap[0] > SOON_NS
        if is_long:
            self._is_intermittent = True
        if pending is None:
            self.gaps.append(gap)
        elif not self._is_intermittent:
            pending.append(gap)

    # Level

    def reset_level(self) -> None:
        """Begin to measure the level anew."""
        self._squares = 0.0
        self._samples = self._clipped = 0
        # What may turn out to be the silence at the end: a detector waits before it is sure.
        self._recent: deque[tuple[int, float, int, int]] = deque()
        self.sample_ns = 0

    def add_level(self, at_ns: int, squares: float, clipped: int, samples: int) -> None:
        """Add what was measured of a piece.

        Args:
            at_ns: When it arrived.
            squares: The sum of its samples' squares, on the scale of 16 bits.
            clipped: How many samples were at full scale.
            samples: How many samples there were.
        """
        self.sample_ns = at_ns + SAMPLE_NS
        self._recent.append((at_ns, squares, clipped, samples))
        if len(self._recent) > MAX_RECENT:
            _, squares, clipped, samples = self._recent.popleft()
            self._squares += squares
            self._clipped += clipped
            self._samples += samples

    def set_level(self, stage: Stage, end_ns: int) -> None:
        """Set the level since :meth:`reset_level` on a stage, if any piece was measured.

        Args:
            stage: The speech's stage.
            end_ns: When the speech ended; what came later is not part of it.
        """
        heard = [piece for piece in tuple(self._recent) if piece[0] <= end_ns]
        samples = self._samples + sum(piece[3] for piece in heard)
        if not samples:
            return
        squares = self._squares + sum(piece[1] for piece in heard)
        clipped = self._clipped + sum(piece[2] for piece in heard)
        root = math.sqrt(squares / samples) / FULL_SCALE
        level = 20 * math.log10(root) if root > 0 else SILENT_DBFS
        stage.attributes[tags.USER_AUDIO_LEVEL_DBFS] = round(max(level, SILENT_DBFS), 1)
        stage.attributes[tags.USER_AUDIO_CLIPPED_FRACTION] = clipped / samples

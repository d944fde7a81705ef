"""The user's audio as it arrives: what came late or not at all, and how loud it was.

Audio comes in pieces, and a piece is due when those before it have played. A clock per source tells
when that is; a piece that comes well after is the end of a gap. It makes no difference whether the
pieces in between were late, and now come all at once, or were never sent.

A client may send nothing on purpose: it is muted, or sends only while a key is held. So a gap that
outlasts the speech counts only if the audio comes back soon, before the bot answers, and never for
a source that has sent nothing for longer than that before.
"""

import math
import sys
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass

from pipecat_dd.conversation.model import Kind, Participant, Phase, Stage
from pipecat_dd.conversation.participants import Participants
from pipecat_dd.conversation.stages import Stages
from pipecat_dd.conversation.turn import StartTimer, Timer
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

MISSING_NS = 10_000_000_000
"""How long a participant must have been connected without any audio for a report."""

LOOP_LATE_NS = 1_000_000_000
"""How late a timer must be to show that the event loop has not read what came meanwhile."""

MAX_SOURCES = 256
"""How many sources of audio are followed at a time; beyond this, the oldest is forgotten."""

MAX_GAPS = 256
"""How many gaps of a source are remembered. The user's speech rarely has more than a few."""

FULL_SCALE = 32_768
"""The level of a 16-bit sample at full scale."""

SILENT_DBFS = -96.0
"""The level of digital silence; the quietest sound of 16 bits has -90 dBFS."""

USER_AUDIO_MISSING = "user_audio_missing"
"""The resource of the event that no audio of a participant comes."""

Gap = tuple[int, int]
"""The start and the end of a gap, in nanoseconds of one clock."""


def _never(start_ns: int, end_ns: int) -> bool:
    """Return False: the default where nothing watches the event loop."""
    return False


def _ignore(stage: Stage) -> None:
    """Do nothing: the default where nothing writes log lines."""


@dataclass(slots=True)
class SpeechAudio:
    """The audio of one of the user's speeches.

    Attributes:
        source: Where it came from.
        gaps: Its gaps, on the monotonic clock; more may be added while ``source`` awaits audio.
        offset_ns: What to add for times since the epoch.
    """

    source: "AudioSource"
    gaps: list[Gap]
    offset_ns: int


@dataclass(slots=True)
class Waiting:
    """A participant whose audio is waited for.

    Attributes:
        joined_ns: When they joined.
        timer: Ends the wait.
        due_ns: When it should run out.
    """

    joined_ns: int
    timer: Timer
    due_ns: int


class AudioSource:
    """One source of audio: a participant's microphone, or all that a transport mixes.

    Times are on the monotonic clock. Only the code that receives the audio, in whatever thread,
    calls :meth:`arrive` and :meth:`add_level`.

    Attributes:
        name: The transport's name for the participant; None if the pieces name none.
        due_ns: When the next piece is due; 0 before the first.
        gaps: The gaps between its pieces, the latest last.
        pending: The gaps of the speech that ended while its audio was late, until audio comes.
    """

    __slots__ = (
        "_catches_up_ns",
        "_clipped",
        "_early_ns",
        "_is_intermittent",
        "_most_early_ns",
        "_samples",
        "_settles_ns",
        "_squares",
        "_usual_ns",
        "due_ns",
        "gaps",
        "name",
        "pending",
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

    def add_level(self, squares: float, clipped: int, samples: int) -> None:
        """Add what was measured of a piece.

        Args:
            squares: The sum of its samples' squares, on the scale of 16 bits.
            clipped: How many samples were at full scale.
            samples: How many samples there were.
        """
        self._squares += squares
        self._clipped += clipped
        self._samples += samples

    def set_level(self, stage: Stage) -> None:
        """Set the level since :meth:`reset_level` on a stage, if any piece was measured."""
        if not self._samples:
            return
        root = math.sqrt(self._squares / self._samples) / FULL_SCALE
        level = 20 * math.log10(root) if root > 0 else SILENT_DBFS
        stage.attributes[tags.USER_AUDIO_LEVEL_DBFS] = round(max(level, SILENT_DBFS), 1)
        stage.attributes[tags.USER_AUDIO_CLIPPED_FRACTION] = self._clipped / self._samples


class UserAudio:
    """Follows the user's audio, and reports on each of their speeches how it arrived.

    Attributes:
        sources: The sources of audio by their keys, see :meth:`source`.
        is_speaking: Whether the user speaks, as far as is known.
        is_expected: Returns whether the bot waits for audio: its transport takes audio in, and
            something in the pipeline listens to it.
        was_loop_blocked_between: Returns whether the event loop was blocked between two times, in
            nanoseconds since the epoch. Audio that the loop did not read was not late.
        report_missing: Called with the open stage of the event that no audio of a participant
            comes.
    """

    def __init__(
        self,
        stages: Stages,
        people: Participants,
        start_timer: StartTimer,
        now_ns: Callable[[], int] = time.monotonic_ns,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """Follow the user's audio.

        Args:
            stages: Opens and closes stages.
            people: The participants whose audio it is.
            start_timer: Runs a callback after a number of seconds.
            now_ns: Reads the clock on which audio arrives, which nobody sets.
            wall_ns: Reads the clock of the stages' times.
        """
        self._stages = stages
        self._people = people
        self._start_timer = start_timer
        self._now_ns = now_ns
        self._wall_ns = wall_ns
        self.sources: OrderedDict[tuple[object, ...], AudioSource] = OrderedDict()
        self._of: dict[Stage, SpeechAudio] = {}
        self._waiting: dict[Stage, Waiting] = {}
        self._started_ns = 0
        self._typed_ns = 0
        self._missed_ns = 0
        self.is_speaking = False
        self.is_expected: Callable[[], bool] = lambda: False
        self.was_loop_blocked_between: Callable[[int, int], bool] = _never
        self.report_missing: Callable[[Stage], None] = _ignore

    def source(self, key: tuple[object, ...], name: str | None) -> AudioSource:
        """Return a source of audio; the first call makes it.

        Args:
            key: What no other source has.
            name: The transport's name for the participant; None if the pieces name none.
        """
        found = self.sources.get(key)
        if found is None:
            found = self.sources[key] = AudioSource(name)
            if len(self.sources) > MAX_SOURCES:
                self.sources.popitem(last=False)
        return found

    # The user's speech

    def begin(self) -> None:
        """Record that the user begins to speak."""
        self.is_speaking = True
        for source in self.sources.values():
            source.reset_level()

    def end(self, speech: Stage, end_ns: int) -> None:
        """Record that the user has stopped speaking.

        Args:
            speech: The speech's stage.
            end_ns: When the speech ended, in nanoseconds since the epoch.
        """
        self.is_speaking = False
        now_ns = self._now_ns()
        offset_ns = self._wall_ns() - now_ns
        start_ns, end_ns = speech.start_ns - offset_ns, end_ns - offset_ns
        source = self._source_of(speech, start_ns)
        if source is None or not speech.is_open:
            return
        source.set_level(speech)
        found = [
            (max(gap[0], start_ns), gap[1])
            for gap in tuple(source.gaps)  # another thread may add to it
            if gap[0] < end_ns and gap[1] - max(gap[0], start_ns) > LATE_NS
        ]
        self._of[speech] = SpeechAudio(source, found, offset_ns)
        if source.due_ns < end_ns and source.is_late(now_ns):
            source.pending = found

    def note_answer(self) -> None:
        """Record that the bot begins to speak: the user has finished, and may send nothing."""
        for source in self.sources.values():
            if source.pending is not None:
                source.pending = []

    def is_awaited(self, speech: Stage) -> bool:
        """Whether a speech ended in a gap that may still end."""
        audio = self._of.get(speech)
        return audio is not None and audio.source.pending is audio.gaps

    def settle(self, speech: Stage) -> None:
        """Set on a speech what is known of its gaps: its stage closes."""
        audio = self._of.pop(speech, None)
        if audio is None:
            return
        lengths = [
            end_ns - start_ns
            for start_ns, end_ns in audio.gaps
            if not self.was_loop_blocked_between(
                start_ns + audio.offset_ns, end_ns + audio.offset_ns
            )
        ]
        speech.attributes[tags.USER_AUDIO_GAP_COUNT] = len(lengths)
        if lengths:
            speech.attributes[tags.USER_AUDIO_GAP_SECONDS] = sum(lengths) / 1e9
            speech.attributes[tags.USER_AUDIO_LONGEST_GAP_SECONDS] = max(lengths) / 1e9

    def _source_of(self, speech: Stage, start_ns: int) -> AudioSource | None:
        """Return the source of a speech; None if it may be one of several."""
        sending = [s for s in self.sources.values() if s.due_ns > start_ns]
        mine, speaker = sending, speech.participant_id
        if len(sending) > 1 and speaker is not None:
            mine = [s for s in sending if self._id_of(s) == speaker]
        return mine[0] if len(mine) == 1 and self._may_be(mine[0], speaker) else None

    def _may_be(self, source: AudioSource, speaker: str | None) -> bool:
        named = self._id_of(source)
        return named is None or speaker is None or named == speaker

    def _id_of(self, source: AudioSource) -> str | None:
        known: Participant | None = self._people.known(source.name)
        return None if known is None else known.id

    # Participants whose audio never comes

    def start(self) -> None:
        """Record that the pipeline has started: it takes audio in from now on."""
        self._started_ns = self._now_ns()

    def note_message(self) -> None:
        """Record that the user sent a message: they can do without a microphone."""
        self._typed_ns = self._now_ns()

    def join(self, participant: Stage) -> None:
        """Record that a participant has joined, and look later whether audio has come."""
        self._wait(participant, self._now_ns(), MISSING_NS)

    def leave(self, participant: Stage) -> None:
        """Record that a participant has left."""
        waiting = self._waiting.pop(participant, None)
        if waiting is not None:
            waiting.timer.cancel()

    def _wait(self, participant: Stage, joined_ns: int, for_ns: int) -> None:
        timer = self._start_timer(for_ns / 1e9, lambda: self._look(participant))
        self._waiting[participant] = Waiting(joined_ns, timer, self._now_ns() + for_ns)

    def _look(self, participant: Stage) -> None:
        waiting = self._waiting.pop(participant, None)
        if waiting is None or self._stages.session.phase is not Phase.RUNNING:
            return
        now_ns, joined_ns = self._now_ns(), waiting.joined_ns
        waited_ns = now_ns - max(joined_ns, self._started_ns or now_ns)
        if now_ns - waiting.due_ns > LOOP_LATE_NS:
            waited_ns = 0  # the loop stood still, and has not read what came meanwhile
        if waited_ns < MISSING_NS:
            self._wait(participant, joined_ns, MISSING_NS - waited_ns)
            return
        # At the last report they were there already, or they do without a microphone.
        is_known = joined_ns <= max(self._missed_ns, self._typed_ns)
        # If another participant's audio comes, this one may have come to listen.
        has_come = any(source.due_ns >= joined_ns for source in self.sources.values())
        if is_known or has_come or not self.is_expected():
            return
        self._missed_ns = now_ns
        self._report()

    def _report(self) -> None:
        session, at_ns = self._stages.session, self._wall_ns()
        session.root.add(tags.SESSION_NO_USER_AUDIO_COUNT, 1)
        stage = self._stages.open(
            Kind.SERVICE_EVENT, USER_AUDIO_MISSING, at_ns, parent=session.stage
        )
        self.report_missing(stage)
        self._stages.close(stage, self._wall_ns())

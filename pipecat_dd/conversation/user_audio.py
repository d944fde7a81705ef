"""How the user's audio arrives: which speech its gaps interrupted, and how loud it was."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from pipecat_dd.conversation.audio_source import LATE_NS, AudioSource, Gap
from pipecat_dd.conversation.missing_audio import MissingAudio
from pipecat_dd.conversation.model import Participant, Stage
from pipecat_dd.conversation.participants import Participants
from pipecat_dd.conversation.playout import places_of
from pipecat_dd.conversation.stages import Stages
from pipecat_dd.conversation.turn import StartTimer
from pipecat_dd.names import tags

MAX_SOURCES = 256
"""How many sources of audio are followed at a time; beyond this, the oldest is forgotten."""


def _never(start_ns: int, end_ns: int) -> bool:
    """Return False: the default where nothing watches the event loop."""
    return False


@dataclass(slots=True)
class SpeechAudio:
    """The audio of one of the user's speeches.

    Attributes:
        source: Where it came from.
        gaps: Its gaps, on the monotonic clock; more may be added while ``source`` awaits audio.
        offset_ns: What to add for times since the epoch.
    """

    source: AudioSource
    gaps: list[Gap]
    offset_ns: int


READ_WITHIN_NS = 100_000_000
"""How long after a standstill all that came meanwhile has been read. What ends a gap later came
while the loop turned, so that it was late, whatever happened earlier in the gap."""


class UserAudio:
    """Follows the user's audio, and reports on each of their speeches how it arrived.

    Attributes:
        sources: The sources of audio by their keys, see :meth:`source`.
        is_speaking: Whether the user speaks, as far as is known.
        was_loop_blocked_between: Returns whether the event loop was blocked between two times, in
            nanoseconds since the epoch. Audio that the loop did not read was not late.
        missing: Participants whose audio never comes.
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
            now_ns: Reads the monotonic clock by which audio arrives.
            wall_ns: Reads the clock of the stages' times.
        """
        self._people = people
        self._now_ns = now_ns
        self._wall_ns = wall_ns
        self.sources: OrderedDict[tuple[object, ...], AudioSource] = OrderedDict()
        self._of: dict[Stage, SpeechAudio] = {}
        self.is_speaking = False
        self.was_loop_blocked_between: Callable[[int, int], bool] = _never
        self.missing = MissingAudio(stages, start_timer, self._has_come_since, now_ns, wall_ns)

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
        source.set_level(speech, end_ns)
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
        gaps = [
            (max(0, start_ns + audio.offset_ns - speech.start_ns), end_ns - start_ns)
            for start_ns, end_ns in audio.gaps
            if not self.was_loop_blocked_between(
                max(start_ns, end_ns - READ_WITHIN_NS) + audio.offset_ns, end_ns + audio.offset_ns
            )
        ]
        speech.attributes[tags.USER_AUDIO_GAP_COUNT] = len(gaps)
        if gaps:
            lengths = [length_ns for _, length_ns in gaps]
            speech.attributes[tags.USER_AUDIO_GAPS] = places_of(gaps)
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

    def _has_come_since(self, at_ns: int) -> bool:
        return any(source.due_ns >= at_ns for source in self.sources.values())

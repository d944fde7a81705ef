"""The bot's voice as the caller hears it: the audio written, its gaps, and what was cut off."""

from collections.abc import Hashable
from dataclasses import dataclass, field

from pipecat_dd.conversation.delivery import Late
from pipecat_dd.conversation.model import Kind, Stage
from pipecat_dd.conversation.playout import (
    ADD_UP_WITHIN_NS,
    MAX_PLACED_GAPS,
    MIN_GAP_NS,
    PlayoutClock,
    places_of,
)
from pipecat_dd.names import tags

MAX_WRITES = 64
"""How many writes may be in progress at a time: one for each of an output's destinations."""


@dataclass(slots=True)
class Write:
    """A piece of audio that is being written to a transport.

    Attributes:
        clock: The playout clock of the line that it is written to.
        at_ns: When the write began, on the monotonic clock.
        length_ns: How long the audio plays.
        is_voice: Whether it is the bot's voice: not background sound, tones or silence.
    """

    clock: PlayoutClock
    at_ns: int
    length_ns: int
    is_voice: bool

    def play(self) -> int:
        """Add it to what the caller hears; return how long the voice was silent before it."""
        if self.is_voice:
            return self.clock.write(self.at_ns, self.length_ns)
        self.clock.fill(self.at_ns, self.length_ns)
        return 0


@dataclass(slots=True, eq=False)
class Speech:
    """What has become of one speech so far.

    Attributes:
        stage: The speech's stage.
        written_ns: How much audio was written.
        gap_count: How many gaps it has had.
        gap_ns: How long they were, summed.
        longest_ns: The longest of them.
        last_ns: The last of them.
        since_ns: How much audio was written since the last of them.
        is_joined: Whether the last of them is two, with no word in between.
        short_ns: How long those are, summed, that are too short to be a gap by themselves.
        short_from_ns: How much audio was written when the first of those came.
        gaps: Where the first of them were: when each began, from when the speech was first heard,
            and how long it was, in nanoseconds.
        is_timed: Whether it is known when each piece was written.
        clock: The playout clock of the line that it was written to first.
        is_mixed: Whether several lines got it. It is not known which line's silence is a gap.
    """

    stage: Stage
    written_ns: int = 0
    gap_count: int = 0
    gap_ns: int = 0
    longest_ns: int = 0
    last_ns: int = 0
    since_ns: int = 0
    is_joined: bool = False
    short_ns: int = 0
    short_from_ns: int = 0
    gaps: list[tuple[int, int]] = field(default_factory=list)
    is_timed: bool = False
    clock: PlayoutClock | None = None
    is_mixed: bool = False

    def take(self, write: Write) -> int:
        """Take a piece; return how long the voice was silent before it, 0 if not known."""
        gap_ns = write.play()
        self.clock = self.clock or write.clock
        self.is_mixed = self.is_mixed or write.clock is not self.clock
        self.is_timed = not self.is_mixed
        return gap_ns if self.is_timed else 0


class Voice:
    """Follows what is written of the bot's voice.

    A piece counts from when its write begins. A transport that paces what it writes sleeps before
    the write returns, or waits until the piece before has been played.
    """

    def __init__(self, session: Stage) -> None:
        """Follow the bot's voice.

        Args:
            session: The session's stage, which gets the sums.
        """
        self._session = session
        self._clocks: dict[Hashable, PlayoutClock] = {}
        self._writes: dict[int, Write] = {}
        self._speech: Speech | None = None

    @property
    def speech(self) -> Speech | None:
        """The speech in progress; None while the bot is silent."""
        return self._speech

    # What the output writes

    def begin_write(
        self, frame_id: int, line: Hashable, at_ns: int, seconds: float, *, is_voice: bool
    ) -> None:
        """Record that the output begins to write a piece of audio.

        Args:
            frame_id: The frame that holds it.
            line: Where it is written: what goes to one line is heard one after the other.
            at_ns: When the write began, on the monotonic clock.
            seconds: How long it plays.
            is_voice: Whether it is the bot's voice.
        """
        clock = self._clocks.get(line)
        if clock is None:
            clock = self._clocks[line] = PlayoutClock()
        self._writes[frame_id] = Write(clock, at_ns, int(seconds * 1e9), is_voice)
        if len(self._writes) > MAX_WRITES:
            del self._writes[next(iter(self._writes))]

    def end_write(self, frame_id: int, *, is_written: bool) -> None:
        """Record that a write is over; the bot's voice is recorded by :meth:`write`.

        Args:
            frame_id: The frame that holds the audio.
            is_written: Whether the transport took it.
        """
        write = self._writes.get(frame_id)
        if write is None or (write.is_voice and is_written):
            return
        del self._writes[frame_id]
        if is_written:
            write.play()

    def write(self, frame_id: int | None, seconds: float, *, goes_on: bool) -> None:
        """Record that a piece of the bot's voice was written.

        Args:
            frame_id: The frame that holds it; None if not known.
            seconds: How long it plays.
            goes_on: Whether it belongs to the same answer as the piece before it: only then was
                the silence between them a gap.
        """
        speech = self._speech
        write = self._writes.pop(frame_id, None) if frame_id is not None else None
        if write is not None and speech is None:
            write.play()
        if speech is not None:
            if write is not None:
                gap_ns = speech.take(write)
                if goes_on:
                    self._note_gap(speech, gap_ns)
            length_ns = int(seconds * 1e9)
            speech.written_ns += length_ns
            speech.since_ns += length_ns

    def delay(self, line: Hashable, late: Late) -> None:
        """Record that what was written has come late.

        Args:
            line: Where it was written.
            late: What came when.
        """
        clock = self._clocks.get(line)
        if clock is None or late.speech is not self._speech or self._speech is None:
            return
        gap_ns = clock.delay(late.at_ns, late.outstanding_ns)
        self._speech.since_ns = min(self._speech.since_ns, late.since_ns)
        if gap_ns >= MIN_GAP_NS and not late.is_first:
            self._add_gap(self._speech, gap_ns, late.outstanding_ns)

    def _note_gap(self, speech: Speech, gap_ns: int) -> None:
        if gap_ns < MIN_GAP_NS:
            if speech.written_ns - speech.short_from_ns > ADD_UP_WITHIN_NS:
                speech.short_ns = 0
            if not speech.short_ns:
                speech.short_from_ns = speech.written_ns
            speech.short_ns += gap_ns
            if speech.short_ns < MIN_GAP_NS:
                return
            gap_ns, speech.short_ns = speech.short_ns, 0
        self._add_gap(speech, gap_ns)

    def _add_gap(self, speech: Speech, gap_ns: int, outstanding_ns: int = 0) -> None:
        # A synthesis that is given up is flushed: the last few milliseconds that were held back
        # come in the middle of the silence. They are no word, and it stays one gap.
        is_same = speech.gap_count > 0 and speech.since_ns <= MIN_GAP_NS and not speech.is_joined
        speech.is_joined = is_same
        count = 0 if is_same else 1
        speech.last_ns = speech.last_ns + gap_ns if is_same else gap_ns
        if not is_same and speech.gap_count < MAX_PLACED_GAPS:
            # What had played by then: the voice, and the gaps in it.
            played_ns = max(0, speech.written_ns - outstanding_ns) + speech.gap_ns
            speech.gaps.append((played_ns, gap_ns))
        elif is_same and len(speech.gaps) == speech.gap_count:
            speech.gaps[-1] = (speech.gaps[-1][0], speech.last_ns)
        speech.since_ns = 0
        speech.gap_count += count
        speech.gap_ns += gap_ns
        speech.longest_ns = max(speech.longest_ns, speech.last_ns)
        secs = gap_ns / 1e9
        turn, session = speech.stage.parent, self._session
        if turn is None or turn.kind is not Kind.TURN or not turn.is_open:
            # A backchannel, or a speech that goes on while the user has begun the next turn.
            turn = session.session.turn
        if turn is not None:
            turn.add(tags.TURN_VOICE_GAP_COUNT, count)
            turn.add(tags.TURN_VOICE_GAP_SECONDS, secs)
        session.add(tags.SESSION_VOICE_GAP_COUNT, count)
        session.add(tags.SESSION_VOICE_GAP_SECONDS, secs)
        longest = session.attributes.get(tags.SESSION_LONGEST_VOICE_GAP_SECONDS, 0.0)
        if isinstance(longest, (int, float)):
            longest = max(longest, speech.last_ns / 1e9)
            session.attributes[tags.SESSION_LONGEST_VOICE_GAP_SECONDS] = longest

    # Speeches

    def begin(self, stage: Stage) -> None:
        """Record that the bot begins to speak.

        Args:
            stage: The speech's stage.
        """
        self._speech = Speech(stage)
        for clock in self._clocks.values():
            clock.begin_speech()

    def end(self) -> Speech | None:
        """Put on the speech's stage what was heard of it, and return it."""
        speech, self._speech = self._speech, None
        if speech is not None:
            facts = speech.stage.attributes
            facts[tags.BOT_SPEECH_AUDIO_SECONDS] = speech.written_ns / 1e9
            if speech.is_timed:
                facts[tags.BOT_SPEECH_GAP_COUNT] = speech.gap_count
                facts[tags.BOT_SPEECH_GAP_SECONDS] = speech.gap_ns / 1e9
                if speech.gap_count:
                    facts[tags.BOT_SPEECH_GAPS] = places_of(speech.gaps)
                    facts[tags.BOT_SPEECH_LONGEST_GAP_SECONDS] = speech.longest_ns / 1e9
        return speech

    def resume(self, speech: Speech) -> None:
        """Record that a speech goes on after it had seemed to be over."""
        self._speech = speech

    def cut_off(self, at_ns: int, unwritten_secs: float) -> None:
        """Record that the speech is cut off: what was not played will not be heard.

        Args:
            at_ns: When it was cut off, on the monotonic clock.
            unwritten_secs: How much audio was synthesized for it and not written.
        """
        speech = self._speech
        unheard_ns = int(unwritten_secs * 1e9)
        for write in self._writes.values():
            # It is on its way: what is left of it is unplayed, and no longer unwritten.
            if write.is_voice and speech is not None:
                speech.take(write)
                unheard_ns -= write.length_ns
                speech.written_ns += write.length_ns
            else:
                write.play()
        self._writes.clear()
        unheard_ns = max(0, unheard_ns)
        unheard_ns += max((clock.unplayed_ns(at_ns) for clock in self._clocks.values()), default=0)
        for clock in self._clocks.values():
            clock.cut(at_ns)
        if speech is not None and speech.is_timed:
            speech.stage.attributes[tags.BOT_SPEECH_UNHEARD_SECONDS] = unheard_ns / 1e9

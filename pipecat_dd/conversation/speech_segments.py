"""Segments of the user's speech, and which of them a new turn consists of.

Speech comes before it is decided that it opens a turn, and much of it never does: an "mm-hm" while
the bot talks, an echo of the bot while the user is muted, a cough. The frame that led to the
decision shows which speech it was about: a strategy that opens a turn on a transcription opens it
for the speech that was transcribed, any other for the speech in progress. Time decides only where
neither is known.
"""

from dataclasses import dataclass, field

from pipecat_dd.conversation.model import Stage

RULING_WINDOW_NS = 5_000_000_000
"""How long after a segment of speech a turn may begin and still claim it.

A turn that begins with the transcription rather than with the speech begins as late as the
transcription comes, which takes some services several seconds.
"""

DECISION_NS = 2_000_000_000
"""How long after a transcription a turn of unknown cause may begin and still claim its segment.

A strategy that decides in a task of its own, by calling a model say, decides a moment later.
"""

MAX_SAID = 64
"""How many transcriptions are remembered by the id of their frame. Decisions that follow from one
come within moments."""


@dataclass(slots=True, eq=False)
class SpeechSegment:
    """One segment of the user's speech.

    Attributes:
        start_ns: When it began.
        order: Its number among the segments that were pending, from 1.
        end_ns: When it ended; None while it is in progress.
        speech: The stage of the speech that a voice activity detector detected, or a service
            reported; None with neither, when the first transcription is the first sign of it.
        by_service: Whether so far only a service has reported it, and no detector.
        transcriptions: The stages of its transcriptions, one for each service that transcribes.
        parent: The stage it belongs to, once that is decided.
        during: The turn in which it began, if any: its parent if it opens no turn itself.
        words_ns: When words of it last came; 0 before any have.
        muted: Whether the user was muted when it began.
        audible_ns: When the user was unmuted, if it began before; else 0.
    """

    start_ns: int
    order: int = 0
    end_ns: int | None = None
    speech: Stage | None = None
    by_service: bool = False
    transcriptions: list[Stage] = field(default_factory=list)
    parent: Stage | None = None
    during: Stage | None = None
    words_ns: int = 0
    muted: bool = False
    audible_ns: int = 0

    @property
    def is_transcribed(self) -> bool:
        """Whether a transcription of it has come or failed."""
        return any(stage.output_ns is not None for stage in self.transcriptions)

    @property
    def was_inaudible(self) -> bool:
        """Whether the user was muted from its beginning to its end."""
        return self.muted and self.end_ns is not None and self.end_ns <= (self.audible_ns or 2**63)


@dataclass(frozen=True, slots=True)
class Cause:
    """What led to a decision: the frame that was being processed when it was made.

    Attributes:
        frame_id: The frame's id.
        is_words: Whether the frame is a transcription.
    """

    frame_id: int
    is_words: bool


class PendingSegments:
    """The segments for which it is not decided yet whether they are part of a turn.

    Attributes:
        stretches: The segments, in the order in which they began.
        is_muted: Whether the user is muted.
    """

    def __init__(self) -> None:
        self.segments: list[SpeechSegment] = []
        self.is_muted = False
        self._said: dict[int, int] = {}
        self._count = 0

    def add(self, segment: SpeechSegment) -> None:
        """Add a segment that has begun."""
        self._count += 1
        segment.order = self._count
        segment.muted = self.is_muted
        self.segments.append(segment)

    def note_words(self, frame_id: int, segment: SpeechSegment) -> None:
        """Record that a frame brought words of a segment."""
        self._said[frame_id] = segment.order
        if len(self._said) > MAX_SAID:
            del self._said[next(iter(self._said))]

    def unmute(self, at_ns: int) -> None:
        """Record that the user is no longer muted; the rest of the speech in progress counts."""
        self.is_muted = False
        for segment in self.segments:
            if segment.muted and not segment.audible_ns:
                segment.audible_ns = at_ns

    def claim(
        self, at_ns: int, cause: Cause | None
    ) -> tuple[list[SpeechSegment], list[SpeechSegment]]:
        """Divide the segments into those that a new turn consists of, and the others.

        Args:
            at_ns: When it was decided that the turn begins.
            cause: What led to the decision, if known.

        Returns:
            The segments of the turn, and the others, which open no turn.
        """
        known, self.segments = self.segments, []
        spoken = self._said.get(cause.frame_id) if cause is not None else None
        if spoken is not None:
            claimed = [s for s in known if s.order >= spoken]
        else:
            claimed = [s for s in known if s.end_ns is None]
            if not claimed and known and self._may_be_meant(known[-1], at_ns, cause):
                claimed = known[-1:]
        claimed = [s for s in claimed if not s.was_inaudible]
        return claimed, [s for s in known if s not in claimed]

    @staticmethod
    def _may_be_meant(last: SpeechSegment, at_ns: int, cause: Cause | None) -> bool:
        """Whether a turn may be about speech that has ended, judging by time."""
        if last.end_ns is None or at_ns - last.end_ns > RULING_WINDOW_NS or last.muted:
            return False
        if not last.is_transcribed or (cause is not None and cause.is_words):
            return True
        # A strategy has seen its words and opened no turn, unless it is still deciding.
        return cause is None and at_ns - last.words_ns <= DECISION_NS

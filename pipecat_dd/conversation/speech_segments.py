"""Stretches of the user's speech, and which of them a turn that begins is made of.

Speech comes before the ruling that it is a turn, and much of it never is one: an "mm-hm" while the
bot talks, its own echo while the user is muted, a cough. What a turn is made of is decided by what
its ruling followed from: a strategy that opens a turn on a transcription opens it for the speech
that was transcribed, and any other for the speech that goes on. Time decides only where neither is
known.
"""

from dataclasses import dataclass, field

from pipecat_dd.conversation.model import Stage

RULING_WINDOW_NS = 5_000_000_000
"""How long after a stretch of speech a turn may begin that belongs to it.

A turn that begins with the transcription rather than with the speech begins as late as the
transcription comes; services take up to some seconds.
"""

DECISION_NS = 2_000_000_000
"""How long after a transcription a turn may begin for it that does not say what it began for.

A strategy that decides in a task of its own, by asking a model say, rules a moment later.
"""

MAX_SAID = 64
"""How many transcriptions are remembered by the frame that brought them. A ruling follows from
one within moments."""


@dataclass(slots=True, eq=False)
class SpeechSegment:
    """One stretch of the user's speech.

    Attributes:
        start_ns: When it began.
        order: Its number among the stretches of which something was to be ruled.
        end_ns: When it ended, None while it goes on.
        speech: What was heard by a voice activity detector, or by a service that says when the
            user speaks; None with neither, where the first transcription is the first that is
            known of it.
        by_service: Whether only a service has heard it so far, and no detector.
        transcriptions: One for each service that transcribes.
        parent: What it belongs to, once that is ruled.
        during: The turn that it began in, if any: what it belongs to if it opens none.
        words_ns: When words of it came last, 0 before any did.
        muted: Whether the user was muted when it began.
        audible_ns: When the user was no longer muted, for one that began before.
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
        """Whether a transcription of it has come, or failed."""
        return any(stage.output_ns is not None for stage in self.transcriptions)

    @property
    def was_inaudible(self) -> bool:
        """Whether the user was muted from its beginning to its end."""
        return self.muted and self.end_ns is not None and self.end_ns <= (self.audible_ns or 2**63)


@dataclass(frozen=True, slots=True)
class Cause:
    """What a ruling followed from: the frame that was worked on when it was made.

    Attributes:
        frame_id: The frame.
        is_words: Whether it is a transcription.
    """

    frame_id: int
    is_words: bool


class PendingSegments:
    """The stretches of which it is not known yet whether they are part of a turn.

    Attributes:
        stretches: They, in the order in which they began.
        is_muted: Whether the user is muted.
    """

    def __init__(self) -> None:
        self.stretches: list[SpeechSegment] = []
        self.is_muted = False
        self._said: dict[int, int] = {}
        self._count = 0

    def add(self, segment: SpeechSegment) -> None:
        """A stretch begins of which nothing is ruled yet."""
        self._count += 1
        segment.order = self._count
        segment.muted = self.is_muted
        self.stretches.append(segment)

    def says(self, frame_id: int, segment: SpeechSegment) -> None:
        """A frame brought words of a stretch.

        Args:
            frame_id: The frame.
            segment: The stretch.
        """
        self._said[frame_id] = segment.order
        if len(self._said) > MAX_SAID:
            del self._said[next(iter(self._said))]

    def unmute(self, at_ns: int) -> None:
        """The user is no longer muted: of what goes on, the rest is heard.

        Args:
            at_ns: When.
        """
        self.is_muted = False
        for segment in self.stretches:
            if segment.muted and not segment.audible_ns:
                segment.audible_ns = at_ns

    def claim(
        self, at_ns: int, cause: Cause | None
    ) -> tuple[list[SpeechSegment], list[SpeechSegment]]:
        """Divide the stretches into those that the turn is made of which begins, and the others.

        Args:
            at_ns: When it was ruled that it begins.
            cause: What the ruling followed from, where that is known.

        Returns:
            What the turn is made of, and what is no turn's.
        """
        known, self.stretches = self.stretches, []
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
        """Whether a turn is made of speech that has ended, as far as time tells."""
        if last.end_ns is None or at_ns - last.end_ns > RULING_WINDOW_NS or last.muted:
            return False
        if not last.is_transcribed or (cause is not None and cause.is_words):
            return True
        # A strategy has had its words and let them pass, unless it is still deciding.
        return cause is None and at_ns - last.words_ns <= DECISION_NS

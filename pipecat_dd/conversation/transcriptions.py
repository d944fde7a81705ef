"""What services make of the user's speech, and which of it a transcription that comes is of.

It may come after the next stretch of speech has begun, in several parts, or never.
"""

from collections import deque

from pipecat_dd.conversation.model import Kind, Processor, Stage
from pipecat_dd.conversation.speech_segments import RULING_WINDOW_NS, SpeechSegment
from pipecat_dd.conversation.stages import Stages
from pipecat_dd.conversation.turns import Turns
from pipecat_dd.names import tags

TRANSCRIPTION_WINDOW_NS = 30_000_000_000
"""How long after a stretch of speech its transcription may come of a service that is sent each
stretch. Of a cough none ever does."""

STREAMED_WINDOW_NS = 5_000_000_000
"""The same of a service that listens all the time, and of which later speech is awaited too."""

MAX_AWAITED = 16
"""How many transcriptions of one service may be awaited at a time."""

LATE_WORDS_NS = 1_000_000_000
"""How long after a transcription that was complete another one may add to it."""

Entry = tuple[Stage, SpeechSegment]
"""A transcription and what it is of."""


class Transcriptions:
    """Follows the transcriptions that are awaited, and have come.

    Attributes:
        pending: What is awaited of each service, or has come and may be added to.
        by_segment: The services that are sent each stretch of speech by itself, and say when they
            are through with it.
    """

    def __init__(self, stages: Stages, turns: Turns) -> None:
        """Follow transcriptions.

        Args:
            stages: Opens and closes stages.
            turns: The turns they are part of.
        """
        self._stages = stages
        self._turns = turns
        self.pending: dict[Processor, deque[Entry]] = {}
        self._answers: dict[Processor, int] = {}
        self.by_segment: set[Processor] = set()

    def begin(self, processor: Processor, segment: SpeechSegment) -> Stage:
        """A service is awaited to transcribe a stretch.

        Args:
            processor: The service.
            segment: The stretch.
        """
        stage = self._stages.open_service(Kind.STT, processor, segment.start_ns, segment.parent)
        segment.transcriptions.append(stage)
        self.pending.setdefault(processor, deque()).append((stage, segment))
        return stage

    def begun_by_words(self) -> SpeechSegment | None:
        """Return the stretch that an interim transcription began before the speech was heard."""
        turn = self._turns.current
        parents = (None, turn.stage if turn is not None else None)
        for pending in self.pending.values():
            for _, segment in pending:
                is_begun = segment.speech is None and segment.end_ns is None
                if is_begun and segment.parent in parents:
                    return segment
        return None

    def arrive(self, stage: Stage, at_ns: int) -> None:
        """A transcription came, or failed.

        Args:
            stage: The transcription's stage.
            at_ns: When.
        """
        stage.output_ns = at_ns
        if stage.processor is not None:
            self._answers[stage.processor] = self.answer_count(stage.processor) + 1

    def awaited(self, processor: Processor, at_ns: int, *, interim: bool = False) -> Entry | None:
        """Return the transcription that one that just came is of, if it is of one that is awaited.

        Args:
            processor: The service.
            at_ns: When it came.
            interim: Whether it is not final.
        """
        spoken = [e for e in self.pending.get(processor, ()) if self._may_go_on(e, at_ns)]
        unanswered = [entry for entry in spoken if entry[0].output_ns is None]
        if not unanswered:
            return spoken[-1] if spoken else None
        going_on = unanswered[-1]
        if interim and going_on[1].end_ns is None and at_ns - going_on[1].start_ns > LATE_WORDS_NS:
            return going_on
        if processor in self.by_segment:
            return unanswered[0]

        def awaits_words(entry: Entry) -> bool:
            """Whether its words have begun to come, or may still."""
            _, segment = entry
            return bool(segment.words_ns) or at_ns - (segment.end_ns or at_ns) <= LATE_WORDS_NS

        return next(filter(awaits_words, unanswered), unanswered[0])

    def _may_go_on(self, entry: Entry, at_ns: int) -> bool:
        """Whether a transcription that just came may be of a stretch, as far as that is known."""
        stage, segment = entry
        turn = self._turns.current
        if segment.parent is None and segment.end_ns is not None and stage.output_ns is not None:
            # It was complete, and opened no turn.
            return segment.speech is not None and at_ns - stage.output_ns <= LATE_WORDS_NS
        if segment.speech is not None:
            return True
        # With words alone to go by, what is long ago, or of another turn, is no longer spoken.
        if segment.parent is not None and (turn is None or segment.parent is not turn.stage):
            return False
        if segment.end_ns is None and at_ns - segment.words_ns > RULING_WINDOW_NS:
            segment.end_ns = segment.words_ns
            return False
        return True

    def added_late(self, processor: Processor, at_ns: int) -> tuple[Stage, None] | None:
        """Return the last transcription of the turn, which one after the ruling still adds to.

        Args:
            processor: The service.
            at_ns: When the one after it came.
        """
        turn = self._turns.current
        for stage in reversed(turn.held if turn is not None else ()):
            if stage.kind is Kind.STT and stage.processor is processor:
                return (stage, None) if at_ns - (stage.end_ns or 0) <= LATE_WORDS_NS else None
        return None

    def settle(self, processor: Processor, drop_at_ns: int | None = None) -> None:
        """End the transcriptions that are complete: what comes from now on is another's.

        Args:
            processor: Whose.
            drop_at_ns: Where given, what has not come by then never will.
        """
        pending = self.pending.get(processor, deque())
        for entry in list(pending):
            stage, segment = entry
            if stage.output_ns is not None and segment.parent and segment.end_ns is not None:
                pending.remove(entry)
                self._finish(stage, segment, stage.output_ns)
            elif drop_at_ns is not None:
                pending.remove(entry)
                stage.parent = stage.parent or segment.parent
                self._stages.discard(stage, drop_at_ns)

    def settle_all(self, drop_at_ns: int | None = None) -> None:
        """End the transcriptions of every service that are complete.

        Args:
            drop_at_ns: Where given, what has not come by then never will.
        """
        for processor in list(self.pending):
            self.settle(processor, drop_at_ns)

    def drop_unanswered(self, now_ns: int) -> None:
        """Drop the transcriptions that have not come and will not.

        Args:
            now_ns: Now.
        """
        for processor, pending in self.pending.items():
            for entry in list(pending):
                stage, segment = entry
                end_ns = segment.end_ns
                if stage.output_ns is not None or end_ns is None or segment.parent is None:
                    continue
                is_last = entry is pending[-1]
                streamed = processor not in self.by_segment and not is_last
                window_ns = STREAMED_WINDOW_NS if streamed else TRANSCRIPTION_WINDOW_NS
                if now_ns - end_ns > window_ns or len(pending) > MAX_AWAITED:
                    pending.remove(entry)
                    stage.parent = segment.parent
                    self._stages.discard(stage, end_ns)

    def complete(self, segment: SpeechSegment, now_ns: int, *, given_up: bool = False) -> None:
        """End what has come of the transcription of speech that is no turn.

        Args:
            segment: The speech.
            now_ns: Now.
            given_up: Whether what has not come is no longer awaited.
        """
        for entry in self._of(segment):
            stage = entry[0]
            assert stage.processor is not None
            if stage.output_ns is not None:
                self.pending[stage.processor].remove(entry)
                self._finish(stage, segment, stage.output_ns)
            elif given_up:
                self.pending[stage.processor].remove(entry)
                self._stages.discard(stage, now_ns)
        self.drop_unanswered(now_ns)

    def are_through(self, segment: SpeechSegment) -> bool:
        """Whether no service is at work on a stretch any more, as far as that is known.

        Args:
            segment: The stretch.
        """
        return all(
            stage.output_ns is not None or stage.processor not in self.by_segment
            for stage, _ in self._of(segment)
        )

    def _of(self, segment: SpeechSegment) -> list[Entry]:
        return [
            entry for pending in self.pending.values() for entry in pending if entry[1] is segment
        ]

    def fail(self, stage: Stage, at_ns: int) -> None:
        """A transcription failed: what comes next is another's, unless it is all there is.

        Args:
            stage: The transcription's stage.
            at_ns: When.
        """
        self.arrive(stage, at_ns if stage.output_ns is None else stage.output_ns)
        turn = self._turns.current
        if stage.processor is not None and not (turn is not None and turn.is_user_active):
            self.settle(stage.processor)

    def answer_count(self, processor: Processor) -> int:
        """Return how many transcriptions came, or failed, of a service."""
        return self._answers.get(processor, 0)

    def end_segment(self, processor: Processor, answers_before: int, at_ns: int) -> None:
        """A service that transcribes one stretch after another is through with one.

        If nothing came of it, as of a cough, nothing will: what comes next is another's.

        Args:
            processor: The service.
            answers_before: Its `answers` when it began on the stretch.
            at_ns: When it was through.
        """
        if self.answer_count(processor) != answers_before:
            return
        pending = self.pending.get(processor, deque())
        for entry in pending:
            stage, segment = entry
            if segment.end_ns is not None and stage.output_ns is None:
                pending.remove(entry)
                stage.parent = stage.parent or segment.parent
                self._stages.discard(stage, at_ns)
                return

    def _finish(self, stage: Stage, segment: SpeechSegment, output_ns: int) -> None:
        stage.parent = segment.parent
        if stage.is_named and stage.parent is not None and stage.parent.kind is Kind.TURN:
            stage.parent.assign_participant(stage.participant_id)
        if stage.failure is None and segment.speech is not None and segment.end_ns is not None:
            waited_ns = output_ns - segment.end_ns
            # Where the service itself says when speech ends, the transcription comes with that.
            if waited_ns > 0 or not segment.by_service:
                stage.attributes[tags.STT_FINALIZATION_SECONDS] = max(0, waited_ns) / 1e9
        turn = self._turns.current
        if turn is not None and stage.parent is turn.stage:
            # Its time to first byte may be reported seconds from now.
            self._stages.end(stage, output_ns)
            turn.hold(stage)
        else:
            self._stages.close(stage, output_ns)

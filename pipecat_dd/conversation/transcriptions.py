"""Transcriptions of the user's speech, and the segment that each of them belongs to.

A transcription may come after the next segment of speech has begun, in several parts, or never.
"""

from collections import deque
from dataclasses import dataclass

from pipecat_dd import _guard
from pipecat_dd.conversation.model import Kind, Processor, Stage
from pipecat_dd.conversation.speech_segments import RULING_WINDOW_NS, SpeechSegment
from pipecat_dd.conversation.stages import Stages
from pipecat_dd.conversation.turn import StartTimer, Timer
from pipecat_dd.conversation.turns import Turns
from pipecat_dd.names import tags

TRANSCRIPTION_WINDOW_NS = 30_000_000_000
"""How long after a segment its transcription may come. For a cough none ever comes."""

STREAMED_WINDOW_NS = 5_000_000_000
"""The same for a service that gets all audio, once it is to transcribe a later segment, too."""

MAX_AWAITED = 16
"""How many transcriptions of one service may be awaited at a time."""

LATE_WORDS_NS = 1_000_000_000
"""How long after a complete transcription another one may still add to it."""

DETECTOR_SECS = 1.0
"""How long after the end of speech a detector may take to be sure of it. From then on a service
counts the time within which it reports its time to first byte."""

Entry = tuple[Stage, SpeechSegment]
"""A transcription's stage, and the segment it belongs to."""


@dataclass(slots=True)
class _Waiting:
    """A complete transcription that is sent once nothing is added to it any more.

    Attributes:
        segment: The speech that it is of.
        timer: Ends the wait.
        is_unmeasured: Whether only its time to first byte is still to come, and no words.
    """

    segment: SpeechSegment
    timer: Timer
    is_unmeasured: bool = False


class Transcriptions:
    """Follows the transcriptions that are awaited or have come.

    Attributes:
        pending: For each service, the transcriptions that are awaited or may be added to.
        by_segment: The services that are sent each segment of speech by itself, and report when
            they are done with it.
    """

    def __init__(self, stages: Stages, start_timer: StartTimer, turns: Turns) -> None:
        """Follow transcriptions.

        Args:
            stages: Opens and closes stages.
            start_timer: Runs a callback after a number of seconds.
            turns: The turns they are part of.
        """
        self._stages = stages
        self._start_timer = start_timer
        self._turns = turns
        # Those of the current turn that are complete and not yet sent.
        self._waiting: dict[Stage, _Waiting] = {}
        turns.on_held_closed = self._stop_waiting
        self.pending: dict[Processor, deque[Entry]] = {}
        self._answers: dict[Processor, int] = {}
        self.by_segment: set[Processor] = set()

    def begin(self, processor: Processor, segment: SpeechSegment) -> Stage:
        """Begin to await a service's transcription of a segment."""
        stage = self._stages.open_service(Kind.STT, processor, segment.start_ns, segment.parent)
        segment.transcriptions.append(stage)
        self.pending.setdefault(processor, deque()).append((stage, segment))
        return stage

    def begun_by_words(self) -> SpeechSegment | None:
        """Return the segment that an interim transcription began before speech was detected."""
        turn = self._turns.current
        parents = (None, turn.stage if turn is not None else None)
        for pending in self.pending.values():
            for _, segment in pending:
                is_begun = segment.speech is None and segment.end_ns is None
                if is_begun and segment.parent in parents:
                    return segment
        return None

    def arrive(self, stage: Stage, at_ns: int) -> None:
        """Record that a transcription came or failed."""
        stage.output_ns = at_ns
        if stage.processor is not None:
            self._answers[stage.processor] = self.answer_count(stage.processor) + 1

    def awaited(self, processor: Processor, at_ns: int, *, interim: bool = False) -> Entry | None:
        """Return the pending entry that a transcription just received belongs to, if any.

        Args:
            processor: The service.
            at_ns: When the transcription came.
            interim: Whether it is an interim one.
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
            """Whether its words have begun to come, or may still come."""
            _, segment = entry
            return bool(segment.words_ns) or at_ns - (segment.end_ns or at_ns) <= LATE_WORDS_NS

        return next(filter(awaits_words, unanswered), unanswered[0])

    def _may_go_on(self, entry: Entry, at_ns: int) -> bool:
        """Whether a transcription that has just come may belong to a segment."""
        stage, segment = entry
        turn = self._turns.current
        if segment.parent is None and segment.end_ns is not None and stage.output_ns is not None:
            # It was complete, and opened no turn.
            return segment.speech is not None and at_ns - stage.output_ns <= LATE_WORDS_NS
        if segment.speech is not None:
            return True
        # With only words to go by, speech of long ago or of another turn is no longer in progress.
        if segment.parent is not None and (turn is None or segment.parent is not turn.stage):
            return False
        if segment.end_ns is None and at_ns - segment.words_ns > RULING_WINDOW_NS:
            segment.end_ns = segment.words_ns
            return False
        return True

    def added_late(self, processor: Processor, at_ns: int) -> tuple[Stage, None] | None:
        """Return the turn's last transcription, if one after the decision may still add to it.

        Args:
            processor: The service.
            at_ns: When the later transcription came.
        """
        turn = self._turns.current
        for stage in reversed(turn.held if turn is not None else ()):
            if stage.kind is Kind.STT and stage.processor is processor:
                return (stage, None) if at_ns - (stage.end_ns or 0) <= LATE_WORDS_NS else None
        return None

    def settle(self, processor: Processor, at_ns: int, *, drops: bool = False) -> None:
        """End a service's complete transcriptions: later ones belong to other segments.

        Args:
            processor: The service.
            at_ns: The current time.
            drops: Whether to drop what has not come: the session ends.
        """
        pending = self.pending.get(processor, deque())
        for entry in list(pending):
            stage, segment = entry
            if stage.output_ns is not None and segment.parent and segment.end_ns is not None:
                pending.remove(entry)
                self._finish(stage, segment, stage.output_ns, at_ns, is_last=drops)
            elif drops:
                pending.remove(entry)
                stage.parent = stage.parent or segment.parent
                self._stages.discard(stage, at_ns)

    def settle_all(self, at_ns: int, *, drops: bool = False) -> None:
        """End the complete transcriptions of every service.

        Args:
            at_ns: The current time.
            drops: Whether to drop what has not come: the session ends.
        """
        for processor in list(self.pending):
            self.settle(processor, at_ns, drops=drops)

    def drop_unanswered(self, now_ns: int) -> None:
        """Drop the transcriptions that have not come in time."""
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
        """End the transcriptions of speech that opens no turn.

        Args:
            segment: The speech.
            now_ns: The current time.
            given_up: Whether to drop those that have not come.
        """
        for entry in self._of(segment):
            stage = entry[0]
            assert stage.processor is not None
            if stage.output_ns is not None:
                self.pending[stage.processor].remove(entry)
                self._finish(stage, segment, stage.output_ns, now_ns)
            elif given_up:
                self.pending[stage.processor].remove(entry)
                self._stages.discard(stage, now_ns)
        self.drop_unanswered(now_ns)

    def are_through(self, segment: SpeechSegment) -> bool:
        """Whether no service is known to be still working on a segment."""
        return all(
            stage.output_ns is not None or stage.processor not in self.by_segment
            for stage, _ in self._of(segment)
        )

    def _of(self, segment: SpeechSegment) -> list[Entry]:
        return [
            entry for pending in self.pending.values() for entry in pending if entry[1] is segment
        ]

    def fail(self, stage: Stage, at_ns: int) -> None:
        """Record that a transcription failed.

        If the user has finished, the next transcription belongs to another segment.
        """
        self.arrive(stage, at_ns if stage.output_ns is None else stage.output_ns)
        turn = self._turns.current
        if stage.processor is not None and not (turn is not None and turn.is_user_active):
            self.settle(stage.processor, at_ns)

    def answer_count(self, processor: Processor) -> int:
        """Return how many transcriptions of a service have come or failed."""
        return self._answers.get(processor, 0)

    def end_segment(self, processor: Processor, answers_before: int, at_ns: int) -> None:
        """Record that a service that transcribes segment by segment is done with one.

        If no transcription of it has come, as for a cough, none will: the next one belongs to
        another segment.

        Args:
            processor: The service.
            answers_before: Its :meth:`answer_count` when it began on the segment.
            at_ns: When it was done.
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

    def _finish(
        self,
        stage: Stage,
        segment: SpeechSegment,
        output_ns: int,
        now_ns: int,
        *,
        is_last: bool = False,
    ) -> None:
        stage.parent = segment.parent
        if stage.is_named and stage.parent is not None and stage.parent.kind is Kind.TURN:
            stage.parent.assign_participant(stage.participant_id)
        if stage.failure is None and segment.speech is not None and segment.end_ns is not None:
            waited_ns = output_ns - segment.end_ns
            # If the service itself reports the end of speech, the transcription comes with it.
            if waited_ns > 0 or not segment.by_service:
                stage.attributes[tags.STT_FINALIZATION_SECONDS] = max(0, waited_ns) / 1e9
        turn = self._turns.current
        if turn is not None and stage.parent is turn.stage:
            self._stages.end(stage, output_ns)
            turn.hold(stage)
            if not is_last:  # else the turn ends now, and there may be no event loop for a timer
                late_secs = max(0, output_ns + LATE_WORDS_NS - now_ns) / 1e9
                self._await_words(stage, segment, late_secs)
        else:
            self._stages.close(stage, output_ns)

    def add_late(self, stage: Stage, at_ns: int) -> None:
        """Record words that :meth:`added_late` found to belong to a complete transcription."""
        stage.end_ns = at_ns
        waiting = self._waiting.get(stage)
        if waiting is not None:
            waiting.timer.cancel()
            self._await_words(stage, waiting.segment, LATE_WORDS_NS / 1e9)

    def note_figures(self, stage: Stage) -> None:
        """Record that a service has reported figures on a transcription."""
        waiting = self._waiting.get(stage)
        if waiting is not None and waiting.is_unmeasured and tags.METRICS_TTFB in stage.attributes:
            self._release(stage)

    def _await_words(self, stage: Stage, segment: SpeechSegment, secs: float) -> None:
        timer = self._start_timer(secs, lambda: self._await_figures(stage, segment))
        self._waiting[stage] = _Waiting(segment, timer)

    def _await_figures(self, stage: Stage, segment: SpeechSegment) -> None:
        """Export a transcription that no words are added to any more, once it is measured, too.

        A service that does not know which transcription is the last reports its time to first byte
        seconds later. Of speech that ended only after its last words, it reports none.
        """
        service = stage.processor.service if stage.processor is not None else None
        wait_secs = service().first_byte_secs if service is not None else 0.0
        is_early = segment.end_ns is not None and (stage.end_ns or 0) < segment.end_ns
        if not wait_secs or is_early or segment.by_service or tags.METRICS_TTFB in stage.attributes:
            self._release(stage)
        else:
            wait_secs += DETECTOR_SECS - LATE_WORDS_NS / 1e9
            timer = self._start_timer(wait_secs, lambda: self._release(stage))
            self._waiting[stage] = _Waiting(segment, timer, is_unmeasured=True)

    def _stop_waiting(self, stage: Stage) -> None:
        """Cancel the timer of a transcription that is sent: it would keep the turn alive."""
        waiting = self._waiting.pop(stage, None)
        if waiting is not None:
            waiting.timer.cancel()

    def _release(self, stage: Stage) -> None:
        self._stop_waiting(stage)
        turn = self._turns.current
        if turn is not None and turn.release(stage):
            with _guard.conversation.guarded():  # as a turn does with what it holds
                self._stages.close(stage, stage.end_ns or 0)

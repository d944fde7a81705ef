"""The user's side: their speech and its transcription.

Speech comes before it is decided that it opens a turn, and a transcription may come after the next
segment of speech has begun. So a segment waits here until its parent is known: the turn that it
opens, else the current turn, else the session.

A voice activity detector detects speech. A service that owns the user's turn (an STT service with
turn detection of its own, a speech-to-speech model) reports when the user begins and stops; without
a detector these reports decide when there is speech.
"""

from collections.abc import Callable
from dataclasses import dataclass

from pipecat_dd.conversation.model import Kind, Processor, Stage
from pipecat_dd.conversation.rulings import Rulings, Verdict
from pipecat_dd.conversation.speech_segments import (
    RULING_WINDOW_NS,
    Cause,
    PendingSegments,
    SpeechSegment,
)
from pipecat_dd.conversation.stages import Stages
from pipecat_dd.conversation.transcriptions import MAX_AWAITED as MAX_AWAITED
from pipecat_dd.conversation.transcriptions import TRANSCRIPTION_WINDOW_NS, Transcriptions
from pipecat_dd.conversation.turn import StartTimer, Turn
from pipecat_dd.conversation.turns import Turns
from pipecat_dd.conversation.user_audio import UserAudio
from pipecat_dd.names import tags

REPEATED_WITHIN_NS = 1_000_000_000
"""How soon after the start of speech another start counts as the same one, announced again.

Pipecat's user aggregator announces it upstream and downstream by two frames that nothing connects,
and the transport may have a detector, too.
"""

SAME_SPEECH_NS = 1_000_000_000
"""How long after a detector reported the end of speech a service may report that speech's start."""


@dataclass(slots=True)
class LateRuling:
    """A decision that the user's turn has ended, made before the detector was sure.

    Attributes:
        turn: The turn.
        segment: The speech whose end the detector has not reported yet.
        silent_ns: When the service that owns the turn took it to have ended; 0 if none does.
        ruled_ns: When the decision was made.
        strategy: The class of the strategy that decided.
        verdict: The rulings that led to it.
    """

    turn: Turn
    segment: SpeechSegment
    silent_ns: int
    ruled_ns: int
    strategy: str
    verdict: Verdict


class UserSide:
    """Follows the user's speech.

    Attributes:
        transcriptions: The transcriptions of that speech.
        rulings: The rulings on whether the user has finished.
    """

    def __init__(
        self,
        stages: Stages,
        start_timer: StartTimer,
        turns: Turns,
        transcribers: Callable[[], list[Processor]],
        audio: UserAudio,
    ) -> None:
        """Follow the user's speech.

        Args:
            stages: Opens and closes stages.
            start_timer: Runs a callback after a number of seconds.
            turns: The turns that the user's speech opens and closes.
            transcribers: Returns the processors that transcribe.
            audio: How the user's audio arrives.
        """
        self._stages = stages
        self._turns = turns
        self._transcribers = transcribers
        self._audio = audio
        self._speaking: SpeechSegment | None = None
        self._pending = PendingSegments()
        self._silent_ns = 0
        self._proposed_ns = 0
        self._predicted_ns = 0
        self._late_ruling: LateRuling | None = None
        self.transcriptions = Transcriptions(stages, start_timer, turns)
        self.rulings = Rulings()
        self._open = self.transcriptions.pending

    # Speech

    def start_speaking(self, start_ns: int, analyzer: str) -> None:
        """Record that the detector detected the beginning of speech.

        Args:
            start_ns: When the speech began, which is before the detector was sure.
            analyzer: The detector's class.
        """
        speaking = self._speaking
        if speaking is not None:
            if speaking.by_service and speaking.speech is not None:
                # The service was faster. From here on the detector's reports count.
                speaking.by_service = False
                speaking.speech.resource = analyzer
                self._began_by(speaking, start_ns)
                return
            if start_ns - speaking.start_ns < REPEATED_WITHIN_NS:
                return
            self.stop_speaking(start_ns)
        self._begin_speech(start_ns, analyzer)

    def stop_speaking(self, end_ns: int) -> None:
        """Record that the detector detected the end of speech.

        Args:
            end_ns: When the speech ended, which is before the detector was sure.
        """
        segment, self._speaking = self._speaking, None
        if segment is None or segment.speech is None:
            return
        segment.end_ns = max(end_ns, segment.start_ns)
        self._audio.end(segment.speech, segment.end_ns)
        if segment.parent is not None:
            self._fall_silent(segment)
            self._close(segment.speech, segment.end_ns)
        elif segment.was_inaudible:
            self._reject(segment, end_ns)

    def start_service_speech(self, at_ns: int, service: str) -> None:
        """Record that a service that owns the user's turn reports that the user speaks.

        Args:
            at_ns: When it reported that.
            service: The service's class.
        """
        self._predicted_ns = 0
        if self._speaking is not None or self._has_just_heard(at_ns):
            return
        self._begin_speech(at_ns, service, by_service=True)

    def predict_silence(self, at_ns: int) -> None:
        """Record that a service expects the user to have finished; it may take that back."""
        self._predicted_ns = at_ns
        self.rulings.note_prediction(at_ns)

    def withdraw_prediction(self) -> None:
        """Record that the service took its prediction back: the user has not finished."""
        self._predicted_ns = 0

    def stop_service_speech(self, at_ns: int) -> None:
        """Record that a service that owns the user's turn reports that the user has stopped.

        If the service had predicted it, the user stopped at the time of the prediction.

        Args:
            at_ns: When it reported that.
        """
        self.rulings.note_prediction(at_ns)
        silent_ns, self._predicted_ns = self._predicted_ns or at_ns, 0
        self._proposed_ns = silent_ns
        if self._speaking is not None and self._speaking.by_service:
            self.stop_speaking(silent_ns)

    def mute(self) -> None:
        """Record that the user is muted: their speech is not part of the conversation."""
        self._pending.is_muted = True

    def unmute(self, at_ns: int) -> None:
        """Record that the user is no longer muted."""
        self._pending.unmute(at_ns)
        for segment in [s for s in self._pending.segments if s.was_inaudible]:
            self._reject(segment, at_ns)

    def note_backchannel(self, at_ns: int) -> None:
        """Record that the user's last speech was taken for a backchannel, which opens no turn."""
        stretches = self._pending.segments
        segment = next((s for s in reversed(stretches) if s.is_transcribed), None)
        if segment is None and stretches:
            segment = stretches[-1]
        if segment is None:
            return
        if segment.end_ns is not None:
            self._reject(segment, at_ns)
            return
        # The detector is about to report its end. If the user goes on, a strategy decides.
        for stage in segment.transcriptions:
            stage.output_ns = stage.output_ns or at_ns

    def _begin_speech(self, start_ns: int, heard_by: str, *, by_service: bool = False) -> None:
        self._resolve_late_ruling()
        self._place_stale(start_ns)
        self.rulings.note_speech(start_ns)
        self.transcriptions.drop_unanswered(start_ns)
        segment = self.transcriptions.begun_by_words() or self._segment(start_ns)
        segment.by_service = by_service
        self._began_by(segment, start_ns)
        segment.speech = self._stages.open(
            Kind.USER_SPEECH, heard_by, segment.start_ns, parent=segment.parent
        )
        self._speaking = segment
        self._audio.begin()
        for processor in self._transcribers():
            self.transcriptions.settle(processor, start_ns)
            if not any(stage.processor is processor for stage in segment.transcriptions):
                self.transcriptions.begin(processor, segment)

    def _has_just_heard(self, at_ns: int) -> bool:
        """Whether a detector has just reported, start to end, the speech that a service reports."""
        last = self._pending.segments[-1] if self._pending.segments else None
        return (
            last is not None
            and last.speech is not None
            and last.end_ns is not None
            and not last.is_transcribed
            and at_ns - last.end_ns <= SAME_SPEECH_NS
        )

    def _began_by(self, segment: SpeechSegment, start_ns: int) -> None:
        """Move the start of speech back, and that of the turn that it opened."""
        if start_ns >= segment.start_ns:
            return
        turn = self._turns.current
        if turn is not None and segment.parent is turn.stage:
            self._turns.extend_back(turn, start_ns)
        self._start(segment, start_ns)

    def _fall_silent(self, segment: SpeechSegment) -> None:
        """Record that speech that is part of a turn has ended."""
        end_ns, late, turn = segment.end_ns or 0, self._late_ruling, self._turns.current
        if late is not None and late.segment is segment:
            if end_ns <= late.ruled_ns:
                late.silent_ns = end_ns
            self._resolve_late_ruling()
        elif turn is not None and segment.parent is turn.stage and turn.is_user_active:
            self._silent_ns = end_ns
            turn.set_silence(end_ns)

    # Decisions about turns

    def start_turn(self, at_ns: int, cause: Cause | None = None) -> Turn:
        """Start the user's turn; the speech that led to it becomes part of it.

        Args:
            at_ns: When it was decided that the turn has started.
            cause: The frame that led to the decision, if known.
        """
        self._resolve_late_ruling()
        self._place_stale(at_ns)
        claimed, others = self._pending.claim(at_ns, cause)
        for segment in others:
            self._reject(segment, at_ns)
        heard_ns = [max(segment.start_ns, segment.audible_ns) for segment in claimed]
        turn = self._begin_turn(at_ns, min(heard_ns, default=at_ns))
        for segment in claimed:
            self._start(segment, max(segment.start_ns, segment.audible_ns))
            self._place(segment, turn.stage)
            if segment.end_ns is not None:
                self._fall_silent(segment)
        return turn

    def _begin_turn(self, at_ns: int, start_ns: int) -> Turn:
        before = self._turns.current
        turn = self._turns.begin_user_turn(at_ns, start_ns)
        if turn is not before:
            self._silent_ns = 0
        else:
            self._turns.extend_back(turn, start_ns)
        return turn

    def end_turn(self, at_ns: int, strategy: str) -> None:
        """Record the decision that the user's turn has ended.

        Args:
            at_ns: When it was made.
            strategy: The class of the strategy that decided.
        """
        self.transcriptions.settle_all(at_ns)
        turn, speaking = self._turns.current, self._speaking
        if turn is not None and turn.is_user_active and turn.by_user:
            turn.set_ruling(at_ns)
            verdict = self.rulings.settle(turn.stage.start_ns, at_ns)
            verdict.describe_turn(turn.stage)
            if speaking is None:
                if self._silent_ns:
                    self._record_ruling(turn, strategy, self._silent_ns, at_ns, verdict)
            elif speaking.parent is turn.stage:
                # The detector takes a moment to be sure that the user has fallen silent.
                proposed_ns = self._proposed_ns if self._proposed_ns > speaking.start_ns else 0
                if proposed_ns:
                    turn.set_silence(proposed_ns)
                self._late_ruling = LateRuling(
                    turn, speaking, proposed_ns, at_ns, strategy, verdict
                )
        self._proposed_ns = 0
        self._turns.end_user_part()

    def _record_ruling(
        self, turn: Turn, strategy: str, silent_ns: int, at_ns: int, verdict: Verdict
    ) -> None:
        stage = self._stages.open(Kind.END_OF_TURN, strategy, silent_ns, parent=turn.stage)
        verdict.describe_ruling(stage)
        self._stages.close(stage, at_ns)

    def _resolve_late_ruling(self) -> None:
        """Report a decision that waited for the detector to report silence."""
        late, self._late_ruling = self._late_ruling, None
        if late is not None and late.silent_ns:
            late.turn.set_silence(late.silent_ns)
            self._record_ruling(
                late.turn, late.strategy, late.silent_ns, late.ruled_ns, late.verdict
            )

    def note_message(self, at_ns: int) -> None:
        """Record a message that the user sent instead of speaking: a complete turn of theirs."""
        self._audio.missing.note_message()
        turn = self._begin_turn(at_ns, at_ns)
        turn.set_message(at_ns)
        self._turns.end_user_part()

    # Transcriptions

    def note_interim(self, processor: Processor, at_ns: int, frame_id: int | None = None) -> None:
        """Record an interim transcription.

        Args:
            processor: The service that transcribes.
            at_ns: When the transcription came.
            frame_id: The id of its frame.
        """
        self._place_stale(at_ns)
        self.transcriptions.drop_unanswered(at_ns)
        entry = self.transcriptions.awaited(processor, at_ns, interim=True)
        segment = entry[1] if entry is not None else self._segment(at_ns)
        if entry is None:
            self.transcriptions.begin(processor, segment)
        self._note_words(segment, at_ns, frame_id)

    def note_transcription(
        self,
        processor: Processor,
        at_ns: int,
        language: str | None,
        user_id: str | None,
        frame_id: int | None = None,
    ) -> Stage:
        """Record a final transcription.

        It belongs to the oldest segment that has none, else to the segment in progress. A service
        may send several for one segment: the last one before the next segment, or before the
        decision about the turn, completes the segment's transcription.

        Args:
            processor: The service that transcribed.
            at_ns: When the transcription came.
            language: The language that the service detected.
            user_id: Who spoke, if the transport reports that.
            frame_id: The id of its frame.
        """
        self._place_stale(at_ns)
        self.transcriptions.drop_unanswered(at_ns)
        entry = self.transcriptions.awaited(processor, at_ns) or self.transcriptions.added_late(
            processor, at_ns
        )
        stage, segment = entry or (None, None)
        if stage is None:
            segment = self._segment(at_ns)
            stage = self.transcriptions.begin(processor, segment)
        self.transcriptions.arrive(stage, at_ns)
        stage.set(tags.STT_LANGUAGE, language)
        stage.set(tags.USER_ID, user_id)
        turn = self._turns.current
        if turn is not None and stage.parent is turn.stage:
            turn.set_transcription(at_ns)
        if segment is None:
            self.transcriptions.add_late(stage, at_ns)
            return stage
        self._note_words(segment, at_ns, frame_id)
        if segment.speech is None:
            segment.end_ns = at_ns
        if segment.parent is not None and not (turn is not None and turn.is_user_active):
            self.transcriptions.settle(processor, at_ns)
        return stage

    def _note_words(self, segment: SpeechSegment, at_ns: int, frame_id: int | None) -> None:
        segment.words_ns = at_ns
        if frame_id is not None:
            self._pending.note_words(frame_id, segment)

    def answer_count(self, processor: Processor) -> int:
        """Return how many transcriptions of a service have come or failed."""
        return self.transcriptions.answer_count(processor)

    def end_segment(self, processor: Processor, answers_before: int, at_ns: int) -> None:
        """Record that a service that transcribes segment by segment is done with one.

        Args:
            processor: The service.
            answers_before: Its :meth:`answer_count` when it began on the segment.
            at_ns: When it was done.
        """
        self.transcriptions.end_segment(processor, answers_before, at_ns)

    def end(self, at_ns: int) -> None:
        """Record that the session ends: close what is open, and drop what came to nothing."""
        self.stop_speaking(at_ns)
        self._resolve_late_ruling()
        for segment in self._pending.segments:
            self._place(segment, segment.during or self._stages.session.root)
        self._pending.segments.clear()
        self.transcriptions.settle_all(at_ns, drops=True)

    def _segment(self, start_ns: int) -> SpeechSegment:
        """Begin a segment: in the user's turn if one is in progress, else pending."""
        segment = SpeechSegment(start_ns)
        turn = self._turns.current
        if turn is not None and turn.is_user_active:
            self._turns.extend_back(turn, start_ns)
            segment.start_ns = max(start_ns, turn.stage.start_ns)
            segment.parent = turn.stage
            return segment
        if turn is not None and start_ns >= turn.stage.start_ns:
            # After the bot fell silent nothing joins the turn, though it is still open.
            segment.during = turn.stage if not turn.is_quiet or start_ns <= turn.quiet_ns else None
        self._pending.add(segment)
        return segment

    def _start(self, segment: SpeechSegment, start_ns: int) -> None:
        """Move the start of a segment and of its stages."""
        segment.start_ns = max(start_ns, self._stages.session.root.start_ns)
        for stage in (*segment.transcriptions, segment.speech):
            if stage is not None:
                stage.start_ns = segment.start_ns

    def _place(self, segment: SpeechSegment, parent: Stage) -> None:
        segment.parent = parent
        if segment.start_ns < parent.start_ns:
            self._start(segment, parent.start_ns)
        if segment.end_ns is not None:
            segment.end_ns = max(segment.end_ns, segment.start_ns)
        for stage in segment.transcriptions:
            stage.parent = parent
        if segment.speech is not None:
            segment.speech.parent = parent
            if segment.end_ns is not None:
                self._close(segment.speech, segment.end_ns)

    def _close(self, speech: Stage, end_ns: int) -> None:
        """Close a speech; with its turn, if its last audio has yet to come."""
        turn = self._turns.current
        if turn is not None and speech.parent is turn.stage and self._audio.is_awaited(speech):
            self._stages.end(speech, end_ns)
            turn.hold(speech)
        else:
            self._stages.close(speech, end_ns)

    def _reject(self, segment: SpeechSegment, at_ns: int, *, given_up: bool = False) -> None:
        """Attach speech that opens no turn to the turn it began in, else to the session.

        Args:
            segment: The speech.
            at_ns: The current time.
            given_up: Whether to stop waiting for its transcription.
        """
        if segment in self._pending.segments:
            self._pending.segments.remove(segment)
        self._place(segment, segment.during or self._stages.session.root)
        self.transcriptions.complete(segment, at_ns, given_up=given_up)

    def _place_stale(self, now_ns: int) -> None:
        """Attach the speech that no turn will claim any more: a cough, or a backchannel."""
        for segment in list(self._pending.segments):
            end_ns = segment.end_ns
            if end_ns is None and segment.speech is None and segment.words_ns:
                end_ns = segment.words_ns
            if end_ns is None or now_ns - end_ns <= RULING_WINDOW_NS:
                continue
            segment.end_ns = end_ns
            awaited = not self.transcriptions.are_through(segment)
            if not awaited or now_ns - end_ns > TRANSCRIPTION_WINDOW_NS:
                self._reject(segment, now_ns, given_up=True)

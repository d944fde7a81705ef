"""The conversation: makes stages of what the instrumentation reports."""

from collections.abc import Callable
from typing import Protocol

from pipecat_dd import _guard
from pipecat_dd.conversation.blocked import Blocking
from pipecat_dd.conversation.bot import BotSide
from pipecat_dd.conversation.context import FrameProcessing, WorkContext, bound_to
from pipecat_dd.conversation.errors import Errors
from pipecat_dd.conversation.failovers import Failovers
from pipecat_dd.conversation.failure import Failure
from pipecat_dd.conversation.flows import Flows
from pipecat_dd.conversation.frames import FrameWork
from pipecat_dd.conversation.inferences import Inferences
from pipecat_dd.conversation.live_sessions import register, unregister
from pipecat_dd.conversation.model import (
    AttributeValue,
    Kind,
    Phase,
    Processor,
    Role,
    Session,
    Stage,
)
from pipecat_dd.conversation.participants import Participants
from pipecat_dd.conversation.pipelines import FAILED, LOST, Hold, Pipelines
from pipecat_dd.conversation.service_events import ServiceEvents
from pipecat_dd.conversation.silence import Silence
from pipecat_dd.conversation.stages import StageListener, Stages
from pipecat_dd.conversation.telephone import PhoneNumbers
from pipecat_dd.conversation.turn import StartTimer
from pipecat_dd.conversation.turns import Turns
from pipecat_dd.conversation.user import UserSide
from pipecat_dd.conversation.user_audio import UserAudio
from pipecat_dd.names import tags
from pipecat_dd.settings import FrameSpans

STARTUP_NS = 1_000_000
"""How long a processor's set-up must take to get a stage of its own; a failed one always does."""


class CutProcessing(Protocol):
    """Ends the frame processing that is in progress at the session's end."""

    def __call__(self, at_ns: int, *, cancelled: bool) -> None:
        """End the processing.

        Args:
            at_ns: The session's end.
            cancelled: Whether the processing is cut off, rather than allowed to finish.
        """


def _cut_nothing(at_ns: int, *, cancelled: bool) -> None:
    """Do nothing: the default of a conversation whose processors are not observed."""


class Conversation:
    """Follows one session from its beginning to its end.

    Attributes:
        session: The session.
        turns: Its turns.
        user: The user's side of it.
        bot: The bot's side of it.
        frames: What its processors did.
        inferences: The calls to models that are not part of the conversation.
        errors: Its errors, each counted once.
        failovers: Counts the switches to another service after an error.
        participants: The participants, present and past.
        user_audio: How the user's audio arrives.
        silence: Who spoke how long, and the silence in between.
        service_events: The events of its services, strategies and workers.
        pipelines: The pipelines of its workers, and how each ended.
        flows: The flows of its workers (``pipecat.flows``).
        blocking: What it and its event loop did to each other.
        cut_processing: Called at the session's end to end the frame processing in progress.
        analyzer: The class of the voice activity detector that detects the user's speech.
        has_detector: Whether the pipeline has such a detector.
        strategy: The class of the strategy that decides that the user's turn has ended.
    """

    def __init__(
        self,
        session: Session,
        listener: StageListener,
        start_timer: StartTimer,
        turn_end_timeout_secs: float,
        frame_spans: FrameSpans = FrameSpans.NOTABLE,
        slow_frame_ms: float = 10.0,
        *,
        participant_names: bool = True,
        phone_hash_key: bytes | None = None,
        blocked_ms: float = 0.0,
    ) -> None:
        """Follow a session.

        Args:
            session: The session.
            listener: Receives the stages.
            start_timer: Runs a callback after a number of seconds.
            turn_end_timeout_secs: How long the bot must be quiet before its turn ends.
            frame_spans: Which frame processing gets a stage of its own.
            slow_frame_ms: How long the processing of a frame takes before it counts as slow.
            participant_names: Whether participants' names may be sent.
            phone_hash_key: The key for hashes of telephone numbers, which are never sent
                themselves; None for no hashes.
            blocked_ms: How long the event loop must stand still for it to be recorded; 0 turns
                that off.
        """
        self.session = session
        self._listener = listener
        self._end_reason: str | None = None
        self._others_go_on = False
        self._started = False
        self._setup_failures: dict[str, tuple[Failure, int]] = {}
        self.errors = Errors(session.root)
        self.cut_processing: CutProcessing = _cut_nothing
        self.analyzer = "vad"
        self.has_detector = False
        self.strategy = "user_turn"
        self._stages = Stages(session, listener)
        self.pipelines = Pipelines()
        self.flows = Flows(session)
        self._stages.worker_of = lambda stage: self.pipelines.worker_of(
            stage, session.processors.values()
        )
        self.participants = session.people = Participants(
            self._stages, start_timer, names=participant_names, numbers=PhoneNumbers(phone_hash_key)
        )
        self.service_events = ServiceEvents(self._stages, start_timer)
        self.frames = FrameWork(self._stages, start_timer, frame_spans, int(slow_frame_ms * 1e6))
        self.turns = Turns(self._stages, start_timer, turn_end_timeout_secs, self.frames.gather)
        self.failovers = Failovers(session.root)
        self.user_audio = UserAudio(self._stages, self.participants, start_timer)
        self.silence = Silence()
        self._stages.opened, self._stages.closing = self._opened, self._closing
        self.user = UserSide(
            self._stages, start_timer, self.turns, self._transcribers, self.user_audio
        )
        self.bot = BotSide(
            self._stages, self.turns, self._has_voice, self._can_speak, self._has_output
        )
        self.inferences = session.inferences = Inferences(self._stages)
        self.blocking = session.blocking = Blocking(self._stages, self.stage_of, blocked_ms / 1e3)
        # Audio that waited in the socket while the loop was blocked did not come late.
        self.user_audio.was_loop_blocked_between = self.blocking.was_standing_between
        session.binder = bound_to

    # The session

    def begin(self, at_ns: int) -> None:
        """Begin the session: the pipeline has been set up."""
        if self.session.phase is not Phase.MADE:
            return
        root = self.session.root
        # A log line may have referred to the session before.
        root.start_ns = min(root.start_ns, at_ns) if root.start_ns else at_ns
        self.session.phase = Phase.RUNNING
        register(self.session)
        self._listener.on_open(root)

    def _opened(self, stage: Stage) -> None:
        if stage.kind is Kind.PARTICIPANT:
            with _guard.conversation.guarded():
                self.silence.note_opened(stage)
                self.user_audio.missing.join(stage)
        elif stage.kind is Kind.BOT_SPEECH:
            self.user_audio.note_answer()

    def _closing(self, stage: Stage) -> None:
        try:
            self.silence.note_closed(stage)
            if stage.kind is Kind.TURN:
                self.blocking.settle(stage)
            elif stage.kind is Kind.USER_SPEECH:
                self.user_audio.settle(stage)
            elif stage.kind is Kind.PARTICIPANT:
                self.user_audio.missing.leave(stage)
        except Exception as error:  # the stage is exported all the same
            _guard.conversation.failed(error)

    def record_setup(self, processor_name: str, start_ns: int, end_ns: int) -> None:
        """Record that a processor was set up.

        Args:
            processor_name: The processor's name.
            start_ns: When its set-up began.
            end_ns: When its set-up was complete, or had failed.
        """
        failed = processor_name in self._setup_failures
        if end_ns - start_ns >= STARTUP_NS or failed:
            self._open_startup(processor_name, start_ns, end_ns)

    def _open_startup(self, processor_name: str, start_ns: int, end_ns: int) -> None:
        processor = self.session.processors.get(processor_name)
        failure, failed_ns = self._setup_failures.pop(processor_name, (None, end_ns))
        if processor is None:
            return
        stage = self._stages.open(
            Kind.STARTUP, processor.class_name, start_ns, parent=self.session.root
        )
        stage.attributes[tags.PROCESSOR_NAME] = processor.name
        stage.set(tags.WORKER_NAME, self.pipelines.worker_behind(processor))
        if failure is not None:
            stage.fail(failure)
        self._stages.close(stage, max(end_ns, failed_ns))

    def _open_failed_startups(self) -> None:
        """Report what failed before the start and has not been reported with its set-up."""
        for name, (_, failed_ns) in list(self._setup_failures.items()):
            self._open_startup(name, failed_ns, failed_ns)

    def start(self, at_ns: int) -> None:
        """Record that the whole pipeline has started."""
        if self._started:
            return
        self._started = True
        self.user_audio.missing.start()
        self._open_failed_startups()
        root = self.session.root
        stage = self._stages.open(Kind.STARTUP, "pipeline", root.start_ns, parent=root)
        self._stages.close(stage, at_ns)

    def set_end_reason(self, reason: str) -> None:
        """Set the reason for the session's end; the first reason stands.

        Args:
            reason: ``exited`` or ``terminated`` (the process), or ``removed`` (the observer).
        """
        # A runner cancels its remaining workers when the conversation has ended.
        if self._end_reason is None or (self._others_go_on and self._end_reason != "ended"):
            self._end_reason = reason

    def note_end_frame(self, reason: str) -> None:
        """Record a frame that ends a pipeline; ignored where the pipeline's end is observed.

        Args:
            reason: ``ended``, ``stopped`` or ``cancelled``.
        """
        if not any(pipeline.is_end_observed for pipeline in self.pipelines.all):
            self.set_end_reason(reason)

    def abandon(self) -> None:
        """End the session without reporting anything: it belongs to another process."""
        self.session.phase = Phase.ENDED
        self.session.is_void = True
        # The event loop that was forked with it may run on, and with it the timer of a turn.
        self._stages.forget_all()

    def continue_without(self) -> None:
        """Record that one of several pipelines was cleaned up, which need not end the session."""
        self._others_go_on = True

    def end(self, at_ns: int) -> None:
        """End the session: the pipeline has been cleaned up. A second call does nothing."""
        if self.session.phase is Phase.ENDED:
            return
        with _guard.event_loop.guarded():
            if self.blocking.leave is not None:
                self.blocking.leave()
        began = self.session.phase is Phase.RUNNING
        reason = self._reason()
        # Found before the processing in progress is cut off, which would hide who had the frame.
        lost = [p.lost for p in self.pipelines.all if p.outcome == LOST]
        if began:
            self._end_all(at_ns, reason, [hold for hold in lost if hold is not None])
        self.session.phase = Phase.ENDED
        unregister(self.session)
        if not began:
            return
        root = self.session.root
        root.attributes[tags.SESSION_END_REASON] = reason
        root.set(tags.SESSION_OUTCOME, self.session.outcome)
        if reason == LOST and lost and lost[-1] is not None:
            root.attributes[tags.SESSION_END_LOST_IN] = lost[-1].processor.key
        elif reason == FAILED:
            root.fail(self._failure().in_short)
        root.attributes[tags.SESSION_TURN_COUNT] = self.turns.count
        root.attributes[tags.SESSION_INTERRUPTION_COUNT] = self.turns.interruption_count
        root.attributes[tags.SESSION_BOT_SPEECH_COUNT] = self.bot.speech_count
        root.attributes.setdefault(tags.SESSION_ERROR_COUNT, 0)
        with _guard.conversation.guarded():
            root.attributes.update(self.silence.summary(root.start_ns, at_ns))
        self._stages.close(root, at_ns)

    def _reason(self) -> str:
        """Return the reason for the session's end."""
        found = self.pipelines.outcome(self._end_reason, was_partly_over=self._others_go_on)
        return found or FAILED

    def _failure(self) -> Failure:
        """Return what made the session fail."""
        pipelines = self.pipelines.all
        found = next((p.failure for p in pipelines if p.failure is not None), self.errors.last)
        if found is not None:
            return found
        stuck = next((hold for p in pipelines if (hold := p.stuck) is not None), None)
        if stuck is not None:
            what = f"the pipeline did not start: {stuck.processor.key} had the StartFrame last"
        elif not self._started:
            what = "the pipeline did not start"
        else:
            what = "the pipeline was cleaned up, and nothing had ended it"
        return Failure("PipelineError", what)

    def _end_all(self, at_ns: int, reason: str, lost: list[Hold]) -> None:
        in_order = reason in ("ended", "stopped")
        steps: tuple[Callable[[], None], ...] = (
            self.turns.stop_waiting,
            lambda: self.user.end(at_ns),
            lambda: self.bot.end(at_ns, cut_off=not in_order),
            lambda: self.inferences.end_all(at_ns),
            lambda: self.cut_processing(at_ns, cancelled=not in_order),
            *(lambda hold=hold: self.frames.report_lost_end(hold, at_ns) for hold in lost),
            self._open_failed_startups,
            lambda: self.participants.end(at_ns),
            lambda: self.service_events.end(at_ns),
            lambda: self._stages.close_all(at_ns),
            lambda: self.turns.end(at_ns),
            lambda: self.frames.gather(None),
        )
        for step in steps:
            # Each is guarded by itself: a session that did not end completely would never be freed.
            with _guard.conversation.guarded():
                step()

    # Frames

    def stage_of(self, processing: FrameProcessing) -> Stage | None:
        """Give frame processing a stage of its own; return None where frames get none."""
        stage = self.frames.stage_of(processing, self.session.stage)
        if processing.stage is None:
            processing.stage = stage
        return stage

    def end_processing(self, stage: Stage, at_ns: int, *, cancelled: bool) -> None:
        """End frame processing that has a stage of its own.

        Args:
            stage: The frame's stage, or the response that came of the processing.
            at_ns: When it ended.
            cancelled: Whether it was cancelled, as by an interruption.
        """
        if not stage.is_open:
            return
        if stage.kind is Kind.LLM:
            self.errors.settle_timeout(stage, self.turns.current)
            self.bot.end_response(stage, at_ns, interrupted=cancelled)
            return
        if cancelled:
            stage.attributes[tags.INTERRUPTED] = True
        self._stages.close(stage, at_ns)

    def finish(self, processing: FrameProcessing, end_ns: int, *, is_streamed: bool) -> None:
        """Close the stages of a frame's processing, and decide whether it gets one of its own.

        Called where something came of it: it has a stage, it failed, it was slow, or each
        processing by that processor gets a stage.

        Args:
            processing: The processing, which has ended.
            end_ns: When it ended.
            is_streamed: Whether frames of the class come many a second: they get one stage a run.
        """
        with _guard.conversation.guarded():
            frames, processor = self.frames, processing.processor
            assert processor is not None
            stage, error = processing.stage, processing.failure
            failed = isinstance(error, Exception)
            responded = stage is not None and stage.kind is not Kind.FRAME
            # An exception of a service belongs to its stage, once Pipecat's ErrorFrame explains it:
            # also if a line has given the frame a stage, or it would depend on the lines' level.
            for_stage = failed and not responded and processor.stage is not None
            if isinstance(error, Exception):
                self.errors.note_raised(processor, error, is_reported=not for_stage)
            cancelled = error is not None and not failed
            if stage is not None:
                if isinstance(error, Exception) and not for_stage:
                    _record_raised(stage, error)
                self.end_processing(stage, end_ns, cancelled=cancelled)
            if responded and frames.mode is not FrameSpans.ALL:
                return  # the response's stage shows it already
            if stage is not None and not responded:
                return
            slow = end_ns - processing.start_ns >= frames.slow_ns
            if is_streamed and not (slow or failed or responded):
                frames.passed(
                    processor,
                    processing.frame_class,
                    processing.direction,
                    processing.start_ns,
                    end_ns,
                )
                return
            if for_stage and not (slow or frames.takes_all_of(processor)):
                return
            own = self.stage_of(processing)
            if own is not None:
                if isinstance(error, Exception) and not for_stage:
                    _record_raised(own, error)
                self.end_processing(own, end_ns, cancelled=cancelled)

    # Figures and errors

    def count_dropped(self) -> None:
        """Record that an event was dropped because there were too many."""
        self.session.root.add(tags.SESSION_SHED_COUNT, 1)

    def record_figures(
        self,
        processor_name: str,
        facts: dict[str, AttributeValue],
        counts: dict[str, AttributeValue],
    ) -> None:
        """Record metrics that a service reported about its work.

        Args:
            processor_name: The service's name.
            facts: Attributes to set; a value that is already set stands.
            counts: Attributes to add to.
        """
        processor = self.session.processors.get(processor_name)
        stage = self._measured_stage(processor) if processor is not None else None
        if stage is None:
            return
        if not stage.is_open and stage.output_ns is None:
            facts = {}  # the output that it claims to have waited for never came
        for name, value in facts.items():
            stage.attributes.setdefault(name, value)
        for name, value in counts.items():
            if isinstance(value, (int, float)):
                stage.add(name, value)
        if stage.kind is Kind.STT:
            self.user.transcriptions.note_figures(stage)

    def _measured_stage(self, processor: Processor) -> Stage | None:
        if processor.stage is not None:
            return processor.stage
        turn = self.turns.current
        for stage in reversed(turn.held if turn is not None else ()):
            if stage.processor is processor:
                return stage
        return None

    def record_error(
        self,
        processor: Processor | None,
        work: WorkContext | None,
        failure: Failure,
        at_ns: int,
        where: str = "ErrorFrame",
        exception: object = None,
    ) -> None:
        """Record that a processor failed, or reported a failure.

        Args:
            processor: The processor that failed, if known.
            work: The work context in which the failure was reported.
            failure: What went wrong.
            at_ns: When it was reported.
            where: The frame's class, or what the processor was doing.
            exception: The exception that is reported, if any. A processor's exception is reported
                by its own task, or by the processor that pushed the frame to it.
        """
        raised = self.errors.take_raised(exception)
        if raised is not None:
            processor = raised[0]
        elif self.errors.is_repeated(processor, failure, exception, self.session.processors):
            return
        self.errors.note_report(failure, exception)
        if processor is not None and processor.role is Role.TTS:
            self.bot.fail_voice(processor, usable=failure.usable)
        self.errors.count(failure, self.turns.current)
        if raised is not None and raised[1]:
            return
        if work is not None and work.bound is not None and work.bound.is_open:
            work.bound.fail(failure)
        elif processor is None:
            return
        elif self.bot.realtime.fail(processor, at_ns, failure):
            pass
        elif processor.stage is not None:
            self._fail(processor.stage, failure, at_ns)
        elif isinstance(work, FrameProcessing) and not work.done and work.processor is processor:
            stage = work.stage or self.stage_of(work)
            if stage is not None:
                stage.fail(failure)
        elif not self._started:
            self._setup_failures.setdefault(processor.name, (failure, at_ns))
        else:
            self.frames.fail(processor, where, failure, at_ns)

    def fail_tool(self, call: Stage, failure: Failure) -> None:
        """Count the error of a tool whose result reports a failure, unless it is counted already.

        Args:
            call: The tool call's stage.
            failure: What went wrong.
        """
        if call.failure is None:
            self.errors.count(failure, self.turns.current)

    def _fail(self, stage: Stage, failure: Failure, at_ns: int) -> None:
        stage.fail(failure)
        if stage.kind is Kind.STT:
            self.user.transcriptions.fail(stage, at_ns)
        elif stage.kind is Kind.TTS:
            self.bot.fail_synthesis(stage, at_ns)

    def _transcribers(self) -> list[Processor]:
        return [p for p in self.session.processors.values() if p.role is Role.STT]

    def _has_output(self) -> bool:
        return any(p.role is Role.OUTPUT for p in self.session.processors.values())

    def _can_speak(self) -> bool:
        voices = (p for p in self.session.processors.values() if p.role is Role.TTS)
        return any(voice.is_usable for voice in voices)

    def _has_voice(self) -> bool:
        return any(p.role is Role.TTS for p in self.session.processors.values())


def _record_raised(stage: Stage, error: Exception) -> None:
    """Record what was raised in a stage, which has ended whether or not that can be described."""
    with _guard.conversation.guarded():
        stage.fail(Failure.of(error))

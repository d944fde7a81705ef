"""A conversation: what hearing reports goes in, stages come out."""

from collections import deque
from collections.abc import Callable
from typing import Protocol

from pipecat_dd import _guard
from pipecat_dd.conversation.bot import BotSide
from pipecat_dd.conversation.context import FrameProcessing, WorkContext, bound_to
from pipecat_dd.conversation.failovers import Failovers
from pipecat_dd.conversation.failure import Failure
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
from pipecat_dd.conversation.stages import StageListener, Stages
from pipecat_dd.conversation.telephone import PhoneNumbers
from pipecat_dd.conversation.turn import StartTimer
from pipecat_dd.conversation.turns import Turns
from pipecat_dd.conversation.user import UserSide
from pipecat_dd.names import tags
from pipecat_dd.settings import FrameSpans

STARTUP_NS = 1_000_000
"""How long a processor takes to be set up for that to be told of."""


class CutProcessing(Protocol):
    """Ends what processors are still at work on at the session's end."""

    def __call__(self, at_ns: int, *, cancelled: bool) -> None:
        """Say when that is, and whether the bot ends in the middle of things."""


def _has_none(at_ns: int, *, cancelled: bool) -> None:
    """Stand for a conversation that nobody hears the processors of."""


class Conversation:
    """Follows one session from its beginning to its end.

    Attributes:
        session: The session.
        turns: Its turns.
        user: The user's side of it.
        bot: The bot's side of it.
        frames: What its processors did.
        inferences: What models are asked beside it.
        failovers: How often a switcher turned to another service for an error.
        participants: Who is there.
        pipelines: The pipelines of its workers, and how each ended.
        cut_visits: Called at the session's end to end what processors are still at work on.
        analyzer: The class of the voice activity detector that hears the user.
        strategy: The class of what rules that the user's turn has ended.
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
    ) -> None:
        """Follow a session.

        Args:
            session: The session.
            listener: Where stages go.
            start_timer: Runs a callback after so many seconds.
            turn_end_timeout_secs: How long the bot must be quiet for a turn to be over.
            frame_spans: Which visits of frames to processors get a stage of their own.
            slow_frame_ms: How long a visit takes for that to be notable.
            participant_names: Whether participants' names may be told.
            phone_hash_key: The key for hashes of telephone numbers, which are not told.
        """
        self.session = session
        self._listener = listener
        self._end_reason: str | None = None
        self._others_go_on = False
        self._started = False
        self._setup_failures: dict[str, tuple[Failure, int]] = {}
        # Reported in the same breath; a few, so that what never is holds nothing for long.
        self._raised: deque[tuple[Processor, Exception, bool]] = deque(maxlen=4)
        self._last_error: tuple[str, object] = ("", None)
        self._last_failure: Failure | None = None
        self.cut_processing: CutProcessing = _has_none
        self.analyzer = "vad"
        self.strategy = "user_turn"
        self._stages = Stages(session, listener)
        self.pipelines = Pipelines()
        self._stages.worker_of = lambda stage: self.pipelines.worker_of(
            stage, session.processors.values()
        )
        self.participants = session.people = Participants(
            self._stages, start_timer, names=participant_names, numbers=PhoneNumbers(phone_hash_key)
        )
        self.frames = FrameWork(self._stages, frame_spans, int(slow_frame_ms * 1e6))
        self.turns = Turns(self._stages, start_timer, turn_end_timeout_secs, self.frames.gather)
        self.failovers = Failovers(session.root)
        self.user = UserSide(self._stages, self.turns, self._transcribers)
        self.bot = BotSide(
            self._stages, self.turns, self._has_voice, self._can_speak, self._has_output
        )
        self.inferences = session.inferences = Inferences(self._stages)
        session.binder = bound_to

    # The session

    def begin(self, at_ns: int) -> None:
        """The pipeline is set up.

        Args:
            at_ns: When.
        """
        if self.session.phase is not Phase.MADE:
            return
        root = self.session.root
        # Something may have been written in its name before.
        root.start_ns = min(root.start_ns, at_ns) if root.start_ns else at_ns
        self.session.phase = Phase.RUNNING
        register(self.session)
        self._listener.on_open(root)

    def record_setup(self, processor_name: str, start_ns: int, end_ns: int) -> None:
        """A processor was set up.

        Args:
            processor_name: Its name.
            start_ns: When that began.
            end_ns: When it was done, or had failed.
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
        """Tell of what failed before the start and was not told by its set-up's end."""
        for name, (_, failed_ns) in list(self._setup_failures.items()):
            self._open_startup(name, failed_ns, failed_ns)

    def start(self, at_ns: int) -> None:
        """The whole pipeline has started.

        Args:
            at_ns: When.
        """
        if self._started:
            return
        self._started = True
        self._open_failed_startups()
        root = self.session.root
        stage = self._stages.open(Kind.STARTUP, "pipeline", root.start_ns, parent=root)
        self._stages.close(stage, at_ns)

    def set_end_reason(self, reason: str) -> None:
        """What the session's end will be put down to; the first reason stands.

        Args:
            reason: ``exited`` or ``terminated``, of its process; ``removed``, of the observer.
        """
        # A runner cancels what is left of its workers when the conversation has ended.
        if self._end_reason is None or (self._others_go_on and self._end_reason != "ended"):
            self._end_reason = reason

    def see_end_frame(self, reason: str) -> None:
        """A frame was heard that ends a pipeline; of no account where it is followed to its end.

        Args:
            reason: ``ended``, ``stopped`` or ``cancelled``.
        """
        if not any(pipeline.is_end_observed for pipeline in self.pipelines.all):
            self.set_end_reason(reason)

    def abandon(self) -> None:
        """Let the session go without a word: it is another process's."""
        self.session.phase = Phase.ENDED
        self.session.is_void = True
        # The event loop that was forked with it may run on, and with it the wait for a turn's end.
        self._stages.forget_all()

    def continue_without(self) -> None:
        """One of several pipelines is cleaned up: its end need not be the session's."""
        self._others_go_on = True

    def end(self, at_ns: int) -> None:
        """The pipeline is cleaned up; bears being told twice.

        Args:
            at_ns: When.
        """
        if self.session.phase is Phase.ENDED:
            return
        began = self.session.phase is Phase.RUNNING
        reason = self._reason()
        # Before what is still worked on is cut off: that had it, whatever it would have done.
        lost = [p.lost for p in self.pipelines.all if p.outcome == LOST]
        if began:
            self._end_all(at_ns, reason, [hold for hold in lost if hold is not None])
        self.session.phase = Phase.ENDED
        unregister(self.session)
        if not began:
            return
        root = self.session.root
        root.attributes[tags.SESSION_END_REASON] = reason
        if reason == LOST and lost and lost[-1] is not None:
            root.attributes[tags.SESSION_END_LOST_IN] = lost[-1].processor.key
        elif reason == FAILED:
            root.fail(self._failure().in_short)
        root.attributes[tags.SESSION_TURN_COUNT] = self.turns.count
        root.attributes[tags.SESSION_INTERRUPTION_COUNT] = self.turns.interruption_count
        root.attributes[tags.SESSION_BOT_SPEECH_COUNT] = self.bot.speech_count
        root.attributes.setdefault(tags.SESSION_ERROR_COUNT, 0)
        self._stages.close(root, at_ns)

    def _reason(self) -> str:
        """Return what the session's end is put down to."""
        found = self.pipelines.outcome(self._end_reason, was_partly_over=self._others_go_on)
        return found or FAILED

    def _failure(self) -> Failure:
        """Return what brought the session down."""
        pipelines = self.pipelines.all
        found = next((p.failure for p in pipelines if p.failure is not None), self._last_failure)
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
            lambda: self.bot.end(at_ns),
            lambda: self.inferences.end_all(at_ns),
            lambda: self.cut_processing(at_ns, cancelled=not in_order),
            *(lambda hold=hold: self.frames.report_lost_end(hold, at_ns) for hold in lost),
            self._open_failed_startups,
            lambda: self.participants.end(at_ns),
            lambda: self._stages.close_all(at_ns),
            lambda: self.turns.end(at_ns),
            lambda: self.frames.gather(None),
        )
        for step in steps:
            # Each by itself: a session that has not quite ended would be kept for ever.
            with _guard.conversation.guarded():
                step()

    # Frames

    def stage_of(self, processing: FrameProcessing) -> Stage | None:
        """Give a visit a stage of its own; None where frames have none.

        Args:
            processing: The visit.
        """
        stage = self.frames.stage_of(processing, self.session.stage)
        if processing.stage is None:
            processing.stage = stage
        return stage

    def end_processing(self, stage: Stage, at_ns: int, *, cancelled: bool) -> None:
        """The visit that has a stage of its own is over.

        Args:
            stage: The visit's stage: the frame's, or the response that the visit was.
            at_ns: When.
            cancelled: Whether it was cancelled, as an interruption does.
        """
        if not stage.is_open:
            return
        if stage.kind is Kind.LLM:
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
            # What a service raises is its stage's, once Pipecat has said what it means.
            for_stage = failed and stage is None and processor.stage is not None
            if isinstance(error, Exception):
                self.note_raised(processor, error, told=not for_stage)
            cancelled = error is not None and not failed
            if stage is not None:
                if isinstance(error, Exception):
                    _fail(stage, error)
                self.end_processing(stage, end_ns, cancelled=cancelled)
            if responded and frames.mode is not FrameSpans.ALL:
                return  # the stage of the response says all there is to say of it
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
                    _fail(own, error)
                self.end_processing(own, end_ns, cancelled=cancelled)

    # Figures and errors

    def count_dropped(self) -> None:
        """An event was let go, since there were too many to take."""
        self.session.root.add(tags.SESSION_SHED_COUNT, 1)

    def record_figures(
        self,
        processor_name: str,
        facts: dict[str, AttributeValue],
        counts: dict[str, AttributeValue],
    ) -> None:
        """A service reported figures of what it is at work on.

        Args:
            processor_name: The service's name.
            facts: Figures to note.
            counts: Figures to add up.
        """
        processor = self.session.processors.get(processor_name)
        stage = self._measured_stage(processor) if processor is not None else None
        if stage is None:
            return
        if not stage.is_open and stage.output_ns is None:
            facts = {}  # what it is said to have waited for never came
        for name, value in facts.items():
            stage.attributes.setdefault(name, value)
        for name, value in counts.items():
            if isinstance(value, (int, float)):
                stage.add(name, value)

    def _measured_stage(self, processor: Processor) -> Stage | None:
        if processor.stage is not None:
            return processor.stage
        turn = self.turns.current
        for stage in reversed(turn.held if turn is not None else ()):
            if stage.processor is processor:
                return stage
        return None

    def note_raised(self, processor: Processor, error: Exception, *, told: bool) -> None:
        """A processor raised something, which is about to be reported.

        Args:
            processor: The processor.
            error: What it raised.
            told: Whether a stage of it says so already.
        """
        self._raised.append((processor, error, told))

    def record_error(
        self,
        processor: Processor | None,
        work: WorkContext | None,
        failure: Failure,
        at_ns: int,
        where: str = "ErrorFrame",
        exception: object = None,
    ) -> None:
        """A processor failed, or reported that it did.

        Args:
            processor: The processor that failed, where it is known.
            work: Where it was reported.
            failure: What went wrong.
            at_ns: When.
            where: What it was reported by, or failed in.
            exception: The exception that is reported, if one is. What a processor raised, its
                own task or the one that pushed to it reports.
        """
        raised = next((entry for entry in self._raised if entry[1] is exception), None)
        if raised is not None:
            self._raised.remove(raised)
            processor = raised[0]
        elif self._is_repeated(processor, failure, exception):
            return
        self._last_error = (failure.message, exception)
        if processor is not None and processor.role is Role.TTS:
            self.bot.fail_voice(processor, usable=failure.usable)
        self._count_error(failure)
        if raised is not None and raised[2]:
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

    def _count_error(self, failure: Failure) -> None:
        """Count an error on the turn it is in, and on the session."""
        self._last_failure = failure
        self.session.root.add(tags.SESSION_ERROR_COUNT, 1)
        turn = self.turns.current
        if turn is not None:
            turn.stage.add(tags.TURN_ERROR_COUNT, 1)
            turn.fail(failure)

    def fail_tool(self, call: Stage, failure: Failure) -> None:
        """A tool's result says that it failed, and nothing else has.

        Args:
            call: The tool call's stage.
            failure: What went wrong.
        """
        if call.failure is None:
            self._count_error(failure)

    def _is_repeated(
        self, processor: Processor | None, failure: Failure, exception: object
    ) -> bool:
        """Whether what holds a processor passes on what that has reported itself."""
        if processor is None or processor.name in self.session.processors:
            return False
        message, before = self._last_error
        if exception is not None:
            return exception is before
        return bool(message) and failure.message.endswith(message)

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


def _fail(stage: Stage, error: Exception) -> None:
    """Record what was raised in a stage, which has ended whether or not that can be described."""
    with _guard.conversation.guarded():
        stage.fail(Failure.of(error))

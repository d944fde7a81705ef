"""A conversation: what hearing reports goes in, stages come out."""

from pipecat_dd.knowing.bot import BotSide
from pipecat_dd.knowing.frames import SILENCE_NS, FrameSpans, FrameWork
from pipecat_dd.knowing.place import Place, Visit
from pipecat_dd.knowing.processor import Processor, Role
from pipecat_dd.knowing.session import Phase, Session, register, unregister
from pipecat_dd.knowing.stage import Fact, Failure, Kind, Stage
from pipecat_dd.knowing.stages import Stages, Teller
from pipecat_dd.knowing.turns import StartTimer, Turns
from pipecat_dd.knowing.user import UserSide

STARTUP_NS = 1_000_000
"""How long a processor takes to be set up for that to be told of."""


class Conversation:
    """Follows one session from its beginning to its end.

    Attributes:
        session: The session.
        turns: Its turns.
        user: The user's side of it.
        bot: The bot's side of it.
        frames: What its processors did.
        analyzer: The class of the voice activity detector that hears the user.
        strategy: The class of what rules that the user's turn has ended.
    """

    def __init__(
        self,
        session: Session,
        teller: Teller,
        start_timer: StartTimer,
        turn_end_timeout_secs: float,
        frame_spans: FrameSpans = FrameSpans.NOTABLE,
        slow_frame_ms: float = 10.0,
    ) -> None:
        """Follow a session.

        Args:
            session: The session.
            teller: Where stages go.
            start_timer: Runs a callback after so many seconds.
            turn_end_timeout_secs: How long the bot must be quiet for a turn to be over.
            frame_spans: Which visits of frames to processors get a stage of their own.
            slow_frame_ms: How long a visit takes for that to be notable.
        """
        self.session = session
        self._teller = teller
        self._end_reason: str | None = None
        self._started = False
        self._setup_failures: dict[str, Failure] = {}
        self.analyzer = "vad"
        self.strategy = "user_turn"
        self._stages = Stages(session, teller)
        self.frames = FrameWork(self._stages, frame_spans, int(slow_frame_ms * 1e6))
        self.turns = Turns(self._stages, start_timer, turn_end_timeout_secs, self.frames.gather)
        self.user = UserSide(self._stages, self.turns, self._transcribers)
        self.bot = BotSide(self._stages, self.turns, self._has_voice)

    # The session

    def begins(self, at_ns: int) -> None:
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
        self._teller.opened(root)

    def was_set_up(self, processor_name: str, start_ns: int, end_ns: int) -> None:
        """A processor was set up.

        Args:
            processor_name: Its name.
            start_ns: When that began.
            end_ns: When it was done, or had failed.
        """
        processor = self.session.processors.get(processor_name)
        failure = self._setup_failures.pop(processor_name, None)
        if processor is None or (end_ns - start_ns < STARTUP_NS and failure is None):
            return
        stage = self._stages.open(
            Kind.STARTUP, processor.class_name, start_ns, parent=self.session.root
        )
        stage.facts["processor.name"] = processor.name
        if failure is not None:
            stage.fail(failure)
        self._stages.close(stage, end_ns)

    def has_started(self, at_ns: int) -> None:
        """The whole pipeline has started.

        Args:
            at_ns: When.
        """
        if self._started:
            return
        self._started = True
        root = self.session.root
        stage = self._stages.open(Kind.STARTUP, "pipeline", root.start_ns, parent=root)
        self._stages.close(stage, at_ns)

    def is_ending(self, reason: str) -> None:
        """What the session's end will be put down to; the first reason stands.

        Args:
            reason: ``ended``, ``stopped`` or ``cancelled``.
        """
        self._end_reason = self._end_reason or reason

    def ends(self, at_ns: int) -> None:
        """The pipeline is cleaned up; bears being told twice.

        Args:
            at_ns: When.
        """
        if self.session.phase is Phase.ENDED:
            return
        began = self.session.phase is Phase.RUNNING
        if began:
            self.user.end(at_ns)
            self.bot.end(at_ns)
            self._stages.close_all(at_ns)
            self.turns.end(at_ns)
            self.frames.gather(None)
        self.session.phase = Phase.ENDED
        unregister(self.session)
        if not began:
            return
        root = self.session.root
        root.facts["session.end_reason"] = self._end_reason or "failed"
        root.facts["session.turn_count"] = self.turns.count
        root.facts["session.interruption_count"] = self.turns.interruptions
        root.facts["session.bot_speech_count"] = self.bot.speech_count
        root.facts.setdefault("session.error_count", 0)
        self._stages.close(root, at_ns)

    # Frames

    def visit_stage(self, visit: Visit) -> Stage | None:
        """Give a visit a stage of its own; None where frames have none.

        Args:
            visit: The visit.
        """
        turn = self.turns.current
        parent = self.session.stage
        if turn is not None and turn.is_quiet and visit.start_ns > turn.quiet_ns + SILENCE_NS:
            # The turn is waited for, but most likely over since the bot fell silent.
            parent = self.session.root
        stage = self.frames.stage_of(visit, parent)
        if visit.stage is None:
            visit.stage = stage
        return stage

    def visit_ends(self, stage: Stage, at_ns: int, *, cancelled: bool) -> None:
        """The visit that has a stage of its own is over.

        Args:
            stage: The visit's stage: the frame's, or the response that the visit was.
            at_ns: When.
            cancelled: Whether it was cancelled, as an interruption does.
        """
        if not stage.is_open:
            return
        if stage.kind is Kind.LLM:
            self.bot.response_ends(stage, at_ns, interrupted=cancelled)
            return
        if cancelled:
            stage.facts["interrupted"] = True
        self._stages.close(stage, at_ns)

    # Figures and errors

    def measured(
        self, processor_name: str, facts: dict[str, Fact], counts: dict[str, Fact]
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
        for name, value in facts.items():
            stage.facts.setdefault(name, value)
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

    def errs(
        self,
        processor: Processor | None,
        place: Place | None,
        failure: Failure,
        at_ns: int,
        where: str = "ErrorFrame",
    ) -> None:
        """A processor failed, or reported that it did.

        Args:
            processor: The processor that failed, where it is known.
            place: Where it was reported.
            failure: What went wrong.
            at_ns: When.
            where: What it was reported by, or failed in.
        """
        root = self.session.root
        root.add("session.error_count", 1)
        turn = self.turns.current
        if turn is not None:
            turn.stage.add("turn.error_count", 1)
        if place is not None and place.bound is not None and place.bound.is_open:
            place.bound.fail(failure)
        elif processor is None:
            return
        elif processor.stage is not None:
            processor.stage.fail(failure)
        elif isinstance(place, Visit) and not place.done and place.processor is processor:
            stage = place.stage or self.visit_stage(place)
            if stage is not None:
                stage.fail(failure)
        elif not self._started:
            self._setup_failures[processor.name] = failure
        else:
            self.frames.fails(processor, where, failure, at_ns)

    def _transcribers(self) -> list[Processor]:
        return [p for p in self.session.processors.values() if p.role is Role.STT]

    def _has_voice(self) -> bool:
        return any(p.role is Role.TTS for p in self.session.processors.values())

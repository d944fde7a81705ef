"""Turns: where one ends and the next begins.

A turn opens when the user's turn starts, or when the bot starts to respond while no turn is
open. It closes when the bot has stopped speaking and has no work in progress, when the user
begins the next turn, or when the session ends.

A timer alone would get this wrong: one that starts when the bot falls silent, and ignores a tool
call still running, ends the turn before its answer. So the timer runs only while no work is in
progress, and any work that begins stops it.
"""

from collections.abc import Callable
from dataclasses import dataclass

from pipecat_dd import _guard
from pipecat_dd.conversation.model import Kind, Stage
from pipecat_dd.conversation.stages import Stages
from pipecat_dd.conversation.turn import SPEECH_PENDING_SECS, StartTimer, Timer, Turn
from pipecat_dd.conversation.unheard_turn import UnheardTurn
from pipecat_dd.names import tags

INTERRUPTION_WINDOW_NS = 500_000_000
"""How far apart an interruption and the user's turn that caused it may be reported.

Pipecat announces the user's turn and then interrupts. A user who types interrupts first and then
sends the message.
"""

LEFT_WAITING_SECS = 3.0
"""How long a user must wait before a missing answer counts as one that left them waiting.

A user who speaks again sooner only paused; one who hangs up sooner expected no answer.
"""

BY_USER = "user"
"""The resource of a turn that the user began."""


@dataclass(slots=True)
class Leaving:
    """A turn ended by the user's next one, while it is unclear whether it was interrupted.

    Attributes:
        turn: The turn.
        left_ns: When it was decided that the next turn begins.
        end_ns: When the next turn began, and this one ends.
        timer: Limits the wait for an interruption.
    """

    turn: Turn
    left_ns: int
    end_ns: int
    timer: Timer


class Turns:
    """Opens and closes turns.

    Attributes:
        current: The open turn, if any.
        unheard: What is synthesized while no turn is open; it may become a turn.
        count: How many turns have begun.
        interruption_count: How many of them the user interrupted.
        on_held_closed: Called for each stage that a turn held, when the turn's end closes it.
    """

    def __init__(
        self,
        stages: Stages,
        start_timer: StartTimer,
        turn_end_timeout_secs: float,
        gather: Callable[[Stage | None], None],
    ) -> None:
        """Keep track of turns.

        Args:
            stages: Opens and closes stages.
            start_timer: Starts a timer.
            turn_end_timeout_secs: How long the bot must be quiet before its turn ends.
            gather: Called when the current turn changes; records what the processors have done
                on the stage of the turn that was current (None for no turn).
        """
        self._gather = gather
        self._stages = stages
        self._start_timer = start_timer
        self._timeout_secs = turn_end_timeout_secs
        self._timer: Timer | None = None
        self._leaving: Leaving | None = None
        self._ended_ns = 0
        self._interrupted_ns = 0
        self._was_cut_off = False
        self._over = False
        wait_secs = max(turn_end_timeout_secs, SPEECH_PENDING_SECS)
        self.unheard = UnheardTurn(stages, start_timer, wait_secs)
        self.current: Turn | None = None
        self.count = 0
        self.interruption_count = 0
        self.on_held_closed: Callable[[Stage], None] = lambda stage: None

    def begin_user_turn(self, at_ns: int, start_ns: int) -> Turn:
        """Begin the user's turn, unless it is in progress already.

        Args:
            at_ns: When it was decided that the user's turn begins.
            start_ns: When the user began to speak.
        """
        self.unheard.give_up()
        before = self.current
        start_ns = min(start_ns, at_ns)
        if before is not None:
            if before.is_user_active:
                return before
            # Speech that began before the previous turn counts from that turn's start.
            start_ns = max(start_ns, before.stage.start_ns)
            self._leave(before, at_ns, start_ns)
        return self._begin(BY_USER, start_ns)

    def extend_back(self, turn: Turn, start_ns: int) -> None:
        """Move the start of a user's turn back to the start of its speech.

        The turn never starts before the end of the previous one.
        """
        if turn.by_user and start_ns < turn.stage.start_ns:
            turn.stage.start_ns = max(
                start_ns,
                min(turn.stage.start_ns, self._ended_ns),
                self._stages.session.root.start_ns,
            )

    def begin_bot_work(self, at_ns: int) -> Turn:
        """Record that the bot begins to respond: in the open turn, or in a new turn of its own."""
        turn = self.current or self._begin("bot", at_ns)
        turn.respond()
        self._disarm()
        return turn

    def begin_unheard(self, at_ns: int) -> Turn:
        """Begin a synthesis in the open turn, else in one that counts only once it is played.

        With no turn open it is most likely a greeting, which begins a turn of the bot's. But it
        may also warm up a voice, or record one, and never be played.
        """
        if self.current is not None:
            return self.begin_bot_work(at_ns)
        at_ns = max(at_ns, self._ended_ns)
        turn = self.unheard.begin(at_ns, lambda stage: Turn(stage, by_user=False))
        turn.respond()
        return turn

    def confirm(self, stage: Stage | None = None) -> None:
        """Record that what was synthesized with no turn open is about to be played, or failed.

        Args:
            stage: The synthesis's stage; None if it may be any.
        """
        if self.current is not None and self.current.by_user:
            self.unheard.give_up()
        elif (heard := self.unheard.take(stage)) is not None:
            if self.current is None:
                self._enter(heard)
            else:
                # Meanwhile the model has begun to answer: it is all one turn.
                self.unheard.join(heard, self.current)

    def end_user_part(self) -> None:
        """Record that the user has finished."""
        if self.current is not None:
            self.current.end_user_part()
            self.settle()

    def begin_work(self, turn: Turn, stage: Stage) -> None:
        """Record that work on the bot's answer begins."""
        turn.start_work(stage)
        if turn is self.current:
            self._disarm()

    def end_work(self, stage: Stage, at_ns: int) -> None:
        """Record that work on the bot's answer has ended."""
        for turn in self._turns():
            turn.end_work(stage, at_ns)
        self.unheard.end_work(stage)
        self.settle()

    def ask(self) -> None:
        """Record that the model was asked for a response, which may take a while to begin."""
        if self.current is not None:
            self.current.ask_response()
            self._rearm()

    def expect(self, what: object) -> None:
        """Record that something has begun that may bring the answer.

        Args:
            what: Any hashable object that identifies it.
        """
        if self.current is not None:
            self.current.expect(what)
            self._rearm()

    def is_awaiting(self, what: object) -> bool:
        """Whether this may still bring the answer to the current turn.

        Args:
            what: The object that was passed to :meth:`expect`.
        """
        turn = self.current
        return turn is not None and turn.is_awaiting(what)

    def arrive(self, what: object, at_ns: int) -> None:
        """Record that something that was expected to bring the answer has ended.

        Args:
            what: The object that was passed to :meth:`expect`.
            at_ns: When it ended.
        """
        for turn in self._turns():
            if turn.arrive(what, at_ns):
                self._rearm()

    def start_bot_speech(self, at_ns: int) -> Turn:
        """Record that the bot begins to speak."""
        if self.current is None:
            self.confirm()
        turn = self.begin_bot_work(at_ns)
        turn.start_bot_speech()
        return turn

    def stop_bot_speech(self, at_ns: int) -> None:
        """Record that the bot has fallen silent."""
        for turn in self._turns():
            turn.stop_bot_speech(at_ns)
        self.settle()

    def interrupt(self, at_ns: int) -> None:
        """Record that what the bot was saying or doing is cut off.

        Pipecat reports this at every start of a user's turn, whether the bot was speaking or
        not, and at other times, too. So a turn counts as interrupted only if the user began a
        turn and the bot was active.
        """
        if self._leaving is not None:
            leaving, self._leaving = self._leaving, None
            leaving.timer.cancel()
            turn = leaving.turn
            if turn.is_bot_active and at_ns - leaving.left_ns <= INTERRUPTION_WINDOW_NS:
                self._close_interrupted(turn, leaving.end_ns)
            else:
                self._close(turn, leaving.end_ns, "user_turn")
            return
        self._interrupted_ns = at_ns
        self._was_cut_off = self.current is not None and self.current.is_bot_active

    def settle(self) -> None:
        """Start to wait for the turn's end if no work is in progress, else stop waiting."""
        turn = self.current
        if turn is None or not turn.is_quiet or self._over:
            self._disarm()
            return
        # What is still to come belongs to the turn, however long it takes to be played.
        self._stages.session.quiet_ns = None if turn.min_wait_secs else turn.quiet_ns
        if self._timer is None:
            secs = max(self._timeout_secs, turn.min_wait_secs)
            self._timer = self._start_timer(secs, self._timed_out)

    def stop_waiting(self) -> None:
        """Stop waiting for the end of turns, for good: the session ends."""
        self._over = True
        self._disarm()
        self.unheard.give_up()

    def end(self, at_ns: int) -> None:
        """Close the open turn: the session ends."""
        self._disarm()
        self._finish_leaving()
        turn = self.current
        if turn is not None:
            done = turn.is_quiet and turn.is_answered
            self._close(turn, turn.quiet_ns if done else at_ns, "session_end")

    def _turns(self) -> list[Turn]:
        turns = [self.current] if self.current is not None else []
        if self._leaving is not None:
            turns.append(self._leaving.turn)
        return turns

    def _begin(self, initiator: str, start_ns: int) -> Turn:
        root = self._stages.session.root
        start_ns = max(start_ns, self._ended_ns)  # turns do not overlap
        stage = self._stages.open(Kind.TURN, initiator, start_ns, parent=root)
        turn = Turn(stage, by_user=initiator == BY_USER)
        self._enter(turn)
        return turn

    def _enter(self, turn: Turn) -> None:
        self._gather(None)
        self.count += 1
        turn.stage.attributes[tags.TURN_NUMBER] = self.count
        self.current = turn
        self._stages.session.enter_turn(turn.stage)

    def _leave(self, turn: Turn, at_ns: int, next_ns: int) -> None:
        """Close a turn that the user's next one ends, or wait to see whether it was interrupted.

        Args:
            turn: The turn.
            at_ns: When it was decided that the next turn begins.
            next_ns: When the next turn began; this one ends no later.
        """
        self._finish_leaving()
        self._disarm()
        self._ended_ns = max(self._ended_ns, turn.stage.start_ns)
        if at_ns - self._interrupted_ns <= INTERRUPTION_WINDOW_NS and self._was_cut_off:
            self._was_cut_off = False
            self._close_interrupted(turn, min(self._interrupted_ns, next_ns))
        elif turn.is_quiet and not turn.is_expecting:
            end_ns = min(turn.quiet_ns, next_ns)
            self._close(turn, end_ns, "bot_finished", waited_until_ns=at_ns)
        elif not turn.is_bot_active:
            self._close(turn, next_ns, "user_turn")
        else:
            self._gather(turn.stage)
            self.current = None
            self._ended_ns = max(self._ended_ns, next_ns)
            timer = self._start_timer(INTERRUPTION_WINDOW_NS / 1e9, self._finish_leaving)
            self._leaving = Leaving(turn, at_ns, next_ns, timer)

    def _finish_leaving(self) -> None:
        if self._leaving is not None:
            leaving, self._leaving = self._leaving, None
            leaving.timer.cancel()
            self._close(leaving.turn, leaving.end_ns, "user_turn")

    def _timed_out(self) -> None:
        self._timer = None
        turn = self.current
        if turn is not None and turn.is_quiet:
            waited_until_ns = turn.quiet_ns + int(self._timeout_secs * 1e9)
            self._close(turn, turn.quiet_ns, "bot_finished", waited_until_ns=waited_until_ns)

    def _close_interrupted(self, turn: Turn, at_ns: int) -> None:
        self.interruption_count += 1
        turn.stage.attributes[tags.TURN_WAS_INTERRUPTED] = True
        self._close(turn, at_ns, "interrupted")

    def _close(
        self, turn: Turn, at_ns: int, reason: str, *, waited_until_ns: int | None = None
    ) -> None:
        """Close a turn.

        Args:
            turn: The turn.
            at_ns: When it ended.
            reason: What ended it.
            waited_until_ns: The user waited at least until then; None for the turn's end.
        """
        facts = turn.stage.attributes
        interrupted = facts.setdefault(tags.TURN_WAS_INTERRUPTED, False)
        facts[tags.TURN_END_REASON] = reason
        if interrupted:
            outcome = "interrupted"
        elif turn.is_answered:
            outcome = "answered"
        elif turn.stage.attributes.get(tags.TURN_ERROR_COUNT):
            outcome = "failed"
            if turn.failure is not None:
                turn.stage.fail(turn.failure.in_short)
        else:
            outcome = "unanswered"
        facts[tags.TURN_OUTCOME] = outcome
        if outcome == "unanswered" and turn.by_user and not turn.is_user_active:
            # With no voice activity detector, the turn began with the message.
            waited_ns = (waited_until_ns or at_ns) - (turn.latency.silent_ns or turn.stage.start_ns)
            facts[tags.TURN_LEFT_WAITING] = waited_ns >= LEFT_WAITING_SECS * 1e9
        if turn is self.current:
            self._gather(turn.stage)
            self.current = None
            self._stages.session.turn = None
            self._disarm()
        for stage in turn.take_held():
            # A stage that cannot be exported must not keep the turn open.
            with _guard.conversation.guarded():
                self.on_held_closed(stage)
                self._stages.close(stage, at_ns if stage.end_ns is None else stage.end_ns)
        self._stages.close(turn.stage, at_ns)
        self._ended_ns = max(self._ended_ns, turn.stage.end_ns or 0)

    def _rearm(self) -> None:
        self._disarm()
        self.settle()

    def _disarm(self) -> None:
        self._stages.session.quiet_ns = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

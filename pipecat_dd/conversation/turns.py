"""Turns: where one ends and the next begins.

A turn opens when the user's turn starts, or when the bot starts to respond with no turn open.
It closes when the bot has stopped speaking and nothing is under way for it, when the user
begins the next, or with the session. How others get this wrong is instructive: a timer that is
armed when the bot falls silent and forgets the tool call still running ends the turn before
its answer. So nothing here is decided by a timer alone: the timer is armed only while nothing
is under way, and disarmed by whatever begins.
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
"""How far apart an interruption and the user's turn that caused it may be heard.

Pipecat announces the user's turn and then interrupts; a user who types interrupts and then
sends the message.
"""

LEFT_WAITING_SECS = 3.0
"""How long a user must have waited for an answer that never came, for it to be missed.

One who goes on sooner only paused; one who hangs up sooner wanted none.
"""

BY_USER = "user"
"""The resource of a turn that the user began."""


@dataclass(slots=True)
class Leaving:
    """A turn that the user's next one ends, of which it is not known yet whether it was cut off.

    Attributes:
        turn: The turn.
        left_ns: When the next was ruled.
        end_ns: When the next began, and this one ends.
        timer: Ends the wait for an interruption.
    """

    turn: Turn
    left_ns: int
    end_ns: int
    timer: Timer


class Turns:
    """Opens and closes turns.

    Attributes:
        current: The turn that is open, if one is.
        unheard: The turn that what is synthesized with none open may be the beginning of.
        count: How many turns have begun.
        interruptions: How many of them the user cut off.
    """

    def __init__(
        self,
        stages: Stages,
        start_timer: StartTimer,
        turn_end_timeout_secs: float,
        gather: Callable[[Stage | None], None],
    ) -> None:
        """Keep turns.

        Args:
            stages: Opens and closes stages.
            start_timer: Starts a timer.
            turn_end_timeout_secs: How long the bot must be quiet for the turn to be over.
            gather: Told when another turn, or none, becomes the current one, and which it was
                before: what the processors did until then was part of that.
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

    def begin_user_turn(self, at_ns: int, start_ns: int) -> Turn:
        """The user's turn begins, and with it the next turn.

        Args:
            at_ns: When that was ruled.
            start_ns: When the user began to speak.
        """
        self.unheard.give_up()
        before = self.current
        start_ns = min(start_ns, at_ns)
        if before is not None:
            if before.is_user_active:
                return before
            # Who spoke already when it began was heard in it from there on.
            start_ns = max(start_ns, before.stage.start_ns)
            self._leave(before, at_ns, start_ns)
        return self._begin(BY_USER, start_ns)

    def extend_back(self, turn: Turn, start_ns: int) -> None:
        """A turn of the user's turns out to have begun earlier: where its speech did.

        Args:
            turn: The turn.
            start_ns: When the speech began. The turn before may end only later.
        """
        if turn.by_user and start_ns < turn.stage.start_ns:
            turn.stage.start_ns = max(
                start_ns,
                min(turn.stage.start_ns, self._ended_ns),
                self._stages.session.root.start_ns,
            )

    def begin_bot_work(self, at_ns: int) -> Turn:
        """The bot begins to respond: in the turn that is open, else in one of its own."""
        turn = self.current or self._begin("bot", at_ns)
        turn.respond()
        self._disarm()
        return turn

    def begin_unheard(self, at_ns: int) -> Turn:
        """Something is synthesized with no turn open.

        A greeting, most likely, which begins a turn of the bot's. Or a voice is warmed up, or
        recorded, and nobody ever hears it: so it counts as a turn only once it is heard.

        Args:
            at_ns: When.
        """
        if self.current is not None:
            return self.begin_bot_work(at_ns)
        at_ns = max(at_ns, self._ended_ns)
        turn = self.unheard.begin(at_ns, lambda stage: Turn(stage, by_user=False))
        turn.respond()
        return turn

    def confirm(self, stage: Stage | None = None) -> None:
        """What was synthesized with no turn open is about to be heard, or failed.

        Args:
            stage: The synthesis's stage; None where it may be any.
        """
        if self.current is not None and self.current.by_user:
            self.unheard.give_up()
        elif (heard := self.unheard.take(stage)) is not None:
            if self.current is None:
                self._enter(heard)
            else:
                # The model has begun to answer in the meantime: all one turn.
                self.unheard.join(heard, self.current)

    def end_user_part(self) -> None:
        """The user's part of the turn has ended."""
        if self.current is not None:
            self.current.end_user_part()
            self.settle()

    def begin_work(self, turn: Turn, stage: Stage) -> None:
        """Something begins for the bot's answer."""
        turn.start_work(stage)
        if turn is self.current:
            self._disarm()

    def end_work(self, stage: Stage, at_ns: int) -> None:
        """Something of the bot's answer has ended."""
        for turn in self._turns():
            turn.end_work(stage, at_ns)
        self.unheard.end_work(stage)
        self.settle()

    def ask(self) -> None:
        """The model was asked for a response, which may take a while to begin."""
        if self.current is not None:
            self.current.ask_response()
            self._rearm()

    def expect(self, what: object) -> None:
        """Something goes on that the answer may come of.

        Args:
            what: Stands for it.
        """
        if self.current is not None:
            self.current.expect(what)
            self._rearm()

    def is_awaiting(self, what: object) -> bool:
        """Whether the answer to the turn that goes on may come of something, and has not.

        Args:
            what: Stands for it.
        """
        turn = self.current
        return turn is not None and turn.is_awaiting(what)

    def arrive(self, what: object, at_ns: int) -> None:
        """Something that the answer may have come of is over.

        Args:
            what: Stands for it, as it did when it was expected.
            at_ns: When.
        """
        for turn in self._turns():
            if turn.arrive(what, at_ns):
                self._rearm()

    def start_bot_speech(self, at_ns: int) -> Turn:
        """The bot is heard."""
        if self.current is None:
            self.confirm()
        turn = self.begin_bot_work(at_ns)
        turn.start_bot_speech()
        return turn

    def stop_bot_speech(self, at_ns: int) -> None:
        """The bot has fallen silent."""
        for turn in self._turns():
            turn.stop_bot_speech(at_ns)
        self.settle()

    def interrupt(self, at_ns: int) -> None:
        """What the bot was saying or doing is cut off.

        That comes at every start of the user's turn, whether the bot was speaking or not, and
        not only then: the turn was interrupted if the user began one and the bot was active.
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
        """Start to wait for the end of the turn if nothing is under way, or stop waiting."""
        turn = self.current
        if turn is None or not turn.is_quiet or self._over:
            self._disarm()
            return
        # What is still to come is the turn's, however long it takes to be heard.
        self._stages.session.quiet_ns = None if turn.min_wait_secs else turn.quiet_ns
        if self._timer is None:
            secs = max(self._timeout_secs, turn.min_wait_secs)
            self._timer = self._start_timer(secs, self._timed_out)

    def stop_waiting(self) -> None:
        """The session ends: no turn is waited for any more, whatever ends from now on."""
        self._over = True
        self._disarm()
        self.unheard.give_up()

    def end(self, at_ns: int) -> None:
        """The session ends: close what is open."""
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
        self._stages.session.turn = turn.stage

    def _leave(self, turn: Turn, at_ns: int, next_ns: int) -> None:
        """Close a turn that the user's next one ends, once it is known whether it was cut off.

        Args:
            turn: The turn.
            at_ns: When it was ruled that the next begins.
            next_ns: When the next began: where this one ends at the latest.
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
            waited_until_ns: Until when the user waited at least; its end where not given.
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
            # Without a voice activity detector, the turn began with the message.
            waited_ns = (waited_until_ns or at_ns) - (turn.latency.silent_ns or turn.stage.start_ns)
            facts[tags.TURN_LEFT_WAITING] = waited_ns >= LEFT_WAITING_SECS * 1e9
        if turn is self.current:
            self._gather(turn.stage)
            self.current = None
            self._stages.session.turn = None
            self._disarm()
        for stage in turn.take_held():
            with (
                _guard.conversation.guarded()
            ):  # one that cannot be told must not keep the turn open
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

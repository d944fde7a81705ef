"""Turns: where one ends and the next begins.

A turn opens when the user's turn starts, or when the bot starts to respond with no turn open.
It closes when the bot has stopped speaking and nothing is under way for it, when the user
begins the next, or with the session. How others get this wrong is instructive: a timer that is
armed when the bot falls silent and forgets the tool call still running ends the turn before
its answer. So nothing here is decided by a timer alone: the timer is armed only while nothing
is under way, and disarmed by whatever begins.
"""

from collections.abc import Callable
from typing import Protocol

from pipecat_dd import _guard
from pipecat_dd.knowing.stage import Kind, Stage
from pipecat_dd.knowing.stages import Stages
from pipecat_dd.knowing.wait import Waited

INTERRUPTION_WINDOW_NS = 500_000_000
"""How far apart an interruption and the user's turn that caused it may be heard.

Pipecat announces the user's turn and then interrupts; a user who types interrupts and then
sends the message.
"""

SPEECH_PENDING_SECS = 10.0
"""How long to wait for the bot to speak what its model has already answered."""


LEFT_WAITING_SECS = 3.0
"""How long a user must have waited for an answer that never came, for it to be missed.

One who goes on sooner only paused; one who hangs up sooner wanted none.
"""

LEFT_WAITING = "turn.left_waiting"
"""The fact that says so."""

BY_USER = "user"
"""The resource of a turn that the user began."""


class Timer(Protocol):
    """A running timer."""

    def cancel(self) -> None:
        """Stop it."""


StartTimer = Callable[[float, Callable[[], None]], Timer]
"""Runs a callback after so many seconds, unless cancelled before."""


class Turn:
    """One turn, as it goes on.

    Attributes:
        stage: The turn's stage.
        by_user: Whether the user began it (else the bot did).
        user_active: Whether the user's part of it is still going on.
        bot_speaking: Whether the bot is heard at this moment.
        bot_spoke: Whether the bot has been heard in it.
        answered: Whether something came of it: speech, or text where the bot has no voice.
        speech_pending: Whether the model has answered with text that is still to be spoken.
        responded: Whether any response of the bot has begun.
        busy: What is under way for the bot: responses, syntheses, tool calls.
        quiet_ns: When the bot last fell silent, or finished what it was doing.
        held: Stages that have ended but are told with the turn, since figures of theirs may
            still come.
        waited: When the answer passed which point.
    """

    def __init__(self, stage: Stage, *, by_user: bool) -> None:
        self.stage = stage
        self.by_user = by_user
        self.user_active = by_user
        self.bot_speaking = False
        self.bot_spoke = False
        self.answered = False
        self.speech_pending = False
        self.responded = False
        self.busy: set[Stage] = set()
        self.quiet_ns = stage.start_ns
        self.held: list[Stage] = []
        self.waited = Waited()

    @property
    def bot_active(self) -> bool:
        """Whether the bot is in the middle of an answer that the user has begun to hear."""
        return self.bot_speaking or (self.bot_spoke and bool(self.busy))

    @property
    def is_quiet(self) -> bool:
        """Whether the bot has responded and nothing more is under way."""
        return self.responded and not (self.bot_speaking or self.busy or self.user_active)


class Turns:
    """Opens and closes turns.

    Attributes:
        current: The turn that is open, if one is.
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
        self._leaving: tuple[Turn, int, Timer] | None = None
        self._interrupted_ns = 0
        self._was_cut_off = False
        self._over = False
        self.current: Turn | None = None
        self.count = 0
        self.interruptions = 0

    def user_begins(self, at_ns: int, start_ns: int) -> Turn:
        """The user's turn begins, and with it the next turn.

        Args:
            at_ns: When that was ruled.
            start_ns: When the user began to speak.
        """
        before = self.current
        if before is not None:
            if before.user_active:
                return before
            self._leave(before, at_ns)
        return self._begin(BY_USER, min(start_ns, at_ns))

    def bot_begins(self, at_ns: int) -> Turn:
        """The bot begins to respond: in the turn that is open, else in one of its own."""
        turn = self.current or self._begin("bot", at_ns)
        turn.responded = True
        self._disarm()
        return turn

    def user_ends(self) -> None:
        """The user's part of the turn has ended."""
        if self.current is not None:
            self.current.user_active = False
            self.settle()

    def begins(self, turn: Turn, stage: Stage) -> None:
        """Something begins for the bot's answer."""
        turn.busy.add(stage)
        if turn is self.current:
            self._disarm()

    def ends(self, stage: Stage, at_ns: int) -> None:
        """Something of the bot's answer has ended."""
        for turn in self._turns():
            if stage in turn.busy:
                turn.busy.discard(stage)
                turn.quiet_ns = max(turn.quiet_ns, at_ns)
        self.settle()

    def bot_starts_speaking(self, at_ns: int) -> Turn:
        """The bot is heard."""
        turn = self.bot_begins(at_ns)
        turn.bot_speaking = turn.bot_spoke = turn.answered = True
        turn.speech_pending = False
        return turn

    def bot_stops_speaking(self, at_ns: int) -> None:
        """The bot has fallen silent."""
        for turn in self._turns():
            if turn.bot_speaking:
                turn.bot_speaking = False
                turn.quiet_ns = max(turn.quiet_ns, at_ns)
        self.settle()

    def interrupted(self, at_ns: int) -> None:
        """What the bot was saying or doing is cut off.

        That comes at every start of the user's turn, whether the bot was speaking or not, and
        not only then: the turn was interrupted if the user began one and the bot was active.
        """
        if self._leaving is not None:
            turn, left_ns, timer = self._leaving
            timer.cancel()
            self._leaving = None
            if turn.bot_active and at_ns - left_ns <= INTERRUPTION_WINDOW_NS:
                self._close_interrupted(turn, at_ns)
            else:
                self._close(turn, left_ns, "user_turn")
            return
        self._interrupted_ns = at_ns
        self._was_cut_off = self.current is not None and self.current.bot_active

    def settle(self) -> None:
        """Start to wait for the end of the turn if nothing is under way, or stop waiting."""
        turn = self.current
        if turn is None or not turn.is_quiet or self._over:
            self._disarm()
            return
        # What is still to be spoken is the turn's, however long it takes to be heard.
        self._stages.session.quiet_ns = None if turn.speech_pending else turn.quiet_ns
        if self._timer is None:
            secs = self._timeout_secs
            if turn.speech_pending:
                secs = max(secs, SPEECH_PENDING_SECS)
            self._timer = self._start_timer(secs, self._timed_out)

    def stop_waiting(self) -> None:
        """The session ends: no turn is waited for any more, whatever ends from now on."""
        self._over = True
        self._disarm()

    def end(self, at_ns: int) -> None:
        """The session ends: close what is open."""
        self._disarm()
        self._finish_leaving()
        turn = self.current
        if turn is not None:
            done = turn.is_quiet and turn.answered
            self._close(turn, turn.quiet_ns if done else at_ns, "session_end")

    def _turns(self) -> list[Turn]:
        turns = [self.current] if self.current is not None else []
        if self._leaving is not None:
            turns.append(self._leaving[0])
        return turns

    def _begin(self, initiator: str, start_ns: int) -> Turn:
        self._gather(None)
        self.count += 1
        session = self._stages.session
        stage = self._stages.open(Kind.TURN, initiator, start_ns, parent=session.root)
        stage.facts["turn.number"] = self.count
        turn = Turn(stage, by_user=initiator == BY_USER)
        self.current = turn
        session.turn = stage
        return turn

    def _leave(self, turn: Turn, at_ns: int) -> None:
        """Close a turn that the user's next one ends, once it is known whether it was cut off."""
        self._finish_leaving()
        self._disarm()
        if at_ns - self._interrupted_ns <= INTERRUPTION_WINDOW_NS and self._was_cut_off:
            self._was_cut_off = False
            self._close_interrupted(turn, self._interrupted_ns)
        elif turn.is_quiet:
            self._close(turn, turn.quiet_ns, "bot_finished", waited_until_ns=at_ns)
        elif not turn.bot_active:
            self._close(turn, at_ns, "user_turn")
        else:
            self._gather(turn.stage)
            self.current = None
            secs = INTERRUPTION_WINDOW_NS / 1e9
            self._leaving = (turn, at_ns, self._start_timer(secs, self._finish_leaving))

    def _finish_leaving(self) -> None:
        if self._leaving is not None:
            turn, at_ns, timer = self._leaving
            timer.cancel()
            self._leaving = None
            self._close(turn, at_ns, "user_turn")

    def _timed_out(self) -> None:
        self._timer = None
        turn = self.current
        if turn is not None and turn.is_quiet:
            waited_until_ns = turn.quiet_ns + int(self._timeout_secs * 1e9)
            self._close(turn, turn.quiet_ns, "bot_finished", waited_until_ns=waited_until_ns)

    def _close_interrupted(self, turn: Turn, at_ns: int) -> None:
        self.interruptions += 1
        turn.stage.facts["turn.was_interrupted"] = True
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
        facts = turn.stage.facts
        interrupted = facts.setdefault("turn.was_interrupted", False)
        facts["turn.end_reason"] = reason
        if interrupted:
            outcome = "interrupted"
        elif turn.answered:
            outcome = "answered"
        elif turn.stage.facts.get("turn.error_count"):
            outcome = "failed"
        else:
            outcome = "unanswered"
        facts["turn.outcome"] = outcome
        if outcome == "unanswered" and turn.by_user and not turn.user_active:
            # Without a voice activity detector, the turn began with the message.
            waited_ns = (waited_until_ns or at_ns) - (turn.waited.silent_ns or turn.stage.start_ns)
            facts[LEFT_WAITING] = waited_ns >= LEFT_WAITING_SECS * 1e9
        if turn is self.current:
            self._gather(turn.stage)
            self.current = None
            self._stages.session.turn = None
            self._disarm()
        for stage in turn.held:
            with _guard.knowing.guarded():  # one that cannot be told must not keep the turn open
                self._stages.close(stage, at_ns if stage.end_ns is None else stage.end_ns)
        turn.held.clear()
        self._stages.close(turn.stage, at_ns)

    def _disarm(self) -> None:
        self._stages.session.quiet_ns = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

"""What is synthesized with no turn open, until it is known whether anybody hears it.

A greeting begins a turn of the bot's. Speech that a processor records before the call, to have a
voice warm or a phrase at hand, is synthesized in the same way and is never heard: no turn.
"""

from collections.abc import Callable

from pipecat_dd import _guard
from pipecat_dd.conversation.model import Kind, Stage
from pipecat_dd.conversation.stages import Stages
from pipecat_dd.conversation.turn import StartTimer, Timer, Turn

BOT = "bot"
"""The resource of a turn that the bot began."""


class UnheardTurn:
    """Keeps the turn that a synthesis may be the beginning of.

    Attributes:
        turn: The turn, until something of it is heard.
    """

    def __init__(self, stages: Stages, start_timer: StartTimer, wait_secs: float) -> None:
        """Keep it.

        Args:
            stages: Opens and closes stages.
            start_timer: Starts a timer.
            wait_secs: How long what was synthesized may take to be heard.
        """
        self._stages = stages
        self._start_timer = start_timer
        self._wait_secs = wait_secs
        self._timer: Timer | None = None
        self.turn: Turn | None = None

    def begin(self, at_ns: int, new_turn: "Callable[[Stage], Turn]") -> Turn:
        """Return the turn that a synthesis may be the beginning of.

        Args:
            at_ns: When it would begin, where it is the first.
            new_turn: Makes it.
        """
        if self.turn is None:
            root = self._stages.session.root
            self.turn = new_turn(self._stages.open(Kind.TURN, BOT, at_ns, parent=root))
            self._wait()
        return self.turn

    def has_stage(self, stage: Stage) -> bool:
        """Whether a stage is part of what may yet be heard.

        Args:
            stage: The stage.
        """
        return self.turn is not None and stage.parent is self.turn.stage

    def hold(self, stage: Stage, at_ns: int) -> None:
        """End a synthesis, and hold it until it is known whether it is heard.

        Args:
            stage: Its stage.
            at_ns: When it ended.
        """
        self._stages.end(stage, at_ns)
        if self.turn is not None:
            self.turn.hold(stage)

    def end_work(self, stage: Stage) -> None:
        """A synthesis has ended.

        Args:
            stage: Its stage.
        """
        if self.turn is not None and self.turn.forget_work(stage):
            self._wait()

    def take(self, stage: Stage | None) -> Turn | None:
        """Return the turn if this is the first of it to be heard; it is kept no longer.

        Args:
            stage: What is heard. What was synthesized before it never will be: an output plays
                one after another. None where it may be any of it.
        """
        if self.turn is None or not (stage is None or self.has_stage(stage)):
            return None
        turn, self.turn = self.turn, None
        self._stop_waiting()
        if stage is not None:
            before = [one for one in turn.stages if one.start_ns < stage.start_ns]
            if before:
                turn.stage.start_ns = stage.start_ns
            self._let_go(turn, before)
        return turn

    def join(self, unheard: Turn, turn: Turn) -> None:
        """Make what is heard now part of a turn that has begun in the meantime.

        Args:
            unheard: The turn that was kept.
            turn: The turn that goes on, which then began as early.
        """
        turn.absorb(unheard)
        self._stages.discard(unheard.stage, unheard.stage.start_ns)

    def give_up(self) -> None:
        """Nothing of it was heard: what was synthesized is the session's, and no turn."""
        turn, self.turn = self.turn, None
        self._stop_waiting()
        if turn is not None:
            self._let_go(turn, list(turn.stages))
            self._stages.discard(turn.stage, turn.stage.start_ns)

    def _let_go(self, turn: Turn, stages: list[Stage]) -> None:
        for stage in stages:
            stage.parent = self._stages.session.root
            if turn.release(stage):
                end_ns = stage.start_ns if stage.end_ns is None else stage.end_ns
                with _guard.conversation.guarded():
                    self._stages.close(stage, end_ns)
            turn.forget_work(stage)

    def _wait(self) -> None:
        self._stop_waiting()
        if self.turn is not None and not self.turn.has_work:
            self._timer = self._start_timer(self._wait_secs, self.give_up)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

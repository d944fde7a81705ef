"""Holds speech synthesized while no turn is open, until it is known whether it is played.

A greeting begins a turn of the bot's. But a processor may synthesize speech before the call, to
warm up a voice or to record a phrase. That speech looks the same, but is never played: no turn.
"""

from collections.abc import Callable

from pipecat_dd import _guard
from pipecat_dd.conversation.model import Kind, Stage
from pipecat_dd.conversation.stages import Stages
from pipecat_dd.conversation.turn import StartTimer, Timer, Turn

BOT = "bot"
"""The resource of a turn that the bot began."""


class UnheardTurn:
    """Keeps a turn that begins only if what is synthesized for it is played.

    Attributes:
        turn: The turn, until the first of its speech is played.
    """

    def __init__(self, stages: Stages, start_timer: StartTimer, wait_secs: float) -> None:
        """Keep such a turn.

        Args:
            stages: Opens and closes stages.
            start_timer: Starts a timer.
            wait_secs: How long synthesized speech may take to be played.
        """
        self._stages = stages
        self._start_timer = start_timer
        self._wait_secs = wait_secs
        self._timer: Timer | None = None
        self.turn: Turn | None = None

    def begin(self, at_ns: int, new_turn: "Callable[[Stage], Turn]") -> Turn:
        """Return the turn that a synthesis belongs to if it is played.

        Args:
            at_ns: When the turn begins, if this is its first synthesis.
            new_turn: Makes a turn of a stage.
        """
        if self.turn is None:
            root = self._stages.session.root
            self.turn = new_turn(self._stages.open(Kind.TURN, BOT, at_ns, parent=root))
            self._wait()
        return self.turn

    def has_stage(self, stage: Stage) -> bool:
        """Whether a stage is part of the turn that is kept."""
        return self.turn is not None and stage.parent is self.turn.stage

    def hold(self, stage: Stage, at_ns: int) -> None:
        """End a synthesis, and hold it until it is known whether it is played."""
        self._stages.end(stage, at_ns)
        if self.turn is not None:
            self.turn.hold(stage)

    def end_work(self, stage: Stage) -> None:
        """Record that a synthesis has ended."""
        if self.turn is not None and self.turn.forget_work(stage):
            self._wait()

    def take(self, stage: Stage | None) -> Turn | None:
        """Return the turn if the speech that is played is its own; it is kept no longer.

        Args:
            stage: The synthesis that is played; None if it may be any. Earlier ones never will be,
                since an output plays one after another.
        """
        if self.turn is None or not (stage is None or self.has_stage(stage)):
            return None
        turn, self.turn = self.turn, None
        self._stop_waiting()
        if stage is not None:
            before = [one for one in turn.stages if one.start_ns < stage.start_ns]
            if before:
                turn.stage.start_ns = stage.start_ns
            self._release(turn, before)
        return turn

    def join(self, unheard: Turn, turn: Turn) -> None:
        """Make what is played now part of a turn that has begun meanwhile.

        Args:
            unheard: The turn that was kept.
            turn: The turn in progress; its start moves back if need be.
        """
        turn.absorb(unheard)
        self._stages.discard(unheard.stage, unheard.stage.start_ns)

    def give_up(self) -> None:
        """Record that none of it is played: the syntheses belong to the session, and to no turn."""
        turn, self.turn = self.turn, None
        self._stop_waiting()
        if turn is not None:
            self._release(turn, list(turn.stages))
            self._stages.discard(turn.stage, turn.stage.start_ns)

    def _release(self, turn: Turn, stages: list[Stage]) -> None:
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

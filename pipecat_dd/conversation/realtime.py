"""Responses that a service announces by itself, such as those of a speech-to-speech model.

Such a model answers what the user says, in its own time: only the frames it pushes show that a
response has begun or ended. Services differ: a response may be announced twice and end once, be
reported as failed after it has ended, or go on for a while after it was cut off. Each response gets
exactly one stage all the same.
"""

from collections.abc import Callable
from typing import Protocol

from pipecat_dd.conversation.failure import Failure
from pipecat_dd.conversation.model import Kind, Processor, Stage
from pipecat_dd.conversation.turns import Turns
from pipecat_dd.names import tags

SAME_BREATH_NS = 100_000_000
"""How far apart two frames about the same event may come."""


class EndResponse(Protocol):
    """Ends a response."""

    def __call__(self, stage: Stage, at_ns: int, *, interrupted: bool, was_announced: bool) -> None:
        """End a response, which completed, failed or was interrupted."""


class RealtimeResponses:
    """Follows the responses that services announce.

    Attributes:
        latest: The response that began last; None before the first.
    """

    def __init__(
        self, turns: Turns, begins: Callable[[Processor, int], Stage], ends: EndResponse
    ) -> None:
        """Follow responses.

        Args:
            turns: The turns they are part of.
            begins: Begins a response.
            ends: Ends a response.
        """
        self._turns = turns
        self._begins = begins
        self._ends = ends
        self._open: dict[Processor, Stage] = {}
        self._cut: set[Processor] = set()
        self._heard_ns: dict[Processor, int] = {}
        self.latest: Stage | None = None

    def begin(
        self, processor: Processor, at_ns: int, *, anew: bool, asked_ns: int | None = None
    ) -> None:
        """Record that a service announced a response; the first announcement begins it.

        Args:
            processor: The service.
            at_ns: When it was announced.
            anew: Whether this certainly is a new response. If not, it may be the rest of one that
                was cut off (audio still on its way), and then begins none.
            asked_ns: When the service began to work on it; None if it was not asked.
        """
        stage = processor.stage
        if stage is not None and stage.kind is Kind.LLM:
            return
        if anew or processor not in self._cut:
            self._cut.discard(processor)
            self.latest = self._open[processor] = self._begins(processor, asked_ns or at_ns)

    def note_user_speech(self, processor: Processor, at_ns: int) -> None:
        """Record that a model detected the user's speech; it falls silent by itself."""
        self._heard_ns[processor] = at_ns

    def end(self, processor: Processor, at_ns: int, *, interrupted: bool = False) -> None:
        """End a response.

        Args:
            processor: The service.
            at_ns: When it ended.
            interrupted: Whether it was cut off. It counts as cut off, too, if it ends just as the
                model detects the user's speech.
        """
        stage = self._open.pop(processor, None)
        if stage is None:
            return
        interrupted = interrupted or at_ns - self._heard_ns.get(processor, 0) <= SAME_BREATH_NS
        if interrupted or stage.failure is not None:
            self._cut.add(processor)
        self._ends(stage, at_ns, interrupted=interrupted, was_announced=True)

    def end_all(self, at_ns: int, *, interrupted: bool = False) -> None:
        """End all responses in progress.

        Args:
            at_ns: When they ended.
            interrupted: Whether they were cut off.
        """
        for processor in list(self._open):
            self.end(processor, at_ns, interrupted=interrupted)

    def fail(self, processor: Processor, at_ns: int, failure: Failure) -> bool:
        """Record that a service failed in a response that is in progress or has just ended.

        Args:
            processor: The service.
            at_ns: When it failed.
            failure: What went wrong.

        Returns:
            Whether there is such a response.
        """
        stage = self._open.get(processor)
        if stage is not None:
            stage.fail(failure)
            self.end(processor, at_ns)
            return True
        # Some services announce the end first and report the failure afterwards.
        turn = self._turns.current
        for stage in reversed(turn.held if turn is not None else ()):
            if stage.kind is Kind.LLM and stage.processor is processor and stage.end_ns is not None:
                if at_ns - stage.end_ns > SAME_BREATH_NS:
                    return False
                stage.fail(failure)
                stage.attributes[tags.LLM_OUTCOME] = "failed"
                return True
        return False

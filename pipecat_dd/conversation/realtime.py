"""Responses that a service announces, rather than being asked for them.

A speech-to-speech model answers what it hears, in its own time: that a response has begun and
ended is known from the frames it pushes. Those differ: a response may be announced twice and
end once, end and then be said to have failed, or go on for a while after it was cut off. One
response is one stage all the same.
"""

from collections.abc import Callable
from typing import Protocol

from pipecat_dd.conversation.failure import Failure
from pipecat_dd.conversation.model import Kind, Processor, Stage
from pipecat_dd.conversation.turns import Turns
from pipecat_dd.names import tags

SAME_BREATH_NS = 100_000_000
"""How far apart two frames may come that are about the same thing."""


class EndResponse(Protocol):
    """Ends a response."""

    def __call__(self, stage: Stage, at_ns: int, *, interrupted: bool, was_announced: bool) -> None:
        """A response ended, failed or was interrupted."""


class RealtimeResponses:
    """Follows the responses that services announce."""

    def __init__(
        self, turns: Turns, begins: Callable[[Processor, int], Stage], ends: EndResponse
    ) -> None:
        """Follow responses.

        Args:
            turns: The turns they are part of.
            begins: Begins a response.
            ends: Ends one.
        """
        self._turns = turns
        self._begins = begins
        self._ends = ends
        self._open: dict[Processor, Stage] = {}
        self._cut: set[Processor] = set()
        self._heard_ns: dict[Processor, int] = {}

    def begin(
        self, processor: Processor, at_ns: int, *, anew: bool, asked_ns: int | None = None
    ) -> None:
        """A service announced a response; the first announcement of one begins it.

        Args:
            processor: The service.
            at_ns: When.
            anew: Whether that is what announces a response. What may as well be the rest of
                one that was cut off, audio still on its way, begins none.
            asked_ns: When it began to work on that, where it was asked.
        """
        stage = processor.stage
        if stage is not None and stage.kind is Kind.LLM:
            return
        if anew or processor not in self._cut:
            self._cut.discard(processor)
            self._open[processor] = self._begins(processor, asked_ns or at_ns)

    def note_user_speech(self, processor: Processor, at_ns: int) -> None:
        """A model heard the user begin to speak; it falls silent by itself.

        Args:
            processor: The model's service.
            at_ns: When.
        """
        self._heard_ns[processor] = at_ns

    def end(self, processor: Processor, at_ns: int, *, interrupted: bool = False) -> None:
        """A response ended.

        Args:
            processor: The service.
            at_ns: When.
            interrupted: Whether it was cut off. So it was also if it ends just as its model
                hears the user begin to speak.
        """
        stage = self._open.pop(processor, None)
        if stage is None:
            return
        interrupted = interrupted or at_ns - self._heard_ns.get(processor, 0) <= SAME_BREATH_NS
        if interrupted or stage.failure is not None:
            self._cut.add(processor)
        self._ends(stage, at_ns, interrupted=interrupted, was_announced=True)

    def end_all(self, at_ns: int, *, interrupted: bool = False) -> None:
        """All responses end that go on.

        Args:
            at_ns: When.
            interrupted: Whether they were cut off.
        """
        for processor in list(self._open):
            self.end(processor, at_ns, interrupted=interrupted)

    def fail(self, processor: Processor, at_ns: int, failure: Failure) -> bool:
        """A service failed: the response it is at work on, or was a moment ago.

        Args:
            processor: The service.
            at_ns: When.
            failure: What went wrong.

        Returns:
            Whether there is such a response.
        """
        stage = self._open.get(processor)
        if stage is not None:
            stage.fail(failure)
            self.end(processor, at_ns)
            return True
        # Some announce the end first and then say that the response failed.
        turn = self._turns.current
        for stage in reversed(turn.held if turn is not None else ()):
            if stage.kind is Kind.LLM and stage.processor is processor and stage.end_ns is not None:
                if at_ns - stage.end_ns > SAME_BREATH_NS:
                    return False
                stage.fail(failure)
                stage.attributes[tags.LLM_OUTCOME] = "failed"
                return True
        return False

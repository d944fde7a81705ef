"""Exports one conversation to several destinations.

Spans always come first, since log lines and integrations refer to them; LLM Observability extends
them. The other destinations (metrics) follow, each independent of the rest: one that fails too
often turns itself off, and the others go on. Spans continue even when their part is off: stages
that end are still sent then, but they are no longer the active spans that ddtrace finds.
"""

from collections.abc import Sequence
from typing import Protocol

from pipecat_dd import _guard
from pipecat_dd._guard import Part
from pipecat_dd.conversation.model import Stage
from pipecat_dd.conversation.stages import StageListener


class Destination(Protocol):
    """A destination of stages besides their spans. Called in the pipeline's event loop.

    Attributes:
        part: Counts the destination's failures and turns it off after too many.
    """

    part: Part

    def on_open(self, stage: Stage) -> None:
        """A stage has begun. Its parent may not be known yet."""

    def on_close(self, stage: Stage) -> None:
        """A stage has ended, and its attributes are final."""


class FanOut:
    """Exports a session's stages as spans, and to the other destinations.

    Args:
        spans: Exports stages as spans.
        destinations: The other destinations, in the order in which they are called.
    """

    def __init__(self, spans: StageListener, destinations: Sequence[Destination]) -> None:
        self._spans = spans
        self._destinations = tuple(destinations)

    def on_open(self, stage: Stage) -> None:
        """A stage has begun."""
        with _guard.spans.guarded():
            self._spans.on_open(stage)
        for destination in self._destinations:
            if not destination.part.off:
                with destination.part.guarded():
                    destination.on_open(stage)

    def on_close(self, stage: Stage) -> None:
        """A stage has ended."""
        with _guard.spans.guarded():
            self._spans.on_close(stage)
        for destination in self._destinations:
            if not destination.part.off:
                with destination.part.guarded():
                    destination.on_close(stage)

    def on_discard(self, stage: Stage) -> None:
        """A stage came to nothing and is not exported."""
        self._spans.on_discard(stage)

    def is_referred_to(self, stage: Stage) -> bool:
        """Whether something that refers to the stage was already sent."""
        return self._spans.is_referred_to(stage)

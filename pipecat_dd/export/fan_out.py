"""One conversation, told in several places.

The spans come first, always: log lines and integrations name them. Whatever else is told of a
stage (metrics, LLM Observability) is told beside them, each destination by itself: one that
fails turns itself off and takes nothing else with it. A span that fails takes nothing with it
either. But spans go on where their part is off: it no longer answers ddtrace then, and what has
ended is sent all the same.
"""

from collections.abc import Sequence
from typing import Protocol

from pipecat_dd import _guard
from pipecat_dd._guard import Part
from pipecat_dd.conversation.model import Stage
from pipecat_dd.conversation.stages import StageListener


class Destination(Protocol):
    """Somewhere a stage is told of besides its span. Called in the pipeline's event loop.

    Attributes:
        part: What notes its failures, and is off after too many.
    """

    part: Part

    def on_open(self, stage: Stage) -> None:
        """A stage has begun; its place in the tree may not be known yet."""

    def on_close(self, stage: Stage) -> None:
        """A stage has ended, and all that will be known of it is known."""


class FanOut:
    """Tells a session's stages as spans, and to each destination there is besides."""

    def __init__(self, spans: StageListener, destinations: Sequence[Destination]) -> None:
        """Tell a session's stages.

        Args:
            spans: The session's spans.
            destinations: Where else stages go, in this order, after their spans.
        """
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
        """A stage has come to nothing, and is told of nowhere."""
        self._spans.on_discard(stage)

    def is_referred_to(self, stage: Stage) -> bool:
        """Whether something was sent that names the stage."""
        return self._spans.is_referred_to(stage)

"""Where a session is told of besides its spans, by what is set."""

from pipecat_dd import _guard
from pipecat_dd.conversation.model import Session
from pipecat_dd.export import llmobs
from pipecat_dd.export.fan_out import Destination
from pipecat_dd.export.spans.tree import SpanTree
from pipecat_dd.settings import Settings


def destinations(session: Session, tree: SpanTree, settings: Settings) -> list[Destination]:
    """Return where else a session's stages go.

    Args:
        session: The session.
        tree: Its spans.
        settings: What the observer was told.
    """
    tree.also = llmobs.begin(session, tree, settings.llmobs)
    found: list[Destination] = []
    if settings.metrics:
        with _guard.metrics.guarded():
            # What is sent is of no concern to those who send none.
            from pipecat_dd.export.metrics.destination import Metrics

            found.append(Metrics(session))
    return found

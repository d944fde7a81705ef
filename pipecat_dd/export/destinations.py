"""Where a session is exported to besides its spans, depending on the settings."""

from pipecat_dd import _guard
from pipecat_dd.conversation.model import Session
from pipecat_dd.export import llmobs
from pipecat_dd.export.fan_out import Destination
from pipecat_dd.export.spans.tree import SpanTree
from pipecat_dd.settings import Settings


def destinations(session: Session, tree: SpanTree, settings: Settings) -> list[Destination]:
    """Return the destinations of a session's stages besides spans, and turn LLM Observability on.

    Args:
        session: The session.
        tree: The session's spans, which LLM Observability extends.
        settings: The observer's settings.
    """
    tree.also = llmobs.begin(session, tree, settings.llmobs)
    found: list[Destination] = []
    if settings.metrics:
        with _guard.metrics.guarded():
            # Imported here, since bots that send no metrics do not need it.
            from pipecat_dd.export.metrics.destination import Metrics

            found.append(Metrics(session))
    return found

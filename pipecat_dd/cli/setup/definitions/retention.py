"""Which spans Datadog keeps for 15 days, so that a session is found after 15 minutes.

Without these only a sample is kept. Spans that a filter keeps are billed as indexed spans; how
many there will be is about one for each session and one for each turn.
"""

from collections.abc import Iterator

from pipecat_dd.cli.setup.definition import Definition, Kind, Mark
from pipecat_dd.cli.setup.definitions.queries import spans
from pipecat_dd.conversation.model import Kind as Stage
from pipecat_dd.names import tags


def retention_filters() -> Iterator[Definition]:
    """Yield the filters."""
    yield _keep("sessions", "Pipecat sessions", spans(Stage.SESSION))
    yield _keep("turns", "Pipecat turns", spans(Stage.TURN))
    yield _keep("errors", "Pipecat errors", f"@{tags.COMPONENT}:pipecat status:error")


def _keep(key: str, title: str, query: str) -> Definition:
    return Definition(
        Kind.RETENTION,
        key,
        title,
        {
            # A filter has no description: the name bears the mark.
            "name": f"{title} ({Mark(key).as_text()})",
            "filter": {"query": query},
            "filter_type": "spans-sampling-processor",
            "enabled": True,
            "rate": 1.0,
        },
    )

"""The retention filters: Datadog keeps the matching spans for 15 days instead of 15 minutes.

Without them, Datadog keeps only a sample. It bills the spans that a filter keeps as indexed spans:
about one for each session and one for each turn.
"""

from collections.abc import Iterator

from pipecat_dd.cli.setup.definition import Definition, Kind, Mark
from pipecat_dd.cli.setup.definitions.queries import spans
from pipecat_dd.conversation.model import Kind as Stage
from pipecat_dd.names import tags


def retention_filters() -> Iterator[Definition]:
    """Yield the definitions of the filters."""
    yield _keep("sessions", "Pipecat sessions", spans(Stage.SESSION))
    yield _keep("turns", "Pipecat turns", spans(Stage.TURN))
    yield _keep("errors", "Pipecat errors", f"@{tags.COMPONENT}:pipecat status:error")


def _keep(key: str, title: str, query: str) -> Definition:
    return Definition(
        Kind.RETENTION,
        key,
        title,
        {
            # A filter has no description, so the mark is in its name.
            "name": f"{title} ({Mark(key).as_text()})",
            "filter": {"query": query},
            "filter_type": "spans-sampling-processor",
            "enabled": True,
            "rate": 1.0,
        },
    )

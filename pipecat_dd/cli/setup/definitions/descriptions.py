"""Units and descriptions of the metrics that bots send, as Datadog shows them beside each graph.

Datadog keeps them with a metric that it has seen. A metric that somebody has described is left as
they described it.
"""

from collections.abc import Iterator

from pipecat_dd.cli.setup.definition import OWNER, Definition, Kind
from pipecat_dd.export.metrics.contract import METRICS

MARK = f"({OWNER})"
"""The end of a description of ours."""

NOTHING = {"description": "", "unit": ""}
"""What a metric is that nobody has described."""


def descriptions() -> Iterator[Definition]:
    """Yield the description of each metric."""
    for metric in METRICS:
        yield Definition(
            Kind.DESCRIPTION,
            metric.name,
            metric.name,
            {"description": f"{metric.meaning} {MARK}", "unit": metric.datadog_unit},
        )

"""The units and descriptions of the metrics that bots send, which Datadog shows beside each graph.

Datadog stores them for a metric once it has received the metric. Descriptions that users have
written are left unchanged.
"""

from collections.abc import Iterator

from pipecat_dd.cli.setup.definition import OWNER, Definition, Kind
from pipecat_dd.export.metrics.contract import METRICS

MARK = f"({OWNER})"
"""The end of each description that this command writes."""

NOTHING = {"description": "", "unit": ""}
"""The metadata of a metric that has no description."""


def descriptions() -> Iterator[Definition]:
    """Yield the description of each metric."""
    for metric in METRICS:
        yield Definition(
            Kind.DESCRIPTION,
            metric.name,
            metric.name,
            {"description": f"{metric.meaning} {MARK}", "unit": metric.datadog_unit},
        )

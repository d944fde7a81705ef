"""The units and descriptions of the metrics that bots send, which Datadog shows beside each graph.

Datadog stores them for a metric once it has received the metric. Descriptions that users have
written are left unchanged.
"""

from collections.abc import Iterator

from pipecat_dd.cli.setup.definition import OWNER, Definition, Kind
from pipecat_dd.names.metrics import METRICS, MetricDoc

MARK = f"({OWNER})"
"""The end of each description that this command writes."""

NOTHING = {"description": "", "unit": ""}
"""The metadata of a metric that has no description."""

_DATADOG_UNITS = {
    "seconds": "second",
    "sessions": "session",
    "errors": "error",
    "tokens": "token",
    "participants": "user",
    "events": "event",
    "failovers": "occurrence",
    "times": "occurrence",
    "gaps": "occurrence",
    "rulings": "occurrence",
    # Of what Datadog has no name for, the nearest.
    "turns": "item",
    "characters": "item",
    "parts": "item",
    "lines": "record",
    "decibels": "unit",
}


def datadog_unit(metric: MetricDoc) -> str:
    """Return a metric's unit by the name that Datadog knows it by."""
    return _DATADOG_UNITS[metric.unit]


def descriptions() -> Iterator[Definition]:
    """Yield the description of each metric."""
    for metric in METRICS:
        yield Definition(
            Kind.DESCRIPTION,
            metric.name,
            metric.name,
            {"description": f"{metric.meaning} {MARK}", "unit": datadog_unit(metric)},
        )

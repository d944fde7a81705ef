"""How each kind is read, made, changed and taken away.

A resource finds only what bears our mark, so nothing else can be changed or deleted by what is
given out here.
"""

from pipecat_dd.cli.setup._datadog_api import Api
from pipecat_dd.cli.setup.definition import Kind
from pipecat_dd.cli.setup.resources.base import Resource
from pipecat_dd.cli.setup.resources.marked import Dashboards, Monitors, Pipelines, RetentionFilters
from pipecat_dd.cli.setup.resources.metrics import (
    Descriptions,
    LineMetrics,
    Percentiles,
    SpanMetrics,
)

__all__ = ["Resource", "resources"]


def resources(api: Api) -> dict[Kind, Resource]:
    """Return how each kind is handled.

    Args:
        api: Datadog's API.
    """
    return {
        each.kind: each(api)
        for each in (
            Pipelines,
            LineMetrics,
            SpanMetrics,
            Percentiles,
            Descriptions,
            Monitors,
            Dashboards,
            RetentionFilters,
        )
    }

"""Find, create, update and delete the objects of each kind.

A resource finds only objects with our mark, so nothing else can be changed or deleted.
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
    """Return the resource of each kind."""
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

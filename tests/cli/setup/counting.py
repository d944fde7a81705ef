"""How much there is of what, in an organisation of the test server's."""

from pipecat_dd.cli.setup.definition import Kind
from pipecat_dd.cli.setup.definitions import wanted
from pipecat_dd.cli.setup.definitions.retired import RETIRED
from pipecat_dd.cli.setup.options import Options
from tests.support.datadog_organisation import DatadogApi

KINDS = {
    "dashboards": Kind.DASHBOARD,
    "monitors": Kind.MONITOR,
    "pipelines": Kind.PIPELINE,
    "line_metrics": Kind.LINE_METRIC,
    "span_metrics": Kind.SPAN_METRIC,
    "retention_filters": Kind.RETENTION,
    "tag_configurations": Kind.PERCENTILES,
    "descriptions": Kind.DESCRIPTION,
}
COUNTS = {
    name: sum(thing.kind is kind for thing in wanted(Options())) for name, kind in KINDS.items()
}
TOTAL = sum(COUNTS.values())
READS = 7 + COUNTS["tag_configurations"] + len(RETIRED) - 1 + COUNTS["descriptions"]
"""How many requests there are before the first that makes something."""


def counts(organisation: DatadogApi) -> dict[str, int]:
    """Return how many of each kind are there."""
    return {name: len(made) for name, made in organisation.everything().items()}

"""All that is made, as Datadog's API takes it."""

from pipecat_dd.cli.setup.definition import Definition
from pipecat_dd.cli.setup.definitions.counted import line_metrics, span_metrics
from pipecat_dd.cli.setup.definitions.dashboard import dashboard
from pipecat_dd.cli.setup.definitions.descriptions import descriptions
from pipecat_dd.cli.setup.definitions.distributions import percentiles
from pipecat_dd.cli.setup.definitions.monitors import monitors
from pipecat_dd.cli.setup.definitions.pipeline import pipeline
from pipecat_dd.cli.setup.definitions.retention import retention_filters
from pipecat_dd.cli.setup.options import Options

__all__ = ["wanted"]


def wanted(options: Options) -> tuple[Definition, ...]:
    """Return all that is made, in the order in which it is.

    Args:
        options: What the user chose.
    """
    return (
        pipeline(),
        *line_metrics(),
        *span_metrics(),
        *percentiles(),
        *descriptions(),
        *monitors(options),
        dashboard(),
        *retention_filters(),
    )

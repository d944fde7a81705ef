"""The definitions of everything that ``pipecat-dd setup`` creates."""

from pipecat_dd.cli.setup.definition import Definition
from pipecat_dd.cli.setup.definitions.dashboard import dashboard
from pipecat_dd.cli.setup.definitions.descriptions import descriptions
from pipecat_dd.cli.setup.definitions.distributions import percentiles
from pipecat_dd.cli.setup.definitions.generated_metrics import line_metrics, span_metrics
from pipecat_dd.cli.setup.definitions.monitors import monitors
from pipecat_dd.cli.setup.definitions.pipeline import pipeline
from pipecat_dd.cli.setup.definitions.retention import retention_filters
from pipecat_dd.cli.setup.options import Options

__all__ = ["wanted"]


def wanted(options: Options) -> tuple[Definition, ...]:
    """Return all definitions, in the order in which they are created."""
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

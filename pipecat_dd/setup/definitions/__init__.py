"""All that is made, as Datadog's API takes it."""

from pipecat_dd.setup.definitions.counted import line_metrics, span_metrics
from pipecat_dd.setup.definitions.dashboard import dashboard
from pipecat_dd.setup.definitions.descriptions import descriptions
from pipecat_dd.setup.definitions.distributions import percentiles
from pipecat_dd.setup.definitions.monitors import monitors
from pipecat_dd.setup.definitions.pipeline import pipeline
from pipecat_dd.setup.definitions.retention import retention_filters
from pipecat_dd.setup.options import Options
from pipecat_dd.setup.things import Thing

__all__ = ["wanted"]


def wanted(options: Options) -> tuple[Thing, ...]:
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

"""Percentiles of the distributions that are sent, which Datadog computes only where asked to.

A metric's configuration lists tags that are kept, or tags that are left out. Ours leaves out one
that nothing is sent with: all tags stay, and the configuration bears our mark. Each percentile is
billed as a metric, so what is only summed has none, nor what ``trace.pipecat.*`` says for free.
"""

from collections.abc import Iterator

from pipecat_dd.cli.setup.definition import Definition, Kind
from pipecat_dd.names import metrics
from pipecat_dd.names.metrics import METRICS, Type

MARK = "managed_by_pipecat_dd"
"""The tag that is left out of the metric."""

_WITHOUT = frozenset(
    {
        # Only summed.
        metrics.TURN_WAIT_SECONDS,
        # The durations of spans.
        metrics.TURN_DURATION_SECONDS,
        metrics.SESSION_DURATION_SECONDS,
        metrics.END_OF_TURN_SECONDS,
        metrics.TOOL_DURATION_SECONDS,
    }
)


def percentiles() -> Iterator[Definition]:
    """Yield the configuration of each distribution."""
    for metric in METRICS:
        if metric.type is Type.DISTRIBUTION and metric.name not in _WITHOUT:
            yield Definition(
                Kind.PERCENTILES,
                metric.name,
                metric.name,
                {
                    "metric_type": "distribution",
                    "include_percentiles": True,
                    "exclude_tags_mode": True,
                    "tags": [MARK],
                },
            )

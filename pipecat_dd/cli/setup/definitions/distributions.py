"""Percentiles of the distributions that bots send. Datadog computes them only on request.

The configuration of a metric lists the tags to keep or the tags to exclude. Ours excludes a tag
that no bot sends: this keeps all tags, and serves as the mark. Datadog bills each percentile as a
metric, so there are none for distributions that are only summed, and none that the free
``trace.pipecat.*`` metrics provide.
"""

from collections.abc import Iterator

from pipecat_dd.cli.setup.definition import Definition, Kind
from pipecat_dd.names import metrics
from pipecat_dd.names.metrics import METRICS, Type

MARK = "managed_by_pipecat_dd"
"""The tag that the configuration excludes."""

_WITHOUT = frozenset(
    {
        # Only summed.
        metrics.TURN_WAIT_SECONDS,
        # The durations of spans.
        metrics.TURN_DURATION_SECONDS,
        metrics.SESSION_DURATION_SECONDS,
        metrics.END_OF_TURN_SECONDS,
        metrics.TOOL_DURATION_SECONDS,
        # Their longest and their sum say enough.
        metrics.EVENT_LOOP_BLOCKED_SECONDS,
        metrics.SERVICE_RECONNECT_SECONDS,
        metrics.USER_AUDIO_GAP_SECONDS,
        metrics.USER_AUDIO_LEVEL_DBFS,
    }
)


def percentiles() -> Iterator[Definition]:
    """Yield the configurations of the distributions with percentiles."""
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

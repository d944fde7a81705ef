"""Objects of earlier versions that have a replacement. The next run removes them.

They are billed, and free metrics now report the same. Any other object that is no longer created
stays until the user removes it.
"""

from pipecat_dd.cli.setup.definition import Kind
from pipecat_dd.names import metrics

RETIRED: dict[tuple[Kind, str], str] = {
    (Kind.SPAN_METRIC, "pipecat_dd.spans.tool.duration"): "trace.pipecat.tool",
    (Kind.PERCENTILES, metrics.TOOL_DURATION_SECONDS): "trace.pipecat.tool",
    (Kind.PERCENTILES, metrics.TURN_DURATION_SECONDS): "trace.pipecat.turn",
    (Kind.PERCENTILES, metrics.SESSION_DURATION_SECONDS): "trace.pipecat.session",
    (Kind.PERCENTILES, metrics.END_OF_TURN_SECONDS): "trace.pipecat.end_of_turn",
}
"""The retired objects by kind and key, each with the free metric that replaces it."""

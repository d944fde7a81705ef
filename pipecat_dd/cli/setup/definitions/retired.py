"""What earlier versions made, and something else now stands for: the next run takes it away.

Anything else that is no longer made is left until it is removed by hand. These are billed, and
would say once more what is said for free.
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
"""What was made, and what says it now."""

"""What earlier versions made, and something else now stands for: the next run takes it away.

Anything else that is no longer made is left until it is removed by hand. These are billed, and
would say once more what is said for free.
"""

from pipecat_dd.cli.setup.definition import Kind

RETIRED: dict[tuple[Kind, str], str] = {
    (Kind.SPAN_METRIC, "pipecat_dd.spans.tool.duration"): "trace.pipecat.tool",
    (Kind.PERCENTILES, "pipecat.tool.duration_seconds"): "trace.pipecat.tool",
    (Kind.PERCENTILES, "pipecat.turn.duration_seconds"): "trace.pipecat.turn",
    (Kind.PERCENTILES, "pipecat.session.duration_seconds"): "trace.pipecat.session",
    (Kind.PERCENTILES, "pipecat.end_of_turn_seconds"): "trace.pipecat.end_of_turn",
}
"""What was made, and what says it now."""

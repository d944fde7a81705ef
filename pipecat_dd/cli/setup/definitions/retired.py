"""Objects of earlier versions that have a replacement. The next run removes them.

They are billed, and free metrics now report the same. Any other object that is no longer created
stays until the user removes it.
"""

from pipecat_dd.cli.setup.definition import Kind

RETIRED: dict[tuple[Kind, str], str] = {
    (Kind.SPAN_METRIC, "pipecat_dd.spans.tool.duration"): "trace.pipecat.tool",
    (Kind.PERCENTILES, "pipecat.tool.duration_seconds"): "trace.pipecat.tool",
    (Kind.PERCENTILES, "pipecat.turn.duration_seconds"): "trace.pipecat.turn",
    (Kind.PERCENTILES, "pipecat.session.duration_seconds"): "trace.pipecat.session",
    (Kind.PERCENTILES, "pipecat.end_of_turn_seconds"): "trace.pipecat.end_of_turn",
}
"""The retired objects by kind and key, each with the free metric that replaces it."""

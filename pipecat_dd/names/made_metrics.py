"""The metrics that Datadog generates from lines and spans, once ``pipecat-dd setup`` has run."""

from typing import Final

LINES: Final = "pipecat_dd.lines"
"""Lines of sessions, by level."""

LINES_TRACED_ERRORS: Final = "pipecat_dd.lines.traced_errors"
"""Error lines that have a trace, by the error's kind."""

LINES_OUT_OF_CONTEXT: Final = "pipecat_dd.lines.out_of_context"
"""Lines of sessions that have no trace."""

OPERATION_DURATION_MS: Final = "pipecat_dd.operation.duration_ms"
"""How long the operations took that the bot's own code logs, in milliseconds."""

SPANS_SESSIONS: Final = "pipecat_dd.spans.sessions"
"""Sessions, by transport and by how they ended."""

SPANS_TURNS: Final = "pipecat_dd.spans.turns"
"""Turns, by outcome."""

SPANS_USER_BOT_LATENCY_SECONDS: Final = "pipecat_dd.spans.user_bot_latency_seconds"
"""From the end of the user's speech to the bot's voice, in seconds."""

SPANS_ERRORS: Final = "pipecat_dd.spans.errors"
"""Spans that failed, by the span's name and the error's category."""

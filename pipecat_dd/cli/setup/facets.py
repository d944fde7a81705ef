"""The facets and measures that users must create by hand, since Datadog has no API for them.

To list or count the values of a field, or to compare numbers, Datadog needs a facet or measure. To
search for a value, it does not.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Facet:
    """A facet, or a measure if it has a unit.

    Attributes:
        path: The field, as in a query.
        source: ``lines`` or ``spans``.
        use: What it is used for.
        unit: The unit of a measure; empty for a facet.
    """

    path: str
    source: str
    use: str
    unit: str = ""


FACETS = (
    Facet("@pipecat.trace_id", "lines", "share of traces with an error, lines a trace"),
    Facet("@levelname", "lines", "lines by level"),
    Facet("@error.kind", "lines", "kinds of errors"),
    Facet("@name", "lines", "who writes lines without a trace"),
    Facet("@session_id", "lines", "finding a conversation"),
    Facet("@participant_id", "lines", "finding a participant"),
    Facet("@participant.name", "lines", "finding a caller by name"),
    Facet("@operation", "lines", "your operations by name"),
    Facet("@duration_ms", "lines", "@duration_ms:>2000", "millisecond"),
    Facet("@session_id", "spans", "finding a conversation"),
    Facet("@turn.outcome", "spans", "turns by what came of them"),
    Facet("@session.end_reason", "spans", "sessions by how they ended"),
    Facet("@transport", "spans", "sessions by transport"),
    Facet("@turn.user_bot_latency_seconds", "spans", "the slowest turns", "second"),
    Facet("@session.error_count", "spans", "sessions with errors", "error"),
    Facet("@session.bot_speech_count", "spans", "sessions in which the bot never spoke", "event"),
)

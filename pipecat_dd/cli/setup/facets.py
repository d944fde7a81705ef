"""The facets and measures that users must create by hand, since Datadog has no API for them.

To list or count the values of a field, or to compare numbers, Datadog needs a facet or measure. To
search for a value, it does not.
"""

from dataclasses import dataclass

from pipecat_dd.names import fields, tags


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
    Facet(f"@{fields.PIPECAT_TRACE_ID}", "lines", "share of traces with an error, lines a trace"),
    Facet(f"@{fields.LEVELNAME}", "lines", "lines by level"),
    Facet(f"@{fields.ERROR_KIND}", "lines", "kinds of errors"),
    Facet(f"@{fields.NAME}", "lines", "who writes lines without a trace"),
    Facet(f"@{fields.SESSION_ID}", "lines", "finding a conversation"),
    Facet(f"@{fields.PARTICIPANT_ID}", "lines", "finding a participant"),
    Facet(f"@{fields.PARTICIPANT_NAME}", "lines", "finding a caller by name"),
    Facet(f"@{fields.OPERATION}", "lines", "your operations by name"),
    Facet(f"@{fields.DURATION_MS}", "lines", f"@{fields.DURATION_MS}:>2000", "millisecond"),
    Facet(f"@{tags.SESSION_ID}", "spans", "finding a conversation"),
    Facet(f"@{tags.TURN_OUTCOME}", "spans", "turns by what came of them"),
    Facet(f"@{tags.SESSION_END_REASON}", "spans", "sessions by how they ended"),
    Facet(f"@{tags.TRANSPORT}", "spans", "sessions by transport"),
    Facet(f"@{tags.TURN_USER_BOT_LATENCY_SECONDS}", "spans", "the slowest turns", "second"),
    Facet(f"@{tags.SESSION_ERROR_COUNT}", "spans", "sessions with errors", "error"),
    Facet(
        f"@{tags.SESSION_BOT_SPEECH_COUNT}",
        "spans",
        "sessions in which the bot never spoke",
        "event",
    ),
    Facet(f"@{tags.SESSION_OUTCOME}", "spans", "sessions by their outcome"),
    Facet(f"@{tags.SESSION_VOICE_GAP_COUNT}", "spans", "gaps in the bot's voice", "occurrence"),
    Facet(f"@{tags.SESSION_BLOCKED_COUNT}", "spans", "a blocked event loop", "occurrence"),
    Facet(f"@{tags.SESSION_BLOCKED_SECONDS}", "spans", "a blocked event loop", "second"),
    Facet(f"@{tags.SESSION_LONGEST_BOT_SILENCE_SECONDS}", "spans", "dead air", "second"),
    Facet(f"@{tags.SESSION_FIRST_SPEECH_SECONDS}", "spans", "slow first words", "second"),
    Facet(f"@{tags.SESSION_NO_USER_AUDIO_COUNT}", "spans", "users without audio", "occurrence"),
    Facet(f"@{tags.SESSION_RECONNECT_COUNT}", "spans", "lost connections", "occurrence"),
)

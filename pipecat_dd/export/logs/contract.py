"""Every field of a line, with its meaning: what dashboards and monitors may rely on.

``docs/logs.md`` has the same fields in its table, and a test holds it, and lines, against this.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldDoc:
    """A field.

    Attributes:
        name: Its path, as a search names it behind the ``@``.
        meaning: What it says.
    """

    name: str
    meaning: str


FIELDS = (
    FieldDoc("timestamp", "When, in UTC."),
    FieldDoc("status", "Datadog's name of the level."),
    FieldDoc("levelname", "Loguru's or `logging`'s own name of the level: `ERROR`."),
    FieldDoc("name", "The module; for `logging`, the logger."),
    FieldDoc("function", "The function."),
    FieldDoc("line", "The line of the program."),
    FieldDoc("message", "The message, redacted."),
    FieldDoc("session_id", "The conversation."),
    FieldDoc("participant_id", "Whom it is about."),
    FieldDoc("participant.id", "The same."),
    FieldDoc("participant.name", "The name that is shown."),
    FieldDoc("dd.trace_id", "The trace."),
    FieldDoc("dd.span_id", "The innermost span at work."),
    FieldDoc("pipecat.trace_id", "The trace once more: Datadog takes `dd.trace_id` off a line."),
    FieldDoc("pipecat.span_id", "The same for the span."),
    FieldDoc("pipecat.version", "Pipecat's version. Every line of ours has it."),
    FieldDoc("service", "The service, as on spans."),
    FieldDoc("dd.service", "The same."),
    FieldDoc("dd.env", "`DD_ENV`."),
    FieldDoc("dd.version", "`DD_VERSION`."),
    FieldDoc("error.kind", "An exception's class."),
    FieldDoc("error.message", "What it says, redacted."),
    FieldDoc("error.stack", "Its traceback, redacted."),
    FieldDoc("sample_rate", "The share that is kept of lines like this one, where not all are."),
    FieldDoc("truncated", "`true` where something was cut."),
    FieldDoc("logging_error", "What went wrong while the line was made."),
    FieldDoc("extra", "What was bound under a name that means something else."),
)

BOUND_BY_CONVENTION = (
    FieldDoc("operation", "What was done, in a word, where your code binds it."),
    FieldDoc("duration_ms", "How long that took, in milliseconds, where your code binds it."),
)
"""Fields that users bind, under names that everything here agrees on."""

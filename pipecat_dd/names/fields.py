"""The fields of a log line, by their paths: what follows the ``@`` in a search."""

from dataclasses import dataclass
from typing import Final

from pipecat_dd.names import tags


@dataclass(frozen=True, slots=True)
class FieldDoc:
    """A field.

    Attributes:
        name: Its path: what follows the ``@`` in a search.
        meaning: What it means.
    """

    name: str
    meaning: str


FIELDS: Final[list[FieldDoc]] = []
"""All fields that this package writes."""

BOUND_BY_CONVENTION: Final[list[FieldDoc]] = []
"""Fields that users bind, under the names that our dashboards and documents use."""


def _field(name: str, meaning: str) -> str:
    FIELDS.append(FieldDoc(name, meaning))
    return name


def _bound(name: str, meaning: str) -> str:
    BOUND_BY_CONVENTION.append(FieldDoc(name, meaning))
    return name


TIMESTAMP: Final = _field("timestamp", "When the line was written, in UTC.")
STATUS: Final = _field("status", "Datadog's name for the level.")
LEVELNAME: Final = _field("levelname", "Loguru's or `logging`'s own name for the level: `ERROR`.")
NAME: Final = _field("name", "The module; for `logging`, the logger.")
FUNCTION: Final = _field("function", "The function.")
LINE: Final = _field("line", "The line of the program.")
MESSAGE: Final = _field("message", "The message, redacted.")
SESSION_ID: Final = _field(tags.SESSION_ID, "The session's id.")
PARTICIPANT_ID: Final = _field(
    tags.PARTICIPANT_ID, "The id of the participant whom the line is about."
)
PARTICIPANT_OBJECT_ID: Final = _field("participant.id", "The participant's id once more.")
PARTICIPANT_NAME: Final = _field(tags.PARTICIPANT_NAME, "The participant's display name.")
DD_TRACE_ID: Final = _field("dd.trace_id", "The trace's id.")
DD_SPAN_ID: Final = _field("dd.span_id", "The id of the innermost active span.")
PIPECAT_TRACE_ID: Final = _field(
    "pipecat.trace_id",
    "The trace's id once more, for queries: Datadog removes `dd.trace_id` from a line that it has "
    "linked.",
)
PIPECAT_SPAN_ID: Final = _field("pipecat.span_id", "The span's id once more, for queries.")
FLOW_NODE: Final = _field(tags.FLOW_NODE, "The current node of the conversation's flow.")
PIPECAT_VERSION: Final = _field(
    tags.PIPECAT_VERSION, "Pipecat's version. Every line of ours has it."
)
SERVICE: Final = _field("service", "The service, as on spans.")
DD_SERVICE: Final = _field("dd.service", "The service once more.")
DD_ENV: Final = _field("dd.env", "`DD_ENV`.")
DD_VERSION: Final = _field("dd.version", "`DD_VERSION`.")
ERROR_KIND: Final = _field("error.kind", "An exception's class.")
ERROR_MESSAGE: Final = _field(tags.ERROR_MESSAGE, "The exception's message, redacted.")
ERROR_STACK: Final = _field(tags.ERROR_STACK, "The exception's traceback, redacted.")
SAMPLE_RATE: Final = _field("sample_rate", "The share of such lines that is kept, if not all are.")
TRUNCATED: Final = _field("truncated", "`true` if something was cut.")
LOGGING_ERROR: Final = _field("logging_error", "What went wrong while the line was made.")
EXTRA: Final = _field("extra", "Values that your code binds under names with another meaning.")

PARTICIPANT: Final = PARTICIPANT_OBJECT_ID.partition(".")[0]
ID_KEY: Final = PARTICIPANT_OBJECT_ID.removeprefix(f"{PARTICIPANT}.")
NAME_KEY: Final = PARTICIPANT_NAME.removeprefix(f"{PARTICIPANT}.")
"""The object that holds a participant's fields, and their keys in it."""

ERROR: Final = ERROR_KIND.partition(".")[0]
KIND_KEY: Final = ERROR_KIND.removeprefix(f"{ERROR}.")
MESSAGE_KEY: Final = ERROR_MESSAGE.removeprefix(f"{ERROR}.")
STACK_KEY: Final = ERROR_STACK.removeprefix(f"{ERROR}.")
"""The object that holds an error's fields, and their keys in it."""

OPERATION: Final = _bound("operation", "What was done, in a word, if your code binds it.")
DURATION_MS: Final = _bound(
    "duration_ms", "How long the operation took, in milliseconds, if your code binds it."
)

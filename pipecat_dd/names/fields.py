"""The fields of a log line, by their paths as a search names them behind the ``@``."""

from dataclasses import dataclass
from typing import Final

from pipecat_dd.names import tags


@dataclass(frozen=True, slots=True)
class FieldDoc:
    """A field.

    Attributes:
        name: Its path, as a search names it behind the ``@``.
        meaning: What it says.
    """

    name: str
    meaning: str


FIELDS: Final[list[FieldDoc]] = []
"""All that lines of this package have."""

BOUND_BY_CONVENTION: Final[list[FieldDoc]] = []
"""Fields that users bind, under names that everything here agrees on."""


def _field(name: str, meaning: str) -> str:
    FIELDS.append(FieldDoc(name, meaning))
    return name


def _bound(name: str, meaning: str) -> str:
    BOUND_BY_CONVENTION.append(FieldDoc(name, meaning))
    return name


TIMESTAMP: Final = _field("timestamp", "When, in UTC.")
STATUS: Final = _field("status", "Datadog's name of the level.")
LEVELNAME: Final = _field("levelname", "Loguru's or `logging`'s own name of the level: `ERROR`.")
NAME: Final = _field("name", "The module; for `logging`, the logger.")
FUNCTION: Final = _field("function", "The function.")
LINE: Final = _field("line", "The line of the program.")
MESSAGE: Final = _field("message", "The message, redacted.")
SESSION_ID: Final = _field(tags.SESSION_ID, "The conversation.")
PARTICIPANT_ID: Final = _field(tags.PARTICIPANT_ID, "Whom it is about.")
PARTICIPANT_OBJECT_ID: Final = _field("participant.id", "The same.")
PARTICIPANT_NAME: Final = _field(tags.PARTICIPANT_NAME, "The name that is shown.")
DD_TRACE_ID: Final = _field("dd.trace_id", "The trace.")
DD_SPAN_ID: Final = _field("dd.span_id", "The innermost span at work.")
PIPECAT_TRACE_ID: Final = _field(
    "pipecat.trace_id", "The trace once more: Datadog takes `dd.trace_id` off a line."
)
PIPECAT_SPAN_ID: Final = _field("pipecat.span_id", "The same for the span.")
FLOW_NODE: Final = _field(tags.FLOW_NODE, "The current node of the conversation's flow.")
PIPECAT_VERSION: Final = _field(
    tags.PIPECAT_VERSION, "Pipecat's version. Every line of ours has it."
)
SERVICE: Final = _field("service", "The service, as on spans.")
DD_SERVICE: Final = _field("dd.service", "The same.")
DD_ENV: Final = _field("dd.env", "`DD_ENV`.")
DD_VERSION: Final = _field("dd.version", "`DD_VERSION`.")
ERROR_KIND: Final = _field("error.kind", "An exception's class.")
ERROR_MESSAGE: Final = _field(tags.ERROR_MESSAGE, "What it says, redacted.")
ERROR_STACK: Final = _field(tags.ERROR_STACK, "Its traceback, redacted.")
SAMPLE_RATE: Final = _field(
    "sample_rate", "The share that is kept of lines like this one, where not all are."
)
TRUNCATED: Final = _field("truncated", "`true` where something was cut.")
LOGGING_ERROR: Final = _field("logging_error", "What went wrong while the line was made.")
EXTRA: Final = _field("extra", "What was bound under a name that means something else.")

PARTICIPANT: Final = PARTICIPANT_OBJECT_ID.partition(".")[0]
ID_KEY: Final = PARTICIPANT_OBJECT_ID.removeprefix(f"{PARTICIPANT}.")
NAME_KEY: Final = PARTICIPANT_NAME.removeprefix(f"{PARTICIPANT}.")
"""The object that a participant's fields stand in, and their keys there."""

ERROR: Final = ERROR_KIND.partition(".")[0]
KIND_KEY: Final = ERROR_KIND.removeprefix(f"{ERROR}.")
MESSAGE_KEY: Final = ERROR_MESSAGE.removeprefix(f"{ERROR}.")
STACK_KEY: Final = ERROR_STACK.removeprefix(f"{ERROR}.")
"""The object that an error's fields stand in, and their keys there."""

OPERATION: Final = _bound("operation", "What was done, in a word, where your code binds it.")
DURATION_MS: Final = _bound(
    "duration_ms", "How long that took, in milliseconds, where your code binds it."
)

"""The names of a line's fields, ours and Datadog's, and where bound values go.

``logger.bind(status=200)`` must not set the line's status in Datadog, and ``bind(name="Maria")``
must not replace the logger's name: such values go under ``extra``. The names that Datadog reads
are those of its preprocessing for JSON logs
(https://docs.datadoghq.com/logs/log_configuration/pipelines/#preprocessing).
"""

from enum import Enum
from typing import Final


class FieldRole(Enum):
    """Where in a line a bound value goes."""

    TOP = "top"
    EXTRA = "extra"
    SESSION_ID = "session_id"
    PARTICIPANT_ID = "participant_id"
    PARTICIPANT = "participant"
    ERROR = "error"
    ERROR_TYPE = "error_type"
    ERROR_DETAILS = "error_details"
    CORRELATION = "correlation"
    BAG = "bag"


_OURS: Final = frozenset(
    {
        "timestamp",
        "status",
        "levelname",
        "name",
        "function",
        "line",
        "message",
        "service",
        "truncated",
        "sample_rate",
        "logging_error",
    }
)

_DATADOGS: Final = frozenset(
    {
        "@timestamp",
        "_timestamp",
        "Timestamp",
        "eventTime",
        "date",
        "published_date",
        "host",
        "hostname",
        "source",
        "ddsource",
        "ddtags",
        "level",
        "severity",
        "msg",
        "log",
        "trace_id",
        "span_id",
        "contextMap",
        "named_tags",
        "syslog",
    }
)

_OWN_PLACES: Final = {
    "session_id": FieldRole.SESSION_ID,
    "participant_id": FieldRole.PARTICIPANT_ID,
    "participant": FieldRole.PARTICIPANT,
    "error": FieldRole.ERROR,
    "error_type": FieldRole.ERROR_TYPE,
    "error_details": FieldRole.ERROR_DETAILS,
    "extra": FieldRole.BAG,
    # What ddtrace's patches of Loguru and logging add.
    "dd.trace_id": FieldRole.CORRELATION,
    "dd.span_id": FieldRole.CORRELATION,
    "dd.service": FieldRole.CORRELATION,
    "dd.env": FieldRole.CORRELATION,
    "dd.version": FieldRole.CORRELATION,
}

# "participant.name" is a path to Datadog: it lands in the object "participant" of ours.
UNCUT: Final = frozenset(
    {
        "timestamp",
        "status",
        "levelname",
        "name",
        "function",
        "line",
        "session_id",
        "participant_id",
        "participant",
        "dd.trace_id",
        "dd.span_id",
        "pipecat.trace_id",
        "pipecat.span_id",
        "pipecat.version",
        "service",
        "dd.service",
        "dd.env",
        "dd.version",
        "sample_rate",
        "truncated",
        "logging_error",
    }
)
"""The fields that stay whole however long a line is."""

_ROOTS: Final = _OURS | _DATADOGS | {"participant", "error", "extra", "dd", "pipecat"}


def role_of(name: str) -> FieldRole:
    """Return where a value that is bound under a name goes."""
    place = _OWN_PLACES.get(name)
    if place is not None:
        return place
    if name in _ROOTS:
        return FieldRole.EXTRA
    root, dot, _ = name.partition(".")
    return FieldRole.EXTRA if dot and root in _ROOTS else FieldRole.TOP

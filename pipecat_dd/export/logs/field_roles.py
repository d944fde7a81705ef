"""The names of a line's fields, ours and Datadog's, and where bound values go.

``logger.bind(status=200)`` must not set the line's status in Datadog, and ``bind(name="Maria")``
must not replace the logger's name: such values go under ``extra``. The names that Datadog reads
are those of its preprocessing for JSON logs
(https://docs.datadoghq.com/logs/log_configuration/pipelines/#preprocessing).
"""

from enum import Enum
from typing import Final

from pipecat_dd.names import fields


class FieldRole(Enum):
    """Where in a line a bound value goes."""

    TOP = "top"
    EXTRA = fields.EXTRA
    SESSION_ID = fields.SESSION_ID
    PARTICIPANT_ID = fields.PARTICIPANT_ID
    PARTICIPANT = fields.PARTICIPANT
    ERROR = fields.ERROR
    FLOW_NODE = fields.FLOW_NODE
    ERROR_TYPE = "error_type"
    ERROR_DETAILS = "error_details"
    CORRELATION = "correlation"
    BAG = "bag"


_OURS: Final = frozenset(
    {
        fields.TIMESTAMP,
        fields.STATUS,
        fields.LEVELNAME,
        fields.NAME,
        fields.FUNCTION,
        fields.LINE,
        fields.MESSAGE,
        fields.SERVICE,
        fields.TRUNCATED,
        fields.SAMPLE_RATE,
        fields.LOGGING_ERROR,
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
    fields.SESSION_ID: FieldRole.SESSION_ID,
    fields.PARTICIPANT_ID: FieldRole.PARTICIPANT_ID,
    fields.PARTICIPANT: FieldRole.PARTICIPANT,
    fields.ERROR: FieldRole.ERROR,
    fields.FLOW_NODE: FieldRole.FLOW_NODE,
    "error_type": FieldRole.ERROR_TYPE,
    "error_details": FieldRole.ERROR_DETAILS,
    fields.EXTRA: FieldRole.BAG,
    # What ddtrace's patches of Loguru and logging add.
    fields.DD_TRACE_ID: FieldRole.CORRELATION,
    fields.DD_SPAN_ID: FieldRole.CORRELATION,
    fields.DD_SERVICE: FieldRole.CORRELATION,
    fields.DD_ENV: FieldRole.CORRELATION,
    fields.DD_VERSION: FieldRole.CORRELATION,
}

# `participant.name` is a path to Datadog: it lands in the object "participant" of ours.
UNCUT: Final = frozenset(
    {
        fields.TIMESTAMP,
        fields.STATUS,
        fields.LEVELNAME,
        fields.NAME,
        fields.FUNCTION,
        fields.LINE,
        fields.SESSION_ID,
        fields.PARTICIPANT_ID,
        fields.PARTICIPANT,
        fields.DD_TRACE_ID,
        fields.DD_SPAN_ID,
        fields.PIPECAT_TRACE_ID,
        fields.PIPECAT_SPAN_ID,
        fields.PIPECAT_VERSION,
        fields.SERVICE,
        fields.DD_SERVICE,
        fields.DD_ENV,
        fields.DD_VERSION,
        fields.SAMPLE_RATE,
        fields.TRUNCATED,
        fields.LOGGING_ERROR,
    }
)
"""The fields that stay whole however long a line is."""

_ROOTS: Final = (
    _OURS | _DATADOGS | {fields.PARTICIPANT, fields.ERROR, fields.EXTRA, "dd", "pipecat"}
)


def role_of(name: str) -> FieldRole:
    """Return where a value that is bound under a name goes."""
    place = _OWN_PLACES.get(name)
    if place is not None:
        return place
    if name in _ROOTS:
        return FieldRole.EXTRA
    root, dot, _ = name.partition(".")
    return FieldRole.EXTRA if dot and root in _ROOTS else FieldRole.TOP

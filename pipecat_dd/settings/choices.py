"""The values of settings that are a choice of a few words."""

from enum import StrEnum


class FrameSpans(StrEnum):
    """Which frame processing gets a span."""

    NOTABLE = "notable"
    ALL = "all"
    OFF = "off"


class TraceScope(StrEnum):
    """Whether the session is one trace, or each turn is."""

    SESSION = "session"
    TURN = "turn"


class LineFormat(StrEnum):
    """The format of log lines."""

    JSON = "json"
    CONSOLE = "console"


class SampledBy(StrEnum):
    """Whether sampling keeps or drops whole sessions or single lines."""

    SESSION = "session"
    RECORD = "record"


class Severity(StrEnum):
    """The names of the levels that every logger of Loguru's has."""

    TRACE = "TRACE"
    DEBUG = "DEBUG"
    INFO = "INFO"
    SUCCESS = "SUCCESS"
    WARNING = "WARNING"
    ERROR = "ERROR"
    CRITICAL = "CRITICAL"

"""Settings of which one of a few words is chosen."""

from enum import StrEnum


class FrameSpans(StrEnum):
    """Which of a processor's work on frames gets a span."""

    NOTABLE = "notable"
    ALL = "all"
    OFF = "off"


class TraceScope(StrEnum):
    """What is one trace."""

    SESSION = "session"
    TURN = "turn"


class LineFormat(StrEnum):
    """How lines are written."""

    JSON = "json"
    CONSOLE = "console"


class SampledBy(StrEnum):
    """What is kept or left out as a whole."""

    SESSION = "session"
    RECORD = "record"

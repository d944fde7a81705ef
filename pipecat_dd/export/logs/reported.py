"""The exception of a line in which Pipecat reports an error, and logs it without.

Pipecat catches what a processor, a handler or a task raises, and writes an error's message alone:
``push_error``, the dispatcher of events, the task manager. The exception is at hand where that is
written: it is being handled there, or it is what is reported.
"""

import sys
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

from pipecat_dd import _loguru
from pipecat_dd._private import peek

if TYPE_CHECKING:
    from loguru import Record

ERROR: Final = 40
"""The least severity of a line that is asked for an exception."""
_REPORTED_AS: Final = ("exception", "error", "error_frame", "frame")
"""What Pipecat calls an exception, or a frame that holds one, where it reports it."""

_ExcInfo = tuple[Any, Any, Any]


def exception_of(record: "Record") -> _ExcInfo | None:
    """Return a record's exception: its own, or the one that Pipecat's line is about.

    Asked from within Loguru's call of a format function.

    Args:
        record: The record.
    """
    exception: Any = record["exception"]
    if exception is not None or record["level"].no < ERROR:
        return exception  # type: ignore[no-any-return]
    if not (record["name"] or "").startswith("pipecat."):
        return None
    frame = _loguru.logging_frame(record["function"])
    if frame is None:
        return None
    found = _reported(frame) or _handled(frame)
    return None if found is None else (type(found), found, found.__traceback__)


def _reported(frame: FrameType) -> BaseException | None:
    """Return what the code at work was given to report."""
    variables = frame.f_locals
    for name in _REPORTED_AS:
        given = variables.get(name)
        if not isinstance(given, BaseException):
            given = peek(given, "exception")
        if isinstance(given, BaseException):
            return given
    return None


def _handled(frame: FrameType) -> BaseException | None:
    """Return what the code at work has caught.

    Not what code above it has: that may handle something else, in the course of which this went
    wrong.
    """
    error = sys.exc_info()[1]
    traceback = None if error is None else error.__traceback__
    while traceback is not None:
        if traceback.tb_frame is frame:
            return error
        traceback = traceback.tb_next
    return None

"""Finds the exception behind lines in which Pipecat logs only its message.

Pipecat catches what a processor, an event handler or a task raises and logs only its message: in
``push_error``, the event dispatcher and the task manager. The code that logs the line either
handles the exception at that moment or has it in a variable.
"""

import sys
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

from pipecat_dd import _loguru
from pipecat_dd._private import peek

if TYPE_CHECKING:
    from loguru import Record

ERROR: Final = 40
"""The lowest severity of lines whose exception is looked for."""
_REPORTED_AS: Final = ("exception", "error", "error_frame", "frame")
"""The variables in which Pipecat has the exception, or a frame with it, when it logs the line."""

_ExcInfo = tuple[Any, Any, Any]


def exception_of(record: "Record") -> _ExcInfo | None:
    """Return a record's exception: its own, or the one that a line of Pipecat's reports.

    Call it while Loguru runs a format function: the stack leads to the code that logs.
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
    """Return the exception in a variable of the code that logs."""
    variables = frame.f_locals
    for name in _REPORTED_AS:
        given = variables.get(name)
        if not isinstance(given, BaseException):
            given = peek(given, "exception")
        if isinstance(given, BaseException):
            return given
    return None


def _handled(frame: FrameType) -> BaseException | None:
    """Return the exception that the code that logs is handling.

    Exceptions that its callers are handling do not count: they may be about something else.
    """
    error = sys.exc_info()[1]
    traceback = None if error is None else error.__traceback__
    while traceback is not None:
        if traceback.tb_frame is frame:
            return error
        traceback = traceback.tb_next
    return None

"""What nobody catches is a line too.

The interpreter prints an exception that ends the program, or a thread, to standard error: many
lines of text, which Datadog takes for as many logs, none of them a session's. So one line is
written of it. The interpreter's own report stays, and so does whatever else is to be called:
Sentry's hook, ddtrace's, the user's, whether they were set before ours or after.
"""

import contextlib
import sys
import threading
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from loguru import logger

from pipecat_dd.conversation.raised import run_where_raised
from pipecat_dd.export.logs.errors import message_of
from pipecat_dd.export.logs.passing import Passing, Uncaught, log_as
from pipecat_dd.names import fields

if TYPE_CHECKING:
    from loguru import Record

_NO_FAILURES: Final = (KeyboardInterrupt, SystemExit)
_MAX_TEXT_CHARS: Final = 500
"""Characters of an exception's text that stand in the message; ``error.message`` has more."""


class Hooks:
    """The hooks that write a line of what nobody catches, until they are taken back.

    Args:
        sink: Where our lines go.
    """

    def __init__(self, sink: object) -> None:
        self._is_on = True
        self._passing = Passing(sink)
        self._of_program = sys.excepthook
        self._of_threads = threading.excepthook
        # Kept, since each look at a method gives another object.
        self._ours = (self._program_failed, self._thread_failed)
        sys.excepthook, threading.excepthook = self._ours

    def undo(self) -> None:
        """Put back what was there before, unless somebody has set another hook since."""
        self._is_on = False
        self._passing.undo()
        if sys.excepthook is self._ours[0]:
            sys.excepthook = self._of_program
        if threading.excepthook is self._ours[1]:
            threading.excepthook = self._of_threads

    def _program_failed(
        self, kind: type[BaseException], error: BaseException, traceback: TracebackType | None
    ) -> None:
        try:
            # What is mistyped at a prompt ends nothing.
            if self._is_on and not hasattr(sys, "ps1"):
                _write(kind, error, traceback, "")
        finally:
            self._of_program(kind, error, traceback)

    def _thread_failed(self, args: "threading.ExceptHookArgs", /) -> None:
        try:
            if self._is_on:
                thread = "" if args.thread is None else f" in thread {args.thread.name}"
                _write(args.exc_type, args.exc_value, args.exc_traceback, thread)
        finally:
            self._of_threads(args)


def _write(
    kind: type[BaseException],
    error: BaseException | None,
    traceback: TracebackType | None,
    where: str,
) -> None:
    """Write the line. Never raises."""
    if issubclass(kind, _NO_FAILURES):
        return
    with contextlib.suppress(Exception):
        error = kind() if error is None else error
        message = f"Uncaught exception{where}: {kind.__qualname__}"
        text = message_of(error)
        # Not a part of a long one: half a secret is not recognised as one.
        if 0 < len(text) <= _MAX_TEXT_CHARS:
            message = f"{message}: {text}"
        exception = (kind, error, traceback)
        run_where_raised(error, traceback, partial(_log, message, exception, traceback))


def _log(
    message: str, exception: Any, traceback: TracebackType | None, session_id: str | None
) -> None:
    innermost = traceback
    while innermost is not None and innermost.tb_next is not None:
        innermost = innermost.tb_next
    name = ""
    if innermost is not None:
        name = str(innermost.tb_frame.f_globals.get("__name__", ""))

    def as_raised(made: "Record") -> None:
        made["name"] = Uncaught(name)
        if session_id is not None:
            made["extra"][fields.SESSION_ID] = session_id
        if innermost is not None:
            code = innermost.tb_frame.f_code
            made["function"], made["line"] = code.co_name, innermost.tb_lineno or 0
            made["file"].path = code.co_filename
            made["file"].name = code.co_filename.replace("\\", "/").rpartition("/")[2]
            made["module"] = made["file"].name.rpartition(".")[0]

    # Not by the name of a library that is silenced: what it was called for has failed.
    log_as("__main__")(logger.opt(exception=exception).patch(as_raised), "ERROR", message)

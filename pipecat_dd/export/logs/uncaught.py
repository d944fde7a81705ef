"""Logs uncaught exceptions.

The interpreter prints an exception that ends the program, or a thread, to standard error. Datadog
reads each line of that text as a log of its own, without a session. So one line is logged for the
exception. The interpreter still prints it, and all other hooks are still called: Sentry's,
ddtrace's and the user's, whether they were set before ours or after.
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
from pipecat_dd.export.logs.routing import Routing, Uncaught, log_as
from pipecat_dd.names import fields

if TYPE_CHECKING:
    from loguru import Record

_NO_FAILURES: Final = (KeyboardInterrupt, SystemExit)
_MAX_TEXT_CHARS: Final = 500
"""The longest exception message that is part of the line's message. ``error.message`` has more."""


class ExceptionHooks:
    """Hooks that log uncaught exceptions, until `undo`.

    Args:
        sink: Where our lines go.
    """

    def __init__(self, sink: object) -> None:
        self._is_on = True
        self._routing = Routing(sink)
        self._of_program = sys.excepthook
        self._of_threads = threading.excepthook
        # Stored, since each access to a bound method creates a new object.
        self._ours = (self._program_failed, self._thread_failed)
        sys.excepthook, threading.excepthook = self._ours

    def undo(self) -> None:
        """Restore the previous hooks, unless other hooks were set since."""
        self._is_on = False
        self._routing.undo()
        if sys.excepthook is self._ours[0]:
            sys.excepthook = self._of_program
        if threading.excepthook is self._ours[1]:
            threading.excepthook = self._of_threads

    def _program_failed(
        self, kind: type[BaseException], error: BaseException, traceback: TracebackType | None
    ) -> None:
        try:
            # At an interactive prompt an exception does not end the program.
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
    """Log the line. Never raises."""
    if issubclass(kind, _NO_FAILURES):
        return
    with contextlib.suppress(Exception):
        error = kind() if error is None else error
        message = f"Uncaught exception{where}: {kind.__qualname__}"
        text = message_of(error)
        # A long text is left out, not cut: half a secret would not be recognised.
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

    # Logged as the main module, since lines of the library that raised may be disabled.
    log_as("__main__")(logger.opt(exception=exception).patch(as_raised), "ERROR", message)

"""Reports failing sinks once, without the content of the line.

A sink fails when the disk is full, when the reader of standard output is gone, or when the
service that it posts to does not answer. Loguru then prints a report for each line, with the whole
record before redaction: secrets, telephone numbers and conversations, on standard error, which is
collected, too. Instead, one line reports which sink fails, with which kind of error, and where it
was raised. It omits the error's message, which may contain the line.

The user's other sinks, whose lines are not made here, keep Loguru's report. While
`configure_logging` is in effect, that report has the redacted line instead of the record, and the
error without its message.
"""

import logging
import os
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any, Final

from pipecat_dd import _loguru
from pipecat_dd._forks import in_forked_processes
from pipecat_dd._loguru import Failure
from pipecat_dd.export.redaction import InForce

_MAX_KINDS: Final = 20
"""The most kinds of failures that are reported in a process."""
_MAX_NAME_CHARS: Final = 80
_IN_FORCE: Final = InForce()

_lock = threading.Lock()
_reported: set[tuple[Any, ...]] = set()
_make_line: Callable[[Any], str] | None = None


@in_forked_processes
def _renew_lock() -> None:
    global _lock
    _lock = threading.Lock()


def report_failures_of_ours() -> None:
    """From now on, omit the record from reports about sinks that get our lines."""
    _loguru.report_failures(_report)


def redact_reports_with(make_line: Callable[[Any], str] | None) -> None:
    """Replace the record in reports of the user's other sinks by a redacted line.

    Args:
        make_line: Makes that line and must not raise. None leaves these reports to Loguru.
    """
    global _make_line
    _make_line = make_line
    report_failures_of_ours()


def report_once(
    what: str, error: BaseException | None = None, key: Any = None, effect: str = ""
) -> None:
    """Write to standard error that something failed, once for each kind of error.

    The logger is not used, since its sinks may be what failed.

    Args:
        what: What failed, as a sentence without its full stop.
        error: What was raised; None if nothing was. Its message is not written.
        key: Identifies what failed if ``what`` does not.
        effect: The consequence, as a sentence without its full stop.
    """
    why = "" if error is None else f" ({_kind(error)})"
    with _lock:
        kind = (what if key is None else key, why)
        if kind in _reported or len(_reported) >= _MAX_KINDS:
            return
        _reported.add(kind)
    _print(". ".join(filter(None, (f"pipecat_dd: {what}{why}", effect, "This is reported once\n"))))


def report_failures_of(handler: logging.Handler) -> None:
    """Report failures of a handler once, instead of ``logging``'s report for each line.

    Does nothing if the handler overrides ``handleError``.
    """
    if type(handler).handleError is logging.Handler.handleError:

        def report(_: logging.LogRecord) -> None:
            _report_sink(repr(handler), sys.exc_info()[1], id(handler))

        changed: Any = handler
        changed.handleError = _loguru.mark(report)


def restore_reports_of(handler: logging.Handler) -> None:
    """Undo `report_failures_of`."""
    if _loguru.is_marked(vars(handler).get("handleError")):
        del handler.handleError


def _report(failure: Failure) -> None:
    # A handler that was removed may have been ours.
    if not failure.is_known or _loguru.is_marked(failure.format):
        _report_sink(failure.sink, failure.error, failure.handler_id)
    elif _make_line is None:
        failure.print()
    else:
        _print(_redacted_report(failure, _make_line))


def _report_sink(name: str, error: BaseException | None, key: Any) -> None:
    sink = _IN_FORCE.text(name)[:_MAX_NAME_CHARS]
    report_once(f"the log sink {sink} fails", error, key, "Its lines are lost while it does")


def _redacted_report(failure: Failure, make_line: Callable[[Any], str]) -> str:
    """Return Loguru's report of a failure, redacted."""
    line = "(lost)" if failure.record is None else make_line(failure.record)
    error = failure.error
    trace = [] if error is None else [*traceback.format_tb(error.__traceback__), _kind(error)]
    return (
        f"--- Logging error in Loguru Handler #{failure.handler_id} ---\n"
        f"Record was: {line}\n{''.join(trace)}\n--- End of logging error ---\n"
    )


def _kind(error: BaseException) -> str:
    """Return an error's type and where it was raised, without its message."""
    kind = type(error).__qualname__
    if isinstance(error, OSError) and error.errno is not None:
        # The system's text for the number, since the error's own message may contain the line.
        kind = f"{kind}: {os.strerror(error.errno)}"
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    if place is None:
        return kind
    return f"{kind}, {os.path.basename(place.tb_frame.f_code.co_filename)}:{place.tb_lineno}"


def _print(text: str) -> None:
    stream = sys.stderr
    if stream is None:
        return
    try:
        stream.write(text)
        stream.flush()
    except (OSError, ValueError):  # standard error itself may be what fails
        pass

"""A sink that fails says so once, and shows nothing of what was to be written.

The disk is full, whoever read standard output is gone, the service that a sink posts to does not
answer. Loguru prints a report of each line then, with the whole record as it was logged: secrets,
telephone numbers, what was said, hundreds of times, on the standard error that is collected too.
In its place one line says which sink fails, with what kind of error, and where that was raised; no
text of the error's own, which may hold the line.

The user's other sinks, whose lines we do not make, keep Loguru's report; while `configure_logging`
is in force the record in it is the redacted line, and the error is without its text.
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
"""How many kinds of failures are reported at most in a process."""
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
    """Have no sink that our lines go to print a record as it was logged, from now on."""
    _loguru.report_failures(_report)


def redact_reports_by(make_line: Callable[[Any], str] | None) -> None:
    """Have reports of the user's other sinks hold a redacted line instead of the record.

    Args:
        make_line: Makes that line; must not raise. None leaves those reports to Loguru.
    """
    global _make_line
    _make_line = make_line
    report_failures_of_ours()


def report_once(
    what: str, error: BaseException | None = None, key: Any = None, effect: str = ""
) -> None:
    """Write to standard error that something fails; once for each kind of error.

    Never by way of the logger: it is what fails.

    Args:
        what: What fails.
        error: What was raised, if anything was; nothing of its text is written.
        key: What fails, where ``what`` does not tell it from others.
        effect: What that means, as a sentence without its end.
    """
    why = "" if error is None else f" ({_kind(error)})"
    with _lock:
        kind = (what if key is None else key, why)
        if kind in _reported or len(_reported) >= _MAX_KINDS:
            return
        _reported.add(kind)
    _print(". ".join(filter(None, (f"pipecat_dd: {what}{why}", effect, "This is said once\n"))))


def quiet(handler: logging.Handler) -> None:
    """Have a handler that fails say so once, in place of ``logging``'s report of each line.

    Args:
        handler: One whose report is the standard library's.
    """
    if type(handler).handleError is logging.Handler.handleError:

        def report(_: logging.LogRecord) -> None:
            _report_sink(repr(handler), sys.exc_info()[1], id(handler))

        changed: Any = handler
        changed.handleError = _loguru.mark(report)


def unquiet(handler: logging.Handler) -> None:
    """Put back what `quiet` has changed."""
    if _loguru.is_marked(vars(handler).get("handleError")):
        del handler.handleError


def _report(failure: Failure) -> None:
    # One that is gone may have been ours.
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
    """Return what was raised, and where, without its text."""
    kind = type(error).__qualname__
    if isinstance(error, OSError) and error.errno is not None:
        # The system's words: an error's own may name what was to be written.
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
    except (OSError, ValueError):  # it may be what fails
        pass

"""A sink that fails says so once, and shows nothing of what was to be written.

The disk is full, whoever read standard output is gone, the service that a sink posts to does not
answer. Loguru prints a report of each line then, with the whole record as it was logged: secrets,
telephone numbers, what was said, hundreds of times, on the standard error that is collected too.
In its place one line says which sink fails, with what kind of error, and where that was raised; no
text of the error's own, which may hold the line.

The user's other sinks, whose lines we do not make, keep Loguru's report; but the record in it is
the redacted line.
"""

import os
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any, Final

from pipecat_dd import _loguru
from pipecat_dd._forks import in_forked_processes
from pipecat_dd._loguru import Failure
from pipecat_dd.telling.redaction import InForce

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


def keep_records_in(make_line: Callable[[Any], str], *, by_default: bool = False) -> None:
    """Have no sink that fails print a record as it was logged, from now on.

    Args:
        make_line: Makes a redacted line of a record; must not raise. The latest counts.
        by_default: Whether another that was given before stays.
    """
    global _make_line
    if _make_line is None or not by_default:
        _make_line = make_line
    _loguru.report_failures(_report)


def report_once(what: str, error: BaseException | None, key: Any = None) -> None:
    """Write to standard error that something fails; once for each kind of error.

    Never by way of the logger: it is what fails.

    Args:
        what: What fails, and what that means, with a pair of braces for the error.
        error: What was raised; nothing of its text is written.
        key: What fails, where ``what`` does not tell it from others.
    """
    why = _kind(error)
    with _lock:
        kind = (what if key is None else key, why)
        if kind in _reported or len(_reported) >= _MAX_KINDS:
            return
        _reported.add(kind)
    _print(f"pipecat_dd: {what.format(why)}. This is said once\n")


def _report(failure: Failure) -> None:
    try:
        # One that is gone may have been ours.
        if not failure.is_known or _loguru.is_marked(failure.format):
            sink = _IN_FORCE.text(failure.sink)[:_MAX_NAME_CHARS].replace("{", "(")
            report_once(
                f"the log sink {sink} fails ({{}}), and its lines are lost while it does",
                failure.error,
                failure.handler_id,
            )
        else:
            _print(_redacted_report(failure))
    except Exception:  # the sink's lines are lost; the code that logged must not be
        pass


def _redacted_report(failure: Failure) -> str:
    """Return Loguru's report of a failure, redacted."""
    line = "(lost)"
    if failure.record is not None and _make_line is not None:
        line = _make_line(failure.record)
    error = failure.error
    trace = "" if error is None else "".join(traceback.format_exception(error))
    return (
        f"--- Logging error in Loguru Handler #{failure.handler_id} ---\n"
        f"Record was: {line}\n{_IN_FORCE.text(trace)}--- End of logging error ---\n"
    )


def _kind(error: BaseException | None) -> str:
    """Return what was raised, and where, without its text."""
    if error is None:
        return "an unknown error"
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

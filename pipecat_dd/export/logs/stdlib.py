"""Routes the lines of the standard library's ``logging`` to Loguru.

A handler on the root logger passes each record to Loguru, with the record's own name, function,
line, time and thread. Other handlers of the root logger (Sentry's, pytest's, a file's) stay, with
two exceptions:

* A plain `logging.StreamHandler` to standard output or error would print every line again, as
  text without ids, and Datadog reads both. So if our lines go to the console, such handlers are
  removed, from the root logger and from all others: ddtrace's logger has one, and uvicorn has two
  loggers that do not propagate, which get a handler of ours instead. Subclasses stay, since they
  may do more than print.
* An ``InterceptHandler`` as in Loguru's documentation does the same as ours, so that each line
  would be written twice.

`Interception.undo` adds the removed handlers again.
"""

import logging
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from loguru import logger

from pipecat_dd import _loguru
from pipecat_dd.export.logs import failed_tasks
from pipecat_dd.export.logs.failing import report_once
from pipecat_dd.export.logs.forking import defer, is_forking
from pipecat_dd.export.logs.library_warnings import lowered
from pipecat_dd.export.logs.routing import FromLogging, Routing, log_as
from pipecat_dd.export.logs.sink_work import is_sink_work
from pipecat_dd.export.logs.structured import (
    NoText,
    Structured,
    is_structlogs,
    named_values,
    of_record,
    readable,
)

if TYPE_CHECKING:
    from loguru import Record

# The attributes of a LogRecord without ``extra=``.
_STANDARD: Final = frozenset(
    logging.LogRecord("", 0, "", 0, "", (), None).__dict__.keys()
    | {"message", "asctime", "taskName"}
)

QUIET: Final = (
    "aioice",
    "aiortc",
    "anthropic",
    "asyncio",
    "boto3",
    "botocore",
    "ddtrace",
    "filelock",
    "google_genai",
    "grpc",
    "hpack",
    "httpcore",
    "httpcore2",
    "numba",
    "openai",
    "urllib3",
    "websockets",
)
"""Libraries that log each packet or span, or whole requests with conversations, at DEBUG.

They log at INFO even if everything else is at DEBUG, unless ``levels`` names them.
"""


class InterceptHandler(logging.Handler):
    """Passes records of the standard library's ``logging`` to Loguru."""

    def __init__(self, level: int = logging.NOTSET) -> None:
        super().__init__(level)
        self._busy = threading.local()

    def emit(self, record: logging.LogRecord) -> None:
        """Pass a record to Loguru, unless it comes from there."""
        failed = None
        if record.name == failed_tasks.LOGGER:
            failed = failed_tasks.find_failed_task(str(record.msg))
        # `is_writing` inspects the stack; the flag is for versions of Loguru where it cannot.
        if getattr(self._busy, "now", False) or is_sink_work() or _loguru.is_writing():
            if failed is not None:
                failed.run_later(partial(self._log, record))
            return
        if failed is not None:
            failed.run(partial(self._log, record))
        else:
            self._log(record)

    def _log(self, record: logging.LogRecord) -> None:
        if is_forking():
            defer(partial(self._log, record))
            return
        self._busy.now = True
        try:
            _log(record)
        except Exception as error:  # an error must not reach the code that logged
            report_once("a line of the standard library's logging is lost", error)
        finally:
            self._busy.now = False


def _log(record: logging.LogRecord) -> None:
    record = lowered(record)
    message, exc_info = "", record.exc_info
    structured = of_record(record)
    if structured is not None and structured.text is not None:
        message = structured.text
    else:
        message = message_of(record)
    if structured is not None and not exc_info:
        exc_info = structured.exc_info
    is_triple = isinstance(exc_info, tuple) and len(exc_info) == 3 and exc_info[0] is not None
    exception = exc_info if is_triple or isinstance(exc_info, BaseException) else None

    def as_recorded(made: "Record") -> None:
        _copy(record, made, structured)

    # By name if Loguru has the same level; else by number, and `_copy` sets the name.
    level: str | int = max(record.levelno, 0)  # Loguru has no negative levels
    try:
        if logger.level(record.levelname).no == record.levelno:
            level = record.levelname
    except ValueError:
        pass
    written = logger.opt(exception=exception).patch(as_recorded)
    log_as(record.name)(written, level, message)


def message_of(record: logging.LogRecord) -> str:
    """Return a record's message; if its arguments cannot be formatted, message and arguments."""
    with suppress(Exception):
        return record.getMessage()
    message, args = readable(record.msg), record.args
    if isinstance(args, tuple):
        args = tuple(_Readable(one) for one in args)
    return f"{message} {readable(args, repr)}" if args else message


class _Readable(NamedTuple):
    """Wraps a value of a tuple so that its repr never raises."""

    value: Any

    def __repr__(self) -> str:
        return readable(self.value, repr)


def _copy(record: logging.LogRecord, made: "Record", structured: Structured | None) -> None:
    """Copy a record of ``logging`` into Loguru's, which otherwise names this module."""
    made["name"] = FromLogging(record.name)
    if structured is not None and structured.text is None:
        made["message"] = NoText(made["message"])
    made["function"] = record.funcName or ""
    made["line"] = record.lineno
    made["module"] = record.module
    made["file"].name, made["file"].path = record.filename, record.pathname
    made["level"].name = record.levelname
    made["thread"].id = record.thread or 0
    made["thread"].name = record.threadName or ""
    # Loguru's own type of datetime: text formats of users depend on it.
    with suppress(Exception):  # a record made by hand may have no time
        made["time"] = type(made["time"]).fromtimestamp(record.created, made["time"].tzinfo)
    made["extra"].update(_values_of(record, structured))


def _values_of(record: logging.LogRecord, structured: Structured | None) -> dict[Any, Any]:
    """Return what a record carries besides its message."""
    values = dict(named_values(record) if structured is None else structured.values)
    for key, value in record.__dict__.items():
        if key not in _STANDARD and not (structured is not None and is_structlogs(key)):
            values[key] = value
    if record.stack_info:
        values["stack_info"] = record.stack_info
    return values


def fields_of(record: logging.LogRecord) -> tuple[str | None, dict[Any, Any], Any]:
    """Return the message of a record whose message is a mapping, its values and its exception.

    Returns:
        The message, None for a record whose message is plain text or has none; the values that
        become fields; and the exception, in any form that ``logging`` accepts as ``exc_info``.
    """
    structured = of_record(record)
    values = _values_of(record, structured)
    if structured is None:
        return None, values, record.exc_info
    text = NoText("") if structured.text is None else structured.text
    return text, values, record.exc_info or structured.exc_info


def is_passed_to_loguru(target: logging.Logger) -> bool:
    """Whether a handler passes a logger's records to Loguru, ours or that of its documentation."""
    current: logging.Logger | None = target
    while current is not None:
        if any(type(one).__name__ == InterceptHandler.__name__ for one in current.handlers):
            return True
        current = current.parent if current.propagate else None
    return False


_in_force: "Final[list[Interception]]" = []
"""One may be made while another is in force: a test captures a bot that configures its logging."""


class Interception:
    """The changes to the standard library's loggers, which `undo` reverts.

    Args:
        level: The lowest severity that the root logger lets through.
        levels: The lowest severity that other loggers let through, by their names.
        sink: Where our lines go.
    """

    def __init__(self, level: int, levels: Mapping[str, int], sink: object) -> None:
        self._to_console = is_console(sink)
        self._routing = Routing(sink)
        self._handlers: list[tuple[logging.Logger, logging.Handler]] = []
        self._removed: list[tuple[logging.Logger, logging.Handler]] = []
        self._levels: list[tuple[logging.Logger, int]] = []
        root = logging.getLogger()
        _in_force.append(self)
        self._set_level(root, level)
        for name in QUIET:
            quiet = logging.getLogger(name)
            if name not in levels and quiet.level == logging.NOTSET:
                self._set_level(quiet, max(level, logging.INFO))
        for name, number in levels.items():
            self._set_level(logging.getLogger(name), number)
        before = warnings.showwarning
        logging.captureWarnings(True)
        self._captures_warnings = warnings.showwarning is not before
        self.sweep()

    def sweep(self) -> None:
        """Remove console handlers again: a web server may have added its own since."""
        root = logging.getLogger()
        if not _has_intercept(root):
            self._add(root, InterceptHandler())
        for target in _loggers():
            reaches_root = _reaches_root(target)
            for handler in list(target.handlers):
                recipe = _is_the_recipe(handler)
                if recipe:
                    self._routing.gets_all = True
                elif not _is_plain_console(handler):
                    continue
                if not reaches_root and not _has_intercept(target):
                    self._add(target, InterceptHandler(handler.level))
                if recipe or self._to_console:
                    target.removeHandler(handler)
                    self._removed.append((target, handler))

    def undo(self) -> None:
        """Restore handlers and levels, except those that were changed since by other code."""
        for target, handler in self._handlers:
            target.removeHandler(handler)
        for target, handler in self._removed:
            if handler not in target.handlers:
                target.addHandler(handler)
        later = _in_force[_in_force.index(self) + 1 :] if self in _in_force else []
        for target, level in reversed(self._levels):
            # Whoever changed it since has this one's level to put back, and not the one before.
            if not any(one._inherit_level(target, level) for one in later):
                target.setLevel(level)
        if self in _in_force:
            _in_force.remove(self)
        if self._captures_warnings:
            logging.captureWarnings(False)
        self._routing.undo()

    def _add(self, target: logging.Logger, handler: logging.Handler) -> None:
        target.addHandler(handler)
        self._handlers.append((target, handler))

    def _set_level(self, target: logging.Logger, level: int) -> None:
        self._levels.append((target, target.level))
        target.setLevel(level)

    def _inherit_level(self, target: logging.Logger, level: int) -> bool:
        """Take over the level that a logger had before, from an interception that is undone.

        Returns:
            Whether this one has set the logger's level.
        """
        for index, (own, _) in enumerate(self._levels):
            if own is target:
                self._levels[index] = own, level
                return True
        return False


def _loggers() -> Iterator[logging.Logger]:
    yield logging.getLogger()
    for one in list(logging.getLogger().manager.loggerDict.values()):
        if isinstance(one, logging.Logger):
            yield one


def _reaches_root(target: logging.Logger) -> bool:
    current: logging.Logger | None = target
    while current is not None and current.parent is not None:
        if not current.propagate:
            return False
        current = current.parent
    return True


def _has_intercept(target: logging.Logger) -> bool:
    """Whether records of this logger already reach one of our handlers."""
    current: logging.Logger | None = target
    while current is not None:
        if any(isinstance(handler, InterceptHandler) for handler in current.handlers):
            return True
        current = current.parent if current.propagate else None
    return False


def _is_plain_console(handler: Any) -> bool:
    return type(handler) is logging.StreamHandler and is_console(handler.stream)


def _is_the_recipe(handler: logging.Handler) -> bool:
    kind = type(handler)
    return kind.__name__ == InterceptHandler.__name__ and kind is not InterceptHandler


def is_console(stream: object) -> bool:
    """Whether a stream is the process's standard output or error."""
    return any(
        stream is console
        for console in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)
        if console is not None
    )

"""Bringing the lines of the standard library's ``logging`` into Loguru.

A handler on the root logger hands each record to Loguru, with the name, function, line, time
and thread that the record itself tells. What else is on the root logger (Sentry, pytest's
capture, a file) stays, with one exception: a plain `logging.StreamHandler` to standard output
or error would print every line once more, as text without ids, and Datadog reads both. Where
our lines go to the console such handlers are taken off, from the root logger and from any
other (ddtrace's has one, uvicorn's two that do not propagate, which is why their place is then
taken by ours), and `Interception.undo` puts them back. Subclasses are left alone: nobody knows
what else they do. An ``InterceptHandler`` after the recipe in Loguru's documents does what ours
does, so that each line would come twice: it is taken off in the same way.
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
from pipecat_dd.export.logs.feeding import is_sinks_work
from pipecat_dd.export.logs.forking import forks, hold_back
from pipecat_dd.export.logs.passing import FromLogging, Passing, log_as
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

# What a LogRecord has without anybody's ``extra=``.
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
"""Libraries that at DEBUG print each packet or span, or whole requests with what was said.

They are held at INFO, also where everything else is at DEBUG, unless ``levels`` names them.
"""


class InterceptHandler(logging.Handler):
    """Hands records of the standard library's ``logging`` to Loguru."""

    def __init__(self, level: int = logging.NOTSET) -> None:
        super().__init__(level)
        self._busy = threading.local()

    def emit(self, record: logging.LogRecord) -> None:
        """Hand one record to Loguru, unless it comes from there."""
        failed = None
        if record.name == failed_tasks.LOGGER:
            failed = failed_tasks.told(str(record.msg))
        # The stack tells of Loguru at work; the flag is for a Loguru that no longer can.
        if getattr(self._busy, "now", False) or is_sinks_work() or _loguru.is_writing():
            if failed is not None:
                failed.run_later(partial(self._hand_over, record))
            return
        if failed is not None:
            failed.run(partial(self._hand_over, record))
        else:
            self._hand_over(record)

    def _hand_over(self, record: logging.LogRecord) -> None:
        if forks():
            hold_back(partial(self._hand_over, record))
            return
        self._busy.now = True
        try:
            _hand_over(record)
        except Exception as error:  # the code that logged must not learn of it
            report_once("a line of the standard library's logging is lost", error)
        finally:
            self._busy.now = False


def _hand_over(record: logging.LogRecord) -> None:
    message, exc_info = "", record.exc_info
    structured = of_record(record)
    if structured is not None and structured.text is not None:
        message = structured.text
    else:
        message = _message_of(record)
    if structured is not None and not exc_info:
        exc_info = structured.exc_info
    is_triple = isinstance(exc_info, tuple) and len(exc_info) == 3 and exc_info[0] is not None
    exception = exc_info if is_triple or isinstance(exc_info, BaseException) else None

    def as_recorded(made: "Record") -> None:
        _copy(record, made, structured)

    # By name where Loguru knows it as the same; else by number, and named in the copy.
    level: str | int = max(record.levelno, 0)  # Loguru knows none below
    try:
        if logger.level(record.levelname).no == record.levelno:
            level = record.levelname
    except ValueError:
        pass
    written = logger.opt(exception=exception).patch(as_recorded)
    log_as(record.name)(written, level, message)


def _message_of(record: logging.LogRecord) -> str:
    """Return a record's message; where its arguments do not fit it, or fail, what there is."""
    with suppress(Exception):
        return record.getMessage()
    message, args = readable(record.msg), record.args
    if isinstance(args, tuple):
        args = tuple(_Readable(one) for one in args)
    return f"{message} {readable(args, repr)}" if args else message


class _Readable(NamedTuple):
    """Has a value within a tuple written so that it never fails."""

    value: Any

    def __repr__(self) -> str:
        return readable(self.value, repr)


def _copy(record: logging.LogRecord, made: "Record", structured: Structured | None) -> None:
    """Let a Loguru record say what the standard library's said, and not where we are."""
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
    # Loguru's own kind of datetime: people's text formats depend on it.
    with suppress(Exception):  # made by hand, without one: then it is now
        made["time"] = type(made["time"]).fromtimestamp(record.created, made["time"].tzinfo)
    extra = made["extra"]
    extra.update(named_values(record) if structured is None else structured.values)
    for key, value in record.__dict__.items():
        if key not in _STANDARD and not (structured is not None and is_structlogs(key)):
            extra[key] = value
    if record.stack_info:
        extra["stack_info"] = record.stack_info


_in_force: "Final[list[Interception]]" = []
"""One may be made while another is in force: a test captures a bot that configures its logging."""


class Interception:
    """The changes made to the standard library's loggers, and how to undo them.

    Args:
        level: The least severity the root logger lets through.
        levels: The least severity of loggers, by name.
        sink: Where our lines go.
    """

    def __init__(self, level: int, levels: Mapping[str, int], sink: object) -> None:
        self._to_console = is_console(sink)
        self._passing = Passing(sink)
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
        """Take console handlers off again: a web server may have set its up since."""
        root = logging.getLogger()
        if not _has_intercept(root):
            self._add(root, InterceptHandler())
        for target in _loggers():
            reaches_root = _reaches_root(target)
            for handler in list(target.handlers):
                recipe = _is_the_recipe(handler)
                if recipe:
                    self._passing.gets_all = True
                elif not _is_plain_console(handler):
                    continue
                if not reaches_root and not _has_intercept(target):
                    self._add(target, InterceptHandler(handler.level))
                if recipe or self._to_console:
                    target.removeHandler(handler)
                    self._removed.append((target, handler))

    def undo(self) -> None:
        """Put handlers and levels back as they were, but for what others changed since."""
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
        self._passing.undo()

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
    """Tell whether a record of this logger comes by one of our handlers already."""
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
    """Tell whether a stream is the process's standard output or error."""
    return any(
        stream is console
        for console in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)
        if console is not None
    )

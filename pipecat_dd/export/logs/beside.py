"""Writes lines for Datadog in addition to the bot's own lines, which stay unchanged.

`configure_logging` takes over a program's logging. Here the program's sinks, levels and handlers
stay as they are: the terminal goes on showing what it showed. One more handler of Loguru's gets
each line, and records of the standard library's ``logging`` that pass its levels are copied where
``logging`` calls its handlers (Sentry's integration does the same). A handler on the root logger
would turn off ``logging``'s last resort and the bot's own ``basicConfig``.
"""

import logging
from collections.abc import Callable
from datetime import datetime
from functools import wraps
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from loguru import logger

from pipecat_dd import _guard, _loguru
from pipecat_dd.export.logs.failing import report_failures_of_ours
from pipecat_dd.export.logs.line import LineMaker
from pipecat_dd.export.logs.sink_work import is_sink_work
from pipecat_dd.export.logs.stdlib import QUIET, fields_of, is_passed_to_loguru, message_of
from pipecat_dd.export.logs.template import json_format
from pipecat_dd.export.redaction import in_force
from pipecat_dd.export.shipping.notices import is_ours

if TYPE_CHECKING:
    from loguru import Message, Record


class _RecordedException(NamedTuple):
    """An exception as Loguru's records hold it."""

    type: Any
    value: Any
    traceback: Any


class LinesBeside:
    """Passes each line on as JSON.

    Args:
        put: Gets each line, without a newline, in the thread that logs. It must not block.
        level: The lowest severity that is passed on.

    Attributes:
        handler_id: Loguru's id of the handler; None while there is none.
    """

    def __init__(self, put: Callable[[str], None], level: int) -> None:
        self._put = put
        self._level = level
        self._make = LineMaker(in_force())
        self.handler_id: int | None = None

    def begin(self) -> None:
        """Pass lines on from now on, also after the bot has removed all handlers."""
        if self.handler_id is not None and _loguru.has_handler(self.handler_id):
            return
        report_failures_of_ours()
        # As of now: the bot may have called `configure_logging` with rules of its own.
        self._make = LineMaker(in_force())
        self.handler_id = logger.add(
            self._write,
            level=self._level,
            format=json_format(lambda record: self._make(record), ""),
            filter=lambda record: not is_ours(record["name"]),
            colorize=False,
            backtrace=False,
            diagnose=False,
        )
        _receive_from_logging(self)

    def end(self) -> None:
        """Pass on no more lines."""
        if self in _receivers:
            _receivers.remove(self)
        if self.handler_id is not None and _loguru.has_handler(self.handler_id):
            logger.remove(self.handler_id)
        self.handler_id = None

    def _write(self, message: "Message") -> None:
        self._put(str(message))

    def take(self, record: logging.LogRecord) -> None:
        """Pass on a record of ``logging``."""
        if record.levelno >= self._least(record.name) and not is_ours(record.name):
            self._put(self._make(_as_loguru_has_it(record)))

    def _least(self, name: str) -> int:
        is_quiet = name.partition(".")[0] in QUIET
        return max(self._level, logging.INFO) if is_quiet else self._level


_receivers: Final[list[LinesBeside]] = []
_is_patched = False


def _receive_from_logging(one: LinesBeside) -> None:
    global _is_patched
    if one not in _receivers:
        _receivers.append(one)
    if _is_patched:
        return
    _is_patched = True
    kind: Any = logging.Logger
    original = kind.callHandlers

    @wraps(original)
    def call_handlers(self: logging.Logger, record: logging.LogRecord) -> Any:
        result = original(self, record)
        if _receivers:
            try:
                _copy(self, record)
            except Exception as error:  # it must not reach the code that logged
                _guard.lines.failed(error)
        return result

    kind.callHandlers = call_handlers


def _copy(source: logging.Logger, record: logging.LogRecord) -> None:
    # What reaches Loguru reaches our handler there.
    if is_passed_to_loguru(source) or is_sink_work() or _loguru.is_writing():
        return
    for one in list(_receivers):
        one.take(record)


def _as_loguru_has_it(record: logging.LogRecord) -> "Record":
    text, values, exc_info = fields_of(record)
    exception = None
    if isinstance(exc_info, tuple) and len(exc_info) == 3 and exc_info[0] is not None:
        exception = _RecordedException(*exc_info)
    elif isinstance(exc_info, BaseException):
        exception = _RecordedException(type(exc_info), exc_info, exc_info.__traceback__)
    made: Any = {
        "time": datetime.fromtimestamp(record.created).astimezone(),
        "level": SimpleNamespace(name=record.levelname, no=max(record.levelno, 0)),
        "name": record.name,
        "function": record.funcName or "",
        "line": record.lineno,
        "file": SimpleNamespace(name=record.filename, path=record.pathname),
        "message": message_of(record) if text is None else text,
        "extra": values,
        "exception": exception,
    }
    return made  # type: ignore[no-any-return]

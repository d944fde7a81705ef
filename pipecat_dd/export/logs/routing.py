"""Decides which of the user's own sinks get lines that were not logged with Loguru.

A record of ``logging`` that is passed to Loguru reaches all of Loguru's sinks. Some of these have
the record already, or get it twice: Sentry has integrations for both ``logging`` and Loguru, a
handler that sends to a collector may be added to both, and a sink may propagate Loguru's lines to
``logging``. So such a line does not reach

* a ``logging.Handler`` that was added to Loguru, unless it writes to a file or stream,
* Sentry's own sinks,
* a sink that writes to where a handler of ``logging`` has written the record.

If a sink passes the line to ``logging`` again, it is ignored there. If the user already routes
``logging`` to Loguru, with the ``InterceptHandler`` of Loguru's documentation, all sinks get all
lines, as they did without us.

Lines about uncaught exceptions (`Uncaught`) do not reach Sentry, which has its own hooks.
"""

import logging
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from types import FunctionType
from typing import Any, Final

from pipecat_dd import _loguru

_REMEMBERED: Final = 4096
_SENTRY: Final = "sentry_sdk"


class FromLogging(str):
    """The name of a record of ``logging``. Its type marks the line as not logged with Loguru."""

    __slots__ = ()


class Uncaught(FromLogging):
    """The name of the module that raised an uncaught exception."""

    __slots__ = ()


def log_as(name: str) -> Callable[[Any, str | int, str], None]:
    """Return a function that logs with Loguru as if a module of this name did.

    ``logger.disable(name)`` applies to the module whose code calls Loguru. That has to be the
    library whose record it is, not this module.

    Returns:
        A function of the logger, the level and the message.
    """
    log = _log_as.get(name)
    if log is None:
        if len(_log_as) >= _REMEMBERED:  # a program may generate names without end
            _log_as.clear()
        log = _log_as[name] = FunctionType(_log.__code__, {"__name__": name}, "log")
    return log


_log_as: dict[str, Callable[[Any, str | int, str], None]] = {}


def _log(logger: Any, level: str | int, message: str) -> None:
    logger.log(level, message)


_written: ContextVar[str | None] = ContextVar("pipecat_dd_written", default=None)
"""The message of a record of ``logging`` while a sink of Loguru's writes it."""


class Routing:
    """Decides which sinks get such lines, until `undo`.

    Args:
        own: The sink of `configure_logging`, which gets all lines.

    Attributes:
        gets_all: Whether all sinks get all lines, as with the user's own ``InterceptHandler``.
    """

    def __init__(self, own: object) -> None:
        self._own = own
        self.gets_all = False
        if not _active:
            _ignore_returning_records()
        _active.append(self)
        _loguru.intercept_writes(FromLogging, _write)

    def undo(self) -> None:
        """Let all sinks get all lines again."""
        _active.remove(self)
        if not _active and logging.Logger.handle is _patched_handle:
            logging.Logger.handle = _original_handle  # type: ignore[method-assign]

    def lets_through(self, sink: Any, name: FromLogging, level: int) -> bool:
        """Whether a sink gets a line.

        Args:
            sink: What was passed to ``logger.add``.
            name: The record's name.
            level: The record's severity.
        """
        if sink is self._own:
            return True
        is_uncaught = type(name) is Uncaught
        if self.gets_all and not is_uncaught:
            return True
        if str(getattr(sink, "__module__", "")).partition(".")[0] == _SENTRY:
            return False
        if isinstance(sink, logging.Handler):
            if not _is_file_or_stream(sink):
                return False
        elif is_uncaught:
            return True
        return is_uncaught or not _is_written_to_by_logging(_targets(sink), name, level)


_active: list[Routing] = []


def _write(sink: Any, message: Any, write: Callable[[], None]) -> None:
    record = message.record
    name, level = record["name"], record["level"].no
    if _active and not any(one.lets_through(sink, name, level) for one in _active):
        return
    token = _written.set(record["message"])
    try:
        write()
    finally:
        _written.reset(token)


_original_handle = logging.Logger.handle
_patched_handle: Callable[[logging.Logger, logging.LogRecord], None] | None = None


def _ignore_returning_records() -> None:
    """Have ``logging`` ignore its own records when a sink of Loguru's passes them back."""
    global _original_handle, _patched_handle
    original = _original_handle = logging.Logger.handle

    def handle(self: logging.Logger, record: logging.LogRecord) -> None:
        if _written.get() is None or not _is_returning(record):
            original(self, record)

    _patched_handle = logging.Logger.handle = handle  # type: ignore[method-assign]


def _is_returning(record: logging.LogRecord) -> bool:
    """Whether a record repeats the record of ``logging`` that a sink is writing."""
    written = _written.get()
    try:
        return written is not None and written != "" and written in record.getMessage()
    except Exception:
        return False


def _is_file_or_stream(handler: logging.Handler) -> bool:
    is_of_logging = type(handler).__module__.partition(".")[0] == "logging"
    return is_of_logging and isinstance(handler, logging.StreamHandler)


def _is_written_to_by_logging(targets: list[Any], name: str, level: int) -> bool:
    return any(
        handler.level <= level
        and any(one is other for one in _targets(handler) for other in targets)
        for handler in _handlers_of(name)
    )


def _targets(sink: Any) -> list[Any]:
    """Return a sink or handler, and the stream that it writes to, if any."""
    stream = getattr(sink, "stream", None) if isinstance(sink, logging.StreamHandler) else None
    return [sink] if stream is None else [sink, stream]


def _handlers_of(name: str) -> Iterator[logging.Handler]:
    current: logging.Logger | None = logging.getLogger(None if name == "root" else name)
    while current is not None:
        yield from current.handlers
        current = current.parent if current.propagate else None

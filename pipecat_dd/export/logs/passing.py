"""Which of the user's own sinks get a line that nobody logged with Loguru.

A record of ``logging`` that is handed to Loguru reaches all of Loguru's sinks. Some of them are
part of ``logging`` themselves, or lead back to it: Sentry has an integration for each and both are
on, a handler that sends to a collector is given to both worlds, a sink propagates to ``logging``
what Loguru writes. All those have the record already, or get it once more. So such a line is kept
from

* a ``logging.Handler`` that was given to Loguru, but for one that writes to a file or stream of
  its own,
* Sentry's own sinks,
* a sink that writes to where a handler of ``logging`` has written the record,

and what a sink gives to ``logging`` of it, ends there. Where the user has brought ``logging`` into
Loguru already, by the ``InterceptHandler`` of Loguru's documents, all sinks get all lines: so it
was without us.

What nobody caught (`Uncaught`) is a line of ours alone: Sentry has hooks for it too.
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
    """The name that a record of ``logging`` comes from: by it a sink's line is known as one."""

    __slots__ = ()


class Uncaught(FromLogging):
    """The name of the module in which something was raised that nobody caught."""

    __slots__ = ()


def log_as(name: str) -> Callable[[Any, str | int, str], None]:
    """Return a function that logs with Loguru as if a module of this name did.

    ``logger.disable(name)`` goes by the name of the module whose code calls Loguru, and has to hold
    for the library whose record it is, and not for us.

    Args:
        name: The module's name.

    Returns:
        A function of the logger, the level and the message.
    """
    log = _log_as.get(name)
    if log is None:
        if len(_log_as) >= _REMEMBERED:  # names made up at run time must not pile up
            _log_as.clear()
        log = _log_as[name] = FunctionType(_log.__code__, {"__name__": name}, "log")
    return log


_log_as: dict[str, Callable[[Any, str | int, str], None]] = {}


def _log(logger: Any, level: str | int, message: str) -> None:
    logger.log(level, message)


_written: ContextVar[str | None] = ContextVar("pipecat_dd_written", default=None)
"""The message of a record of ``logging`` that a sink of Loguru's is writing."""


class Passing:
    """Decides which sinks get such lines, as long as it is in force.

    Args:
        own: The sink of ours.

    Attributes:
        gets_all: Whether the user's own ``InterceptHandler`` has brought all lines to all sinks.
    """

    def __init__(self, own: object) -> None:
        self._own = own
        self.gets_all = False
        if not _in_force:
            _end_what_comes_back()
        _in_force.append(self)
        _loguru.stand_before_sinks(FromLogging, _write)

    def undo(self) -> None:
        """Let all sinks have what they get."""
        _in_force.remove(self)
        if not _in_force and logging.Logger.handle is _handles:
            logging.Logger.handle = _handled_before  # type: ignore[method-assign]

    def lets_through(self, sink: Any, name: FromLogging, level: int) -> bool:
        """Tell whether a sink gets a line.

        Args:
            sink: What was given to ``logger.add``.
            name: The name that the line comes from.
            level: Its severity.
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
        return is_uncaught or not _is_written_to_by_logging(_places(sink), name, level)


_in_force: list[Passing] = []


def _write(sink: Any, message: Any, write: Callable[[], None]) -> None:
    record = message.record
    name, level = record["name"], record["level"].no
    if _in_force and not any(one.lets_through(sink, name, level) for one in _in_force):
        return
    token = _written.set(record["message"])
    try:
        write()
    finally:
        _written.reset(token)


_handled_before = logging.Logger.handle
_handles: Callable[[logging.Logger, logging.LogRecord], None] | None = None


def _end_what_comes_back() -> None:
    """Have ``logging`` leave out what sinks give it of records that it has handled itself."""
    global _handled_before, _handles
    before = _handled_before = logging.Logger.handle

    def handle(self: logging.Logger, record: logging.LogRecord) -> None:
        if _written.get() is None or not _is_written_already(record):
            before(self, record)

    _handles = logging.Logger.handle = handle  # type: ignore[method-assign]


def _is_written_already(record: logging.LogRecord) -> bool:
    """Tell whether a record says once more what a sink is writing, and what logging has had."""
    written = _written.get()
    try:
        return written is not None and written != "" and written in record.getMessage()
    except Exception:
        return False


def _is_file_or_stream(handler: logging.Handler) -> bool:
    is_of_logging = type(handler).__module__.partition(".")[0] == "logging"
    return is_of_logging and isinstance(handler, logging.StreamHandler)


def _is_written_to_by_logging(places: list[Any], name: str, level: int) -> bool:
    return any(
        handler.level <= level
        and any(here is there for here in _places(handler) for there in places)
        for handler in _handlers_of(name)
    )


def _places(sink: Any) -> list[Any]:
    """Return what a sink, or a handler, is and where it writes to."""
    stream = getattr(sink, "stream", None) if isinstance(sink, logging.StreamHandler) else None
    return [sink] if stream is None else [sink, stream]


def _handlers_of(name: str) -> Iterator[logging.Handler]:
    current: logging.Logger | None = logging.getLogger(None if name == "root" else name)
    while current is not None:
        yield from current.handlers
        current = current.parent if current.propagate else None

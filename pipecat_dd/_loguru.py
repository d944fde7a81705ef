"""The only module that uses private parts of Loguru.

Everything else in this package uses Loguru's public functions. Each private part read here has a
fallback for a version that has moved it: a future Loguru may cost a convenience, but never a line
and never an exception. Verified with Loguru 0.7.3.
"""

import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from functools import partial, wraps
from types import CodeType, FrameType
from typing import Any, Final, TypeVar

from loguru import logger

from pipecat_dd._private import peek

PRIVATE: dict[str, str] = {
    "_logger.context": "the values of `logger.contextualize()`, where Pipecat Cloud puts the "
    "session's id",
    "Logger._log": "whether Loguru is making a line further down the stack; the object that was "
    "passed as its message, and the code that logged it",
    "Handler._queued_writer": "the same, in the thread of an `enqueue=True` handler",
    "Logger._core": "the handlers",
    "Core.handlers": "the same",
    "Core.handlers_count": "the id that the next handler will get",
    "Handler._sink": "whether a handler writes to the process's standard error",
    "StreamSink._stream": "the same; also to identify a sink",
    "Handler._formatter": "whether the line that a sink failed to write was made here",
    "Handler._name": "the name of a sink that fails",
    "ErrorInterceptor.print": "replaces Loguru's report of a sink that fails, which contains the "
    "record before redaction",
    "ErrorInterceptor._handler_id": "which handler has failed",
    "AsyncSink._function": "to identify a sink: some must not get lines that come from `logging`, "
    "and none may get lines that it causes itself",
    "CallableSink._function": "the same",
    "StandardSink._handler": "the same",
    "_defaults.LOGURU_AUTOINIT": "whether Loguru's first handler is its own, or the user's",
}
"""The private parts of Loguru that are used here, and what for."""


def contextualized() -> dict[str, Any]:
    """Return the values of ``logger.contextualize()`` in this context."""
    try:
        from loguru._logger import context

        held = context.get()
    except Exception:
        return {}
    return dict(held) if isinstance(held, dict) else {}


_LOG_CODE: Final[CodeType | None] = getattr(peek(type(logger), "_log"), "__code__", None)


def _writing_codes() -> frozenset[CodeType]:
    """Return the code of the functions in which Loguru runs patchers, formats and sinks."""
    found = {getattr(peek(type(logger), "_log"), "__code__", None)}
    try:
        from loguru._handler import Handler
    except ImportError:
        pass
    else:
        found.add(getattr(peek(Handler, "_queued_writer"), "__code__", None))
    return frozenset(code for code in found if code is not None)


_WRITING_CODES: Final = _writing_codes()


def is_writing() -> bool:
    """Whether Loguru is making or writing a line further down this thread's stack.

    A record of the standard library's ``logging`` that is made there comes from a sink, a
    patcher or a format function: from the `PropagateHandler` of Loguru's documentation, or from
    ddtrace while it returns ids. Handing such a record to Loguru would recurse without end.
    The stack is inspected, since a context variable would not be set in the thread of an
    ``enqueue=True`` handler.
    """
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code in _WRITING_CODES:
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False


def is_writing_frame(frame: FrameType) -> bool:
    """Whether a frame is one of Loguru's in which it makes or writes a line."""
    return frame.f_code in _WRITING_CODES


def message_object() -> object:
    """Return the object that was passed as the message of the line that is being made.

    Loguru's record has only its text. None if this version of Loguru hides it.
    """
    frame = _log_frame()
    return None if frame is None else frame.f_locals.get("message")


def logging_frame(function: str) -> FrameType | None:
    """Return the frame of the code that logs the line that is being made.

    Args:
        function: The record's function. None is returned if the frame's function has another
            name, since a patcher may have changed the record.
    """
    frame = _log_frame()
    # That code has called ``logger.error``, which has called ``Logger._log``.
    for _ in range(2):
        frame = None if frame is None else frame.f_back
    return frame if frame is not None and frame.f_code.co_name == function else None


def _log_frame() -> FrameType | None:
    """Return the innermost frame of ``Logger._log``, in which Loguru makes a line."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code is not _LOG_CODE:
        frame = frame.f_back
    return frame


def intercept_writes(
    name: type[str], write: Callable[[Any, Any, Callable[[], None]], None]
) -> None:
    """Have a function decide whether sinks write lines with names of a certain type.

    Does nothing on later calls, or if this version of Loguru has moved its sinks.

    Args:
        name: The type of the record's name.
        write: Called with the sink as it was passed to ``logger.add``, the message, and a
            function that has the sink write it.
    """
    global _intercepts_writes
    if _intercepts_writes:
        return
    _intercepts_writes = True
    for kind, attribute in _sink_classes():
        original = peek(kind, "write")
        if callable(original):
            _intercept(kind, original, attribute, name, write)


_intercepts_writes = False


def _intercept(
    kind: Any,
    original: Callable[[Any, Any], None],
    attribute: str,
    name: type[str],
    write: Callable[[Any, Any, Callable[[], None]], None],
) -> None:
    @wraps(original)
    def intercepted(self: Any, message: Any) -> None:
        if isinstance(message.record["name"], name):
            write(peek(self, attribute, self), message, partial(original, self, message))
        else:
            original(self, message)

    kind.write = intercepted


def next_handler_id() -> int | None:
    """Return the id the next handler will get, or None if this version of Loguru hides it.

    Takes no lock, so it can be called while Loguru holds its own (in a sink's ``stop()``).
    """
    count = getattr(peek(logger, "_core"), "handlers_count", None)
    return count if isinstance(count, int) else None


def has_handler(handler_id: int) -> bool:
    """Whether there is a handler with this id now."""
    return handler_id in _handlers()


def has_handlers() -> bool:
    """Whether there is any handler; True if this version of Loguru hides them."""
    handlers = _known_handlers()
    return handlers is None or bool(handlers)


def has_only_default_handler() -> bool:
    """Whether the program has left Loguru as it is: its first handler is the only one."""
    return adds_default_handler() and list(_handlers()) == [0]


def has_own_handler() -> bool:
    """Whether a handler of this package is there: one with a marked format (see `mark`)."""
    return any(is_marked(peek(handler, "_formatter")) for handler in _handlers().values())


def writes_to_stderr(handler_id: int) -> bool:
    """Whether the handler with this id writes to the process's standard error."""
    sink = peek(_handlers().get(handler_id), "_sink")
    stream = peek(sink, "_stream")
    return stream is not None and stream in (sys.stderr, sys.__stderr__)


_NO_HANDLERS: Final[dict[int, Any]] = {}


def _known_handlers() -> dict[int, Any] | None:
    handlers = getattr(peek(logger, "_core"), "handlers", None)
    return handlers if isinstance(handlers, dict) else None


def _handlers() -> dict[int, Any]:
    handlers = _known_handlers()
    return _NO_HANDLERS if handlers is None else handlers


# Sinks that fail, and sinks that are writing


class Failure:
    """A sink has failed to write a line.

    Attributes:
        handler_id: Loguru's id of the handler; None if this version of Loguru hides it.
        sink: Loguru's name of the sink.
        is_known: Whether the handler still exists.
        format: The handler's format function; None if it has none.
        record: The record before redaction; None if it was lost in a queue.
        error: What the sink raised.
        print: Prints Loguru's own report.
    """

    __slots__ = ("error", "format", "handler_id", "is_known", "print", "record", "sink")

    def __init__(
        self,
        handler_id: Any,
        record: Any,
        error: BaseException | None,
        print_: Callable[[], None],
    ) -> None:
        handler = _handlers().get(handler_id)
        self.is_known = handler is not None
        formatter = peek(handler, "_formatter")
        self.handler_id: int | None = handler_id if isinstance(handler_id, int) else None
        self.sink = str(peek(handler, "_name", "") or "")
        self.format = formatter if callable(formatter) else None
        self.record = record
        self.error = error
        self.print = print_


_SINK_ATTRIBUTES: Final = {
    "AsyncSink": "_function",
    "CallableSink": "_function",
    "StandardSink": "_handler",
    "StreamSink": "_stream",
}
"""The attribute in which each class of Loguru's sinks keeps what was passed to ``logger.add``."""


def report_failures(report: Callable[[Failure], None]) -> None:
    """Report failures of sinks with a function, instead of Loguru's own report.

    Loguru's report prints the whole record to standard error. Does nothing if this version of
    Loguru has moved the code that prints it.

    Args:
        report: Called for each failure.
    """
    try:
        from loguru._error_interceptor import ErrorInterceptor
    except ImportError:
        return
    if not callable(original := peek(ErrorInterceptor, "print")) or is_marked(original):
        return

    @wraps(original)
    def print_(self: Any, record: Any = None, *, exception: Any = None, **_: Any) -> None:
        error = sys.exc_info()[1] if exception is None else exception
        own = partial(original, self, record, exception=exception)
        with suppress(Exception):  # an error here must not reach the code that logged
            report(Failure(peek(self, "_handler_id"), record, error, own))

    ErrorInterceptor.print = mark(print_)  # type: ignore[method-assign]


def set_while_writing(variable: ContextVar[Any]) -> None:
    """Set a variable to a sink while the sink writes, and in the tasks that it starts then.

    The variable holds what was passed to ``logger.add``: a function, a stream or a handler. Does
    nothing on later calls, or if this version of Loguru has moved its sinks.
    """
    for kind, attribute in _sink_classes():
        original = peek(kind, "write")
        if callable(original) and not is_marked(original):
            kind.write = mark(_set_during(original, attribute, variable))


def handlers() -> Mapping[int, Any]:
    """Return Loguru's handlers. Each time one is added or removed, this is a new mapping."""
    return _handlers()


def sinks(of: Mapping[int, Any]) -> list[Any]:
    """Return what was passed to ``logger.add``, for sinks that can run code of others.

    Args:
        of: The handlers by their ids.
    """
    return [
        peek(sink, attribute)
        for sink in (peek(handler, "_sink") for handler in of.values())
        if (attribute := _SINK_ATTRIBUTES.get(type(sink).__name__)) is not None
    ]


def _sink_classes() -> list[tuple[Any, str]]:
    """Return Loguru's classes of sinks that can run code of others, and their attributes."""
    try:
        from loguru import _simple_sinks as sinks
    except ImportError:
        return []
    found = [(peek(sinks, name), attribute) for name, attribute in _SINK_ATTRIBUTES.items()]
    return [(kind, attribute) for kind, attribute in found if isinstance(kind, type)]


def _set_during(original: Callable[..., Any], attribute: str, variable: ContextVar[Any]) -> Any:
    set_, reset = variable.set, variable.reset

    @wraps(original)
    def write(self: Any, message: Any) -> Any:
        sink = getattr(self, attribute, self)
        if getattr(sink, "__name__", "") == "__call__":
            sink = getattr(sink, "__self__", sink)
        token = set_(sink)
        try:
            return original(self, message)
        finally:
            reset(token)

    return write


_Function = TypeVar("_Function", bound=Callable[..., Any])


def mark(function: _Function) -> _Function:
    """Mark a function that is passed to Loguru, or that replaces one of Loguru's."""
    function.__pipecat_dd__ = True  # type: ignore[attr-defined]
    return function


def is_marked(function: Any) -> bool:
    """Whether a function was marked with `mark`."""
    return hasattr(function, "__pipecat_dd__")


def adds_default_handler() -> bool:
    """Whether Loguru itself added a handler, with id 0, when it was imported.

    It does not if ``LOGURU_AUTOINIT`` is off or if there is no standard error: the handler with
    id 0 is then the user's.
    """
    if sys.__stderr__ is None:
        return False
    try:
        from loguru import _defaults

        return bool(_defaults.LOGURU_AUTOINIT)
    except (ImportError, AttributeError):
        off = os.environ.get("LOGURU_AUTOINIT", "").strip().lower()
        return off not in ("0", "false", "no", "n", "off", "f")

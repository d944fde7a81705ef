"""The one door to what Loguru keeps to itself.

Everything else in this package uses Loguru's public functions. The few private parts needed
are looked up here, each with an answer for the day it is gone: a future Loguru then costs a
convenience, never a line and never an exception. Verified with Loguru 0.7.3.
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
    "_logger.context": "what `logger.contextualize()` holds, where Pipecat Cloud puts the "
    "session's id",
    "Logger._log": "whether a line is being made further down the stack; what was given as its "
    "message, and by which code",
    "Handler._queued_writer": "the same, in the thread of an `enqueue=True` handler",
    "Logger._core": "which handlers there are",
    "Core.handlers": "the same",
    "Core.handlers_count": "the id that the next handler will get",
    "Handler._sink": "whether a handler writes to the process's standard error",
    "StreamSink._stream": "the same; and which sink it is, or is at work",
    "Handler._formatter": "whether it is a line of ours that a sink failed to write",
    "Handler._name": "what to call a sink that fails",
    "ErrorInterceptor.print": "Loguru's report of a sink that fails, which holds "
    "the record as it was logged, with all that must not leave",
    "ErrorInterceptor._handler_id": "which handler has failed",
    "AsyncSink._function": "which sink it is: some must not get what comes from `logging`, and "
    "none is fed with its own lines",
    "CallableSink._function": "the same",
    "StandardSink._handler": "the same",
    "_defaults.LOGURU_AUTOINIT": "whether Loguru's first handler is its own, or the user's",
}
"""What is used here without being public, and what it is used for."""


def contextualized() -> dict[str, Any]:
    """Return what ``logger.contextualize()`` holds in this context."""
    try:
        from loguru._logger import context

        held = context.get()
    except Exception:
        return {}
    return dict(held) if isinstance(held, dict) else {}


_MAKES_LINES: Final[CodeType | None] = getattr(peek(type(logger), "_log"), "__code__", None)


def _codes_of_loguru_at_work() -> frozenset[CodeType]:
    """Return the code of the functions under which Loguru runs patchers, formats and sinks."""
    found = {getattr(peek(type(logger), "_log"), "__code__", None)}
    try:
        from loguru._handler import Handler
    except ImportError:
        pass
    else:
        found.add(getattr(peek(Handler, "_queued_writer"), "__code__", None))
    return frozenset(code for code in found if code is not None)


_AT_WORK: Final = _codes_of_loguru_at_work()


def is_writing() -> bool:
    """Tell whether Loguru is making or writing a line further down this thread's stack.

    A record of the standard library's ``logging`` that is made there comes from a sink, a
    patcher or a format function: the `PropagateHandler` recipe of Loguru's documents, ddtrace
    complaining while it is asked for ids. Handing it to Loguru once more would never end. The
    stack is what tells: it holds in the thread of an ``enqueue=True`` handler too, where no
    variable of ours was set.
    """
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code in _AT_WORK:
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False


def is_of_loguru(frame: FrameType) -> bool:
    """Tell whether a frame is one of Loguru's own, under which it makes or writes a line."""
    return frame.f_code in _AT_WORK


def message_given() -> object:
    """Return what was given as the message of the line that is being made.

    Loguru's record has the text of it alone. None where Loguru no longer shows it.
    """
    frame = _frame_at_work()
    return None if frame is None else frame.f_locals.get("message")


def logging_frame(function: str) -> FrameType | None:
    """Return the frame of the code that logs the line that is being made.

    Args:
        function: What its record says that the function is called: a record that was made to say
            otherwise has no frame.
    """
    frame = _frame_at_work()
    # It has called ``logger.error``, which has called what makes the line.
    for _ in range(2):
        frame = None if frame is None else frame.f_back
    return frame if frame is not None and frame.f_code.co_name == function else None


def _frame_at_work() -> FrameType | None:
    """Return the innermost frame in which Loguru makes a line."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code is not _MAKES_LINES:
        frame = frame.f_back
    return frame


def stand_before_sinks(
    name: type[str], write: Callable[[Any, Any, Callable[[], None]], None]
) -> None:
    """Have lines from certain names written by a function, in place of the sinks.

    Does nothing the second time, nor where Loguru has moved its sinks.

    Args:
        name: The type of such names.
        write: Called with the sink, as it was given to ``logger.add``, the message, and what
            writes it.
    """
    global _is_before_sinks
    if _is_before_sinks:
        return
    _is_before_sinks = True
    for kind, given in _kinds_of_sinks():
        before = peek(kind, "write")
        if callable(before):
            _stand_before(kind, before, given, name, write)


_is_before_sinks = False


def _stand_before(
    kind: Any,
    before: Callable[[Any, Any], None],
    given: str,
    name: type[str],
    write: Callable[[Any, Any, Callable[[], None]], None],
) -> None:
    @wraps(before)
    def instead(self: Any, message: Any) -> None:
        if isinstance(message.record["name"], name):
            write(peek(self, given, self), message, partial(before, self, message))
        else:
            before(self, message)

    kind.write = instead


def next_handler_id() -> int | None:
    """Return the id the next handler will get, or None where Loguru no longer tells.

    Takes no lock, so it can be asked while Loguru holds its own (in a sink's ``stop()``).
    """
    count = getattr(peek(logger, "_core"), "handlers_count", None)
    return count if isinstance(count, int) else None


def has_handler(handler_id: int) -> bool:
    """Tell whether a handler of this id is there now."""
    return handler_id in _handlers()


def has_handlers() -> bool:
    """Tell whether there is any handler; where Loguru no longer tells, it is taken to have one."""
    handlers = _known_handlers()
    return handlers is None or bool(handlers)


def has_handler_of_ours() -> bool:
    """Tell whether a handler writes lines of ours (see `mark`)."""
    return any(is_marked(peek(handler, "_formatter")) for handler in _handlers().values())


def writes_to_stderr(handler_id: int) -> bool:
    """Tell whether the handler of this id writes to the process's standard error."""
    sink = peek(_handlers().get(handler_id), "_sink")
    stream = peek(sink, "_stream")
    return stream is not None and stream in (sys.stderr, sys.__stderr__)


_NONE: Final[dict[int, Any]] = {}


def _known_handlers() -> dict[int, Any] | None:
    handlers = getattr(peek(logger, "_core"), "handlers", None)
    return handlers if isinstance(handlers, dict) else None


def _handlers() -> dict[int, Any]:
    handlers = _known_handlers()
    return _NONE if handlers is None else handlers


# Whose lines they are that a handler writes, and what becomes of a sink that fails


class Failure:
    """A sink has failed to write a line.

    Attributes:
        handler_id: Loguru's id of the handler; None where Loguru no longer tells.
        sink: What Loguru calls the sink.
        is_known: Whether the handler is still there.
        format: The handler's format function; None where it has none.
        record: The record as it was logged; None where it was lost in a queue.
        error: What was raised.
        print: Prints Loguru's own report of it.
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
        made_by = peek(handler, "_formatter")
        self.handler_id: int | None = handler_id if isinstance(handler_id, int) else None
        self.sink = str(peek(handler, "_name", "") or "")
        self.format = made_by if callable(made_by) else None
        self.record = record
        self.error = error
        self.print = print_


_GIVEN: Final = {
    "AsyncSink": "_function",
    "CallableSink": "_function",
    "StandardSink": "_handler",
    "StreamSink": "_stream",
}
"""Where Loguru's kinds of sinks keep what was given to ``logger.add``."""


def report_failures(report: Callable[[Failure], None]) -> None:
    """Have failures of sinks reported by a function, in place of Loguru's own report.

    Loguru prints the whole record to standard error. Does nothing where Loguru has moved what
    prints it.

    Args:
        report: Reports one.
    """
    try:
        from loguru._error_interceptor import ErrorInterceptor
    except ImportError:
        return
    if not callable(before := peek(ErrorInterceptor, "print")) or is_marked(before):
        return

    @wraps(before)
    def print_(self: Any, record: Any = None, *, exception: Any = None, **_: Any) -> None:
        error = sys.exc_info()[1] if exception is None else exception
        own = partial(before, self, record, exception=exception)
        with suppress(Exception):  # the code that logged must not learn of it
            report(Failure(peek(self, "_handler_id"), record, error, own))

    ErrorInterceptor.print = mark(print_)  # type: ignore[method-assign]


def name_sinks_at_work(at_work: ContextVar[Any]) -> None:
    """Have a variable hold a sink while Loguru has it write, and in all that it starts then.

    It holds what was given to ``logger.add``: the function, the stream, the handler. Does
    nothing the second time, and nothing where Loguru has moved its sinks.

    Args:
        at_work: The variable.
    """
    for kind, given in _kinds_of_sinks():
        before = peek(kind, "write")
        if callable(before) and not is_marked(before):
            kind.write = mark(_naming(before, given, at_work))


def handlers() -> Mapping[int, Any]:
    """Return Loguru's handlers: another mapping each time that one comes or goes."""
    return _handlers()


def sinks(of: Mapping[int, Any]) -> list[Any]:
    """Return what was given to ``logger.add`` as sinks, where that can run code of others.

    Args:
        of: The handlers.
    """
    sinks = [peek(handler, "_sink") for handler in of.values()]
    return [peek(sink, _GIVEN[kind]) for sink in sinks if (kind := type(sink).__name__) in _GIVEN]


def _kinds_of_sinks() -> list[tuple[Any, str]]:
    """Return Loguru's kinds of sinks that can run code of others, and where they keep it."""
    try:
        from loguru import _simple_sinks as sinks
    except ImportError:
        return []
    found = [(peek(sinks, kind), given) for kind, given in _GIVEN.items()]
    return [(kind, given) for kind, given in found if isinstance(kind, type)]


def _naming(before: Callable[..., Any], given: str, at_work: ContextVar[Any]) -> Any:
    set_, reset = at_work.set, at_work.reset

    @wraps(before)
    def write(self: Any, message: Any) -> Any:
        sink = getattr(self, given, self)
        if getattr(sink, "__name__", "") == "__call__":
            sink = getattr(sink, "__self__", sink)
        token = set_(sink)
        try:
            return before(self, message)
        finally:
            reset(token)

    return write


_Function = TypeVar("_Function", bound=Callable[..., Any])


def mark(function: _Function) -> _Function:
    """Mark a function that we give to Loguru, or have put in the place of one of Loguru's."""
    function.__pipecat_dd__ = True  # type: ignore[attr-defined]
    return function


def is_marked(function: Any) -> bool:
    """Tell whether a function is one that was marked."""
    return hasattr(function, "__pipecat_dd__")


def has_first_handler_of_its_own() -> bool:
    """Tell whether Loguru has added a handler itself when it was imported, as id 0.

    It has not where ``LOGURU_AUTOINIT`` is off or there is no standard error: the first handler
    is then the user's.
    """
    if sys.__stderr__ is None:
        return False
    try:
        from loguru import _defaults

        return bool(_defaults.LOGURU_AUTOINIT)
    except (ImportError, AttributeError):
        off = os.environ.get("LOGURU_AUTOINIT", "").strip().lower()
        return off not in ("0", "false", "no", "n", "off", "f")

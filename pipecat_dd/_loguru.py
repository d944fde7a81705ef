"""The one door to what Loguru keeps to itself.

Everything else in this package uses Loguru's public functions. The few private parts needed
are looked up here, each with an answer for the day it is gone: a future Loguru then costs a
convenience, never a line and never an exception. Verified with Loguru 0.7.3.
"""

import sys
from collections.abc import Callable
from functools import partial, wraps
from types import CodeType, FrameType
from typing import Any, Final

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
    "StreamSink._stream": "the same; and which sink it is",
    "AsyncSink._function": "which sink it is: some must not get what comes from `logging`",
    "CallableSink._function": "the same",
    "StandardSink._handler": "the same",
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
    found = {_MAKES_LINES}
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


_SINKS: Final = {
    "AsyncSink": "_function",
    "CallableSink": "_function",
    "StandardSink": "_handler",
    "StreamSink": "_stream",
}
"""Loguru's kinds of sinks that can run code of others, and where they keep what they were given."""


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
    try:
        from loguru import _simple_sinks as sinks
    except ImportError:
        return
    for kind, given in _SINKS.items():
        sink = peek(sinks, kind)
        before = peek(sink, "write")
        if isinstance(sink, type) and callable(before):
            _stand_before(sink, before, given, name, write)


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


def writes_to_stderr(handler_id: int) -> bool:
    """Tell whether the handler of this id writes to the process's standard error."""
    sink = peek(_handlers().get(handler_id), "_sink")
    stream = peek(sink, "_stream")
    return stream is not None and stream in (sys.stderr, sys.__stderr__)


def _handlers() -> dict[int, Any]:
    handlers = getattr(peek(logger, "_core"), "handlers", None)
    return handlers if isinstance(handlers, dict) else {}

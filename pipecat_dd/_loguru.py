"""The one door to what Loguru keeps to itself.

Everything else in this package uses Loguru's public functions. The few private parts needed
are looked up here, each with an answer for the day it is gone: a future Loguru then costs a
convenience, never a line and never an exception. Verified with Loguru 0.7.3.
"""

import sys
from types import CodeType, FrameType
from typing import Any, Final

from loguru import logger

from pipecat_dd._private import peek

PRIVATE: dict[str, str] = {
    "_logger.context": "what `logger.contextualize()` holds, where Pipecat Cloud puts the "
    "session's id",
    "Logger._log": "whether a line is being made further down the stack",
    "Handler._queued_writer": "the same, in the thread of an `enqueue=True` handler",
    "Logger._core": "which handlers there are",
    "Core.handlers": "the same",
    "Core.handlers_count": "the id that the next handler will get",
    "Handler._sink": "whether a handler writes to the process's standard error",
    "StreamSink._stream": "the same",
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

"""The one door to what Loguru keeps to itself.

Everything else in this package uses Loguru's public functions. The few private parts needed
are looked up here, each with an answer for the day it is gone: a future Loguru then costs a
convenience, never a line and never an exception. Verified with Loguru 0.7.3.
"""

import sys
from types import CodeType, FrameType
from typing import Any, Final

from loguru import logger


def _codes_of_loguru_at_work() -> frozenset[CodeType]:
    """Return the code of the functions under which Loguru runs patchers, formats and sinks."""
    found: set[CodeType] = set()
    log = getattr(type(logger), "_log", None)
    if (code := getattr(log, "__code__", None)) is not None:
        found.add(code)
    try:
        from loguru._handler import Handler

        found.add(Handler._queued_writer.__code__)
    except (ImportError, AttributeError):
        pass
    return frozenset(found)


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
    count = getattr(getattr(logger, "_core", None), "handlers_count", None)
    return count if isinstance(count, int) else None


def has_handler(handler_id: int) -> bool:
    """Tell whether a handler of this id is there now."""
    return handler_id in _handlers()


def writes_to_stderr(handler_id: int) -> bool:
    """Tell whether the handler of this id writes to the process's standard error."""
    sink = getattr(_handlers().get(handler_id), "_sink", None)
    stream = getattr(sink, "_stream", None)
    return stream is not None and stream in (sys.stderr, sys.__stderr__)


def _handlers() -> dict[int, Any]:
    handlers = getattr(getattr(logger, "_core", None), "handlers", None)
    return handlers if isinstance(handlers, dict) else {}

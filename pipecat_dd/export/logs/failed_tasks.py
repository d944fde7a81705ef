"""Whose line it is when asyncio tells of a task that failed and that nobody awaited.

asyncio learns of it when the task is deleted, mostly by the garbage collector: in the middle of
whatever happens to run. That is another session's task as likely as not, whose ids would be
wrong; and, since writing lines makes much garbage, it is Loguru in the middle of a line as
likely as not, which cannot be asked to write another. What asyncio's exception handler was
called with leads to the task, and so to the context that knows whose it was, and to the event
loop, which writes the line as soon as it comes round.
"""

import asyncio
import contextlib
import sys
from collections.abc import Callable
from contextvars import Context, copy_context
from types import FrameType
from typing import Any, Final

from pipecat_dd import _loguru
from pipecat_dd.conversation.call_stack import context_of
from pipecat_dd.conversation.context import CARRIED

LOGGER: Final = "asyncio"
"""The logger on which asyncio tells of it."""

_COLLECTED: Final = (
    "Task exception was never retrieved",
    "Future exception was never retrieved",
    "Task was destroyed but it is pending",
)
_CALLED: Final = asyncio.BaseEventLoop.call_exception_handler.__code__


class FailedTask:
    """What asyncio's exception handler was called with.

    Args:
        loop: The event loop whose handler it is; None where it is not known.
        told: What it was told.
    """

    def __init__(self, loop: Any, told: dict[str, Any]) -> None:
        self._loop = loop
        self._told = told

    def run(self, write: Callable[[], None]) -> None:
        """Write of it, in the place where the task was at work.

        What names neither a task nor a callback (a client session that was never closed) may
        come from anywhere, and has no place.

        Args:
            write: Writes the line.
        """
        self._context().run(write)

    def run_later(self, write: Callable[[], None]) -> None:
        """Do the same when the event loop comes round.

        Args:
            write: Writes the line.
        """
        with contextlib.suppress(RuntimeError):  # there is no loop, or it is closed
            loop = self._loop or asyncio.get_running_loop()
            loop.call_soon_threadsafe(write, context=self._context())

    def _context(self) -> Context:
        theirs = _context_of(self._told)
        # A copy, since a context that is entered already cannot be entered again.
        context = copy_context() if theirs is None else theirs.copy()
        if theirs is None:
            for variable in CARRIED:
                context.run(variable.set, None)
        return context


def told(message: str) -> FailedTask | None:
    """Return what asyncio's exception handler is telling of, if that is what is at work here.

    A line that Loguru has written already, and that is passed on to ``logging``, is none.

    Args:
        message: What asyncio's logger was given to write.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if _loguru.is_of_loguru(frame):
            return None
        if frame.f_code is _CALLED:
            told = frame.f_locals.get("context")
            loop = frame.f_locals.get("self")
            return FailedTask(loop, told) if isinstance(told, dict) else None
        frame = frame.f_back
    if message.startswith(_COLLECTED):
        # An event loop that is not written in Python leaves no frames: whose it was, nobody
        # knows, but not whose work was interrupted.
        return FailedTask(None, {})
    return None


def _context_of(told: dict[str, Any]) -> Context | None:
    for name in ("task", "future", "handle"):
        one = told.get(name)
        if one is None:
            continue
        found = context_of(one)
        if found is not None or hasattr(one, "get_context"):
            return found
    return None

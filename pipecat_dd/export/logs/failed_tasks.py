"""Finds the session of a task that failed and was not awaited, for asyncio's line about it.

asyncio logs such a failure when the task is deleted, usually by the garbage collector, while any
other code runs. That may be another session's task, whose ids would be wrong. It may also be
Loguru while it writes a line, since that makes much garbage, and Loguru cannot write another one
then. But asyncio's exception handler was called with the task, which has the context of its
session, and on the event loop, which can write the line a moment later.
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
"""The logger on which asyncio logs such failures."""

_MESSAGES: Final = (
    "Task exception was never retrieved",
    "Future exception was never retrieved",
    "Task was destroyed but it is pending",
)
_HANDLER_CODE: Final = asyncio.BaseEventLoop.call_exception_handler.__code__


class FailedTask:
    """A failure that asyncio's exception handler was called with.

    Args:
        loop: The event loop whose handler was called; None if unknown.
        details: The handler's argument ``context``.
    """

    def __init__(self, loop: Any, details: dict[str, Any]) -> None:
        self._loop = loop
        self._details = details

    def run(self, write: Callable[[], None]) -> None:
        """Call a function, which writes the line, in the context of the task.

        If the failure has neither a task nor a callback (a client session that was never closed),
        the function runs in a context without a session.
        """
        self._context().run(write)

    def run_later(self, write: Callable[[], None]) -> None:
        """Do the same in the next iteration of the event loop."""
        with contextlib.suppress(RuntimeError):  # no loop is running, or it is closed
            loop = self._loop or asyncio.get_running_loop()
            loop.call_soon_threadsafe(write, context=self._context())

    def _context(self) -> Context:
        found = _context_of(self._details)
        # A copy, since a context cannot be entered while it is in use.
        context = copy_context() if found is None else found.copy()
        if found is None:
            for variable in CARRIED:
                context.run(variable.set, None)
        return context


def find_failed_task(message: str) -> FailedTask | None:
    """Return the failure that asyncio's exception handler is logging; None if it does not run.

    Also None for a line that a sink of Loguru's passes on to ``logging``.

    Args:
        message: The message of the record of asyncio's logger.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if _loguru.is_writing_frame(frame):
            return None
        if frame.f_code is _HANDLER_CODE:
            details = frame.f_locals.get("context")
            loop = frame.f_locals.get("self")
            return FailedTask(loop, details) if isinstance(details, dict) else None
        frame = frame.f_back
    if message.startswith(_MESSAGES):
        # An event loop that is not written in Python has no frames. The task's session is
        # unknown then, and is not the session of the code that was interrupted.
        return FailedTask(None, {})
    return None


def _context_of(details: dict[str, Any]) -> Context | None:
    for name in ("task", "future", "handle"):
        one = details.get(name)
        if one is None:
            continue
        found = context_of(one)
        if found is not None or hasattr(one, "get_context"):
            return found
    return None

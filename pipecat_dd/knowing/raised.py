"""Whose work raised an exception that nobody caught.

When the interpreter reports one, the code that raised it is no longer on the stack, and what it
was at work for is over. Its traceback still has the frames: a method of something that a session
owns, or an event loop at work on a task, whose context says whose it was.
"""

import asyncio
import gc
from collections.abc import Callable
from contextvars import Context, copy_context
from types import CodeType, TracebackType
from typing import Any, Final

from pipecat_dd.knowing import owners
from pipecat_dd.knowing.place import Place, here

_RUN_TASKS: Final[dict[CodeType, str]] = {
    asyncio.Runner.run.__code__: "task",
    asyncio.BaseEventLoop.run_until_complete.__code__: "future",
}
"""What has an event loop run a task until it is done, and what it calls the task."""


def run_where_raised(
    error: BaseException | None, traceback: TracebackType | None, write: Callable[[], None]
) -> None:
    """Call a function in the place where an exception was raised, as far as it is known.

    Called in the thread in which it was raised.

    Args:
        error: The exception.
        traceback: Its traceback.
        write: The function.
    """
    # A copy, since a context that is entered already cannot be entered again.
    context = (_context_of_task(traceback) or copy_context()).copy()
    found = _place(error, traceback)
    if found is not None:
        context.run(here.set, found)
    context.run(write)


def _place(error: BaseException | None, traceback: TracebackType | None) -> Place | None:
    found = owners.raised(traceback)
    if found is not None:
        return Place(*found)
    if not isinstance(error, BaseExceptionGroup):
        return None
    # Raised by who waited for several: it is one session's where all that it holds is.
    places = [_place(one, one.__traceback__) for one in error.exceptions]
    first = places[0]
    is_ones = all(place is not None and place.session is first.session for place in places if first)
    return Place(first.session) if first is not None and is_ones else None


def _context_of_task(traceback: TracebackType | None) -> Context | None:
    """Return the context of the innermost task that let an exception out of its event loop."""
    context = None
    while traceback is not None:
        frame = traceback.tb_frame
        name = _RUN_TASKS.get(frame.f_code)
        if name is not None:
            context = _context_of(frame.f_locals.get(name)) or context
        traceback = traceback.tb_next
    return context


def _context_of(task: Any) -> Context | None:
    if hasattr(task, "get_context"):  # Python 3.12 on
        found = task.get_context()
        return found if isinstance(found, Context) else None
    # Before, a task has its context and shows it to none but the garbage collector.
    return next((held for held in gc.get_referents(task) if isinstance(held, Context)), None)

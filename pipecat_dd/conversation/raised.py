"""Finds the session whose work raised an exception that was not caught.

When the interpreter reports such an exception, the code that raised it is no longer on the stack,
and its work context is gone. But the traceback still has the frames. The innermost of these that is
found decides:

* a method of an object that a session owns;
* a function that has made an observer, or run a session that a helper made, from that point on;
* a thread that a session's work started.
"""

import asyncio
import weakref
from collections import OrderedDict
from collections.abc import Callable
from contextvars import copy_context
from types import CodeType, FrameType, TracebackType
from typing import Any

from pipecat_dd._forks import in_forked_processes
from pipecat_dd.conversation import stack_lookup
from pipecat_dd.conversation.call_stack import context_of, has_passed, task_run_by
from pipecat_dd.conversation.context import WorkContext, carried_by, current, leave_all, run_at
from pipecat_dd.conversation.model import Phase, Session

_MAX_MAKERS = 1024
"""How many calls of functions that made an observer are remembered; the latest are kept."""

_Maker = tuple[
    CodeType, int, "weakref.ref[Session]", str | None, "weakref.ref[asyncio.Task[Any]] | None"
]
"""A function's code and the offset of the point in it; the session, and its id once it has run; the
task, if the function awaits the run. Kept small, as it outlives the session: the function may raise
an exception after it."""

# By the id of the function's frame. Another frame may get the id of one that is gone. But only
# frames that have passed the same point are considered, and each of these made an observer there
# and so has an entry of its own.
_makers: "OrderedDict[int, list[_Maker]]" = OrderedDict()

_Where = WorkContext | str | list[Any]
"""A work context, the id of a session that is gone, or the values that a thread was given."""


@in_forked_processes
def _forget() -> None:
    _makers.clear()


def note_maker(
    session: Session, frame: FrameType, awaits_in: "asyncio.Task[Any] | None" = None
) -> int:
    """Record that a function makes a session's observer, or that it awaits the session's run.

    Args:
        session: The session.
        frame: The function's frame, at the point where it does so.
        awaits_in: The task in which the function awaits the run; None if it makes the observer.
            Another call of the function may await a run without having made an observer, so the
            task is needed to tell them apart.

    Returns:
        The id by which `note_run` finds the entry.
    """
    key, code = id(frame), frame.f_code
    others = [one for one in _makers.pop(key, ()) if one[0] is code and _is_live(one[2]())]
    session_id = None if awaits_in is None else session.id
    task = None if awaits_in is None else weakref.ref(awaits_in)
    _makers[key] = [*others, (code, frame.f_lasti, weakref.ref(session), session_id, task)]
    while len(_makers) > _MAX_MAKERS:
        _makers.popitem(last=False)
    return key


def note_run(session: Session, key: int) -> None:
    """Record that a session begins; its maker's entry keeps its id from now on.

    The key is what `note_maker` returned.
    """
    if key in _makers:
        _makers[key] = [
            (*one[:3], session.id, one[4]) if one[2]() is session else one for one in _makers[key]
        ]


def run_where_raised(
    error: BaseException | None,
    traceback: TracebackType | None,
    write: Callable[[str | None], None],
) -> None:
    """Call a function in the work context in which an exception was raised, as far as known.

    Call it in the thread in which the exception was raised.

    Args:
        error: The exception.
        traceback: The exception's traceback.
        write: The function. It gets the session's id if nothing else is left of the session, else
            None.
    """
    context, innermost = None, traceback
    while innermost is not None:
        task = task_run_by(innermost.tb_frame)
        context = context if task is None else context_of(task)
        innermost = innermost.tb_next
    # A copy, since a context that is entered already cannot be entered again.
    context = (context or copy_context()).copy()
    try:
        found = _where(error, traceback)
    except Exception:  # code that cannot be read, say: the exception is logged all the same
        found = None
    if isinstance(found, list):
        context.run(run_at, found, write, None)
        return
    # What the context itself holds was valid only while its task ran.
    context.run(leave_all)
    if isinstance(found, WorkContext):
        context.run(current.set, found)
    context.run(write, found if isinstance(found, str) else None)


def _where(error: BaseException | None, traceback: TracebackType | None) -> _Where | None:
    found, task = None, None
    while traceback is not None:
        task = task_run_by(traceback.tb_frame) or task
        found = _where_in(traceback, task) or found
        traceback = traceback.tb_next
    if found is not None or not isinstance(error, BaseExceptionGroup):
        return found
    # Raised by code that waited for several tasks: one session's if all of them are.
    several = [_where(one, one.__traceback__) for one in error.exceptions]
    return several[0] if len({_session_id(one) for one in several}) == 1 else None


def _where_in(traceback: TracebackType, task: object) -> _Where | None:
    frame = traceback.tb_frame
    owned = stack_lookup.owner_of_frame(frame)
    if owned is not None:
        return WorkContext(*owned)
    return _made_by(frame, traceback.tb_lasti, task) or carried_by(frame)


def _made_by(frame: FrameType, raised_at: int, task: object) -> _Where | None:
    """Return the session whose observer was made by the function that raised the exception."""
    found = [
        (session, session_id)
        for code, offset, held, session_id, in_task in _makers.get(id(frame), ())
        if code is frame.f_code
        and (in_task is None or in_task() is task)
        and not ((session := held()) is not None and session.is_void)
        and has_passed(code, offset, raised_at)
    ]
    found = [one for one in found if _is_live(one[0])] or found
    if len(found) != 1:
        return None
    session, session_id = found[0]
    return session_id if session is None else WorkContext(session)


def _is_live(session: Session | None) -> bool:
    return session is not None and session.phase is not Phase.ENDED


def _session_id(where: _Where | None) -> str | None:
    work = where[0] if isinstance(where, list) else where
    if isinstance(work, WorkContext):
        return None if work.session is None else work.session.id
    return work

"""Whose work raised an exception that nobody caught.

When the interpreter reports one, the code that raised it is no longer on the stack, and what it
was at work for is over. Its traceback still has the frames. The innermost of these decides:

* a method of something that a session owns;
* a function that has made an observer, or has run the session that a helper made, from there on;
* a thread that was started by a session's work.
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
"""How many calls of functions are remembered that have made an observer, the latest ones."""

_Maker = tuple[
    CodeType, int, "weakref.ref[Session]", str | None, "weakref.ref[asyncio.Task[Any]] | None"
]
"""A function's code and where in it that was; the session, and its id once it has run; the task,
where the function awaits the run. Little, since it outlives the session: the function may raise
something after it."""

# By the id of the function's frame. A frame that is gone may have had the id of one that is looked
# at: but what is looked at has passed the same point, has made an observer there, and so is here
# itself.
_makers: "OrderedDict[int, list[_Maker]]" = OrderedDict()

_Where = WorkContext | str | list[Any]
"""A place; or the id of a session that is gone; or what a thread was given along."""


@in_forked_processes
def _forget() -> None:
    _makers.clear()


def note_maker(
    session: Session, frame: FrameType, awaits_in: "asyncio.Task[Any] | None" = None
) -> int:
    """Note that a function makes a session's observer, or that it awaits the session's run.

    Args:
        session: The session.
        frame: The function's frame, where it does so.
        awaits_in: The task in which it awaits the run. Another call of the function may do so, too,
            and have made no observer: it is known by its task as well.

    Returns:
        The id by which `note_run` finds it.
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
    """Note that a session begins: from now on its id is its maker's, when it is gone, too.

    Args:
        session: The session.
        key: What `note_maker` returned.
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
    """Call a function in the place where an exception was raised, as far as it is known.

    Called in the thread in which it was raised.

    Args:
        error: The exception.
        traceback: Its traceback.
        write: The function; given the session's id where that is all that there is of it.
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
    except Exception:  # of code that cannot be read, say: it is written all the same
        found = None
    if isinstance(found, list):
        context.run(run_at, found, write, None)
        return
    # What the context itself says held while its task ran.
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
    # Raised by who waited for several: it is one session's where all that it holds is.
    several = [_where(one, one.__traceback__) for one in error.exceptions]
    return several[0] if len({_session_id(one) for one in several}) == 1 else None


def _where_in(traceback: TracebackType, task: object) -> _Where | None:
    frame = traceback.tb_frame
    owned = stack_lookup.owner_of_frame(frame)
    if owned is not None:
        return WorkContext(*owned)
    return _made_by(frame, traceback.tb_lasti, task) or carried_by(frame)


def _made_by(frame: FrameType, raised_at: int, task: object) -> _Where | None:
    """Return the session whose observer a function has made that raised something."""
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

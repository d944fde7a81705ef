"""The code that made an observer, and the task that runs it: how far their binding reaches.

An observer is made in the function that runs one call, and what that function starts inherits
the binding. But a context outlives a function: in a server that takes call after call in one
task, the next call begins in the context of the last one. So the binding holds for the very call
that made the observer:

* in the same task while that function is on the stack and has not come round again, as the body
  of a loop does: it is then where its code cannot have come to since the making without that;
* in the tasks, callbacks and threads that were started meanwhile.

When the function returns, the binding is taken out of its task's context, so that what the task
starts afterwards does not inherit it. Where a helper makes the observer (a factory, the constructor
of a class) and returns, nothing is bound until the session begins; then the function that awaits
its run is, or else the one that called the helper, unless it did so in a loop. An observer that is
made where no event loop runs binds that function alone, or that module's code. One that is made by
a module's or a class's code while one runs is made for no call.

One that many calls share may be made in a function, too: a server's `main`. Until a second call
uses it, that cannot be told from a function that runs its one call; from then on nothing is bound.
"""

import asyncio
import contextvars
import sys
import weakref
from collections.abc import Callable
from threading import get_ident
from types import FrameType
from typing import Any, cast

from pipecat_dd import _guard
from pipecat_dd.conversation import raised, stack_lookup
from pipecat_dd.conversation.call_stack import (
    CodePoint,
    awaited_by,
    awaiter,
    callers_of,
    context_of,
    frame_of,
    is_function,
    running_loop,
    running_task,
)
from pipecat_dd.conversation.context import WorkContext, current
from pipecat_dd.conversation.model import Phase, Session


class ObserverBinding:
    """One observer's making: by which code, in which task.

    Attributes:
        session: The session that it began.
        is_over: Whether it binds nothing any more.
        is_for_many: Whether more calls than one have used it: nothing is bound, and what was is
            no session's.
    """

    __slots__ = (
        "__weakref__",
        "_caller",
        "_callers",
        "_depth",
        "_frame",
        "_frame_id",
        "_in_task",
        "_mark",
        "_noted",
        "_point",
        "_suspended",
        "_task",
        "_thread_id",
        "is_for_many",
        "is_over",
        "session",
    )

    def __init__(
        self,
        session: Session,
        frame: FrameType | None,
    ) -> None:
        """Note where an observer is made.

        Args:
            session: The session that it begins.
            frame: The frame of the function that makes it.
        """
        self.session = session
        task = running_task()
        self._in_task = task is not None
        self._task: weakref.ref[asyncio.Task[Any]] | None = (
            None if task is None else weakref.ref(task)
        )
        self._thread_id = get_ident()
        self._frame: FrameType | None = None
        self._frame_id = 0
        # How far up the stack it was found last. Never 0: a frame that holds itself would hold
        # what it has found, too.
        self._depth = 1
        self._noted: int | None = None
        # Gone with the call of a function that no task runs.
        self._mark: weakref.ref[_Mark] | None = None
        self.is_for_many = False
        self._point: CodePoint | None = None
        self._suspended: weakref.ref[Any] | None = None
        # Those that called it, each where it did, and then the innermost that has not returned.
        self._callers: list[tuple[FrameType, CodePoint]] = []
        self._caller: tuple[weakref.ref[Any], CodePoint] | None = None
        # A script may hold its one call by itself; what runs in a server's loop holds many.
        self.is_over = not is_function(frame) and running_loop() is not None
        if frame is None or self.is_over:
            return
        self._point, self._frame_id = CodePoint(frame), id(frame)
        self._noted = raised.note_maker(session, frame)
        if task is not None:
            # Held until the task is suspended for the first time: then its coroutine is known,
            # which can be held weakly.
            self._frame = frame
            self._callers = list(callers_of(frame))
            task.get_loop().call_soon(self._settle, context=contextvars.Context())
            return
        # Where somebody traces the function, nothing is put in their place.
        mark: Any = frame.f_trace or _Mark()
        if isinstance(mark, _Mark):
            frame.f_trace = mark
            self._mark = weakref.ref(mark, _returning(weakref.ref(self)))

    def is_in_thread(self) -> bool:
        """Whether the code that asks runs in the thread that it was made in."""
        return get_ident() == self._thread_id

    def is_made_in(self, task: "asyncio.Task[Any] | None") -> bool:
        """Whether it was made in a task.

        Args:
            task: The task; None for no task.
        """
        if task is None or self._task is None:
            return task is None and not self._in_task
        return self._task() is task

    def is_left_by(self, task: "asyncio.Task[Any] | None") -> bool:
        """Whether a task made it, or nothing can be bound by it any more.

        Args:
            task: The task; None for no task.
        """
        if self.is_over or self.is_for_many:
            return True
        return self._in_task and self.is_made_in(task)

    def is_binding(self) -> bool:
        """Whether the code that asks belongs to the call that made it."""
        if self.is_over or self.is_for_many or self.session.is_void:
            return False
        if self._in_task:
            task = running_task()
            if task is None or self._task is None or task is not self._task():
                return True
        # Without an event loop there is that function alone. What runs in the loop that it
        # starts may be anything: a whole server.
        elif running_loop() is not None or get_ident() != self._thread_id:
            return False
        frame, point = self._frame_on_stack(), self._point
        return frame is not None and point is not None and point.precedes(frame)

    def release(self) -> None:
        """Note that the session has ended, while a function that runs no loop may go on.

        Called in the thread of the session's event loop, below which that function is.
        """
        if not self._in_task and not self.is_over:
            self.is_over = self._frame_on_stack() is None

    def rebind(self, runs: Callable[[Any], bool]) -> None:
        """Bind the function that runs the session, where the one that made it has returned.

        A helper may build the bot, and its caller run it. Called when the session begins.

        Args:
            runs: Whether an object is what runs the session: its runner or a worker.
        """
        if self._noted is not None:
            raised.note_run(self.session, self._noted)
        task = None if self._task is None else self._task()
        if self.is_over or task is None or task.done() or task is running_task():
            return
        if self._frame is not None:
            return
        if self._suspended is not None and self._suspended():
            return
        found = awaiter(task, runs)
        caller = None if self._caller is None else self._caller[0]()
        if found is not None:
            raised.note_maker(self.session, found[1], task)
            suspended, point = found[0], CodePoint(found[1])
        elif caller is not None and self._caller is not None:
            suspended, point = caller, self._caller[1]
        else:
            return
        self._point = point
        self._suspended = weakref.ref(suspended, _leaving(weakref.ref(self)))
        context = context_of(task)
        if context is not None:
            context.run(self._return)

    def _frame_on_stack(self) -> FrameType | None:
        code = None if self._point is None else self._point.code
        held = self._frame
        if held is None and self._in_task:
            suspended = None if self._suspended is None else self._suspended()
            held = None if suspended is None else frame_of(suspended)
            if held is None:
                return None
        if self._mark is not None and self._mark() is None:
            return None  # it has returned, and its frame's id may be another's
        wanted = self._frame_id if held is None else id(held)
        # To look at a frame costs: lines are written from the same depth, mostly.
        try:
            frame = sys._getframe(self._depth)
            if id(frame) == wanted and frame.f_code is code:
                return frame
        except ValueError:  # the stack is not that deep
            pass
        depth, above = 1, cast("FrameType | None", sys._getframe(1))
        while above is not None:
            if id(above) == wanted and above.f_code is code:
                self._depth = depth
                return above
            depth, above = depth + 1, above.f_back
        return None

    def _settle(self) -> None:
        """Hold the function's coroutine, weakly, instead of its frame; or find that it has ended.

        Called by the event loop, when the task that made the observer is suspended or done.
        """
        with _guard.instrumentation.guarded():
            frame, self._frame = self._frame, None
            callers, self._callers = self._callers, []
            task = None if self._task is None else self._task()
            if task is None or task.done():
                return
            awaited = {id(frame_of(one)): one for one, is_own in awaited_by(task) if is_own}
            suspended = awaited.get(id(frame))
            if suspended is not None:
                self._suspended = weakref.ref(suspended, _leaving(weakref.ref(self)))
                return
            for caller, point in callers:
                suspended = awaited.get(id(caller))
                if suspended is not None:
                    if not point.is_in_loop:
                        self._caller = weakref.ref(suspended), point
                    break
            # It has returned, and what was started by it has been.
            context = context_of(task)
            if context is not None:
                context.run(self.leave)

    def _return(self) -> None:
        """Put the binding into the context that this is called in."""
        work = current.get()
        if work is None or isinstance(work, AmbientContext):
            others = [] if work is None else [one for one in work.bindings if one.is_binding()]
            current.set(AmbientContext(*others, self, around=None if work is None else work.around))

    def leave(self) -> None:
        """Take the binding out of the context that this is called in."""
        work = current.get()
        if isinstance(work, AmbientContext) and self in work.bindings:
            others = [binding for binding in work.bindings if binding is not self]
            current.set(AmbientContext(*others, around=work.around) if others else work.around)


def _leaving(binding: "weakref.ref[ObserverBinding]") -> Callable[[Any], None]:
    def left(_: Any) -> None:
        # Called where the coroutine is let go of: as it returns, by its own task.
        with _guard.instrumentation.guarded():
            found = binding()
            if found is not None and found.is_made_in(running_task()):
                found.leave()

    return left


class _Mark:
    """Stands in a frame for as long as that is there; does nothing where somebody traces it."""

    __slots__ = ("__weakref__",)

    def __call__(self, *_: Any) -> None:
        return None


def _returning(binding: "weakref.ref[ObserverBinding]") -> Callable[[Any], None]:
    def returned(_: Any) -> None:
        with _guard.instrumentation.guarded():
            found = binding()
            if found is not None and found.is_in_thread():
                found.leave()

    return returned


class AmbientContext(WorkContext):
    """The place of the code that made an observer, or several, and of what it started.

    Attributes:
        among: The makings. If more than one is binding, none of their sessions is meant.
        around: Where that code is besides: at work for a session that starts another.
    """

    __slots__ = ("_alone", "around", "bindings")

    def __init__(self, *among: ObserverBinding, around: WorkContext | None = None) -> None:
        super().__init__(among[0].session if len(among) == 1 else None)
        self.bindings = among
        self.around = around
        self._alone = StartedContext(among[0]) if len(among) == 1 else None

    def resolve(self) -> WorkContext | None:
        """Return the place of the session that was made here; None where there is none, or two."""
        if self._alone is not None and self.bindings[0].is_binding():
            return self._alone  # as nearly always
        binding = [binding for binding in self.bindings if binding.is_binding()]
        # An older call's, that this task has been taking since, is not ambiguous.
        live = [binding for binding in binding if binding.session.phase is not Phase.ENDED]
        binding = live or binding
        if len({id(binding.session) for binding in binding}) == 1:
            return StartedContext(binding[0])
        if binding:
            return None
        if current.get() is self and self._is_left():
            current.set(self.around)
        return None if self.around is None else self.around.resolve()

    def _is_left(self) -> bool:
        """Whether the code that asks is the task's that made all of them, and so has left them."""
        task = running_task()
        return all(binding.is_left_by(task) for binding in self.bindings)


class StartedContext(WorkContext):
    """The place of what code that made an observer has started: a thread, say."""

    __slots__ = ("_making",)

    def __init__(self, binding: ObserverBinding) -> None:
        super().__init__(binding.session)
        self._making = binding

    def resolve(self) -> WorkContext | None:
        """Return this place, unless the observer turns out to be made for many calls."""
        return None if self._making.is_for_many else super().resolve()


class RunContext(WorkContext):
    """The place of a worker's own task, from which its processors' tasks descend."""

    __slots__ = ("_task",)

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        task = running_task()
        self._task = None if task is None else weakref.ref(task)

    def resolve(self) -> WorkContext | None:
        """Return this place; after the session's end, in that very task, only for the worker.

        Whoever awaits a worker's run in a task of their own may take the next call in it.
        """
        session = self.session
        if session is None or session.is_void:
            return None
        if session.phase is Phase.ENDED and self._task is not None:
            task = running_task()
            if task is not None and self._task() is task:
                found = stack_lookup.find()
                return self if found is not None and found[0] is session else None
        return self


def bind(session: Session, frame: FrameType | None) -> ObserverBinding:
    """Bind a session that is made here to the call that makes it, and to all that this starts.

    A second live session made by the same function makes that binding ambiguous: what has only
    this to go by then belongs to no session, since a wrong one is worse than none.

    Args:
        session: The session just made.
        frame: The frame of the function that makes it.
    """
    binding = ObserverBinding(session, frame)
    if binding.is_over:
        return binding
    before = current.get()
    among: tuple[ObserverBinding, ...] = ()
    around = None
    if isinstance(before, AmbientContext):
        around = before.around
        # What another task has made is that task's: here the latest is meant.
        among = tuple(
            other
            for other in before.bindings
            if other.session.phase is not Phase.ENDED
            and other.is_made_in(running_task())
            and (other.is_binding() or _made_by(other, frame))
        )
    elif before is not None and before.resolve() is not None:
        # Made by a session's own work: a bot that starts another.
        if frame is not None and stack_lookup.is_owned(frame):
            # What its processors do stays that session's; the new one is known by its own.
            return binding
        around = before
    current.set(AmbientContext(*among, binding, around=around))
    return binding


def _made_by(binding: ObserverBinding, frame: FrameType | None) -> bool:
    """Whether an observer was made by the same call of a function, in a former round of a loop."""
    return frame is not None and binding._frame_on_stack() is frame

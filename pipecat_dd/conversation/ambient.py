"""The ambient context: the session of the code that made an observer, and how far it reaches.

An observer is made in the function that runs one call, and what that function starts inherits the
binding to the session. But a context outlives a function: in a server that takes call after call in
one task, the next call begins in the context of the previous one. So the binding holds only for the
call of the function that made the observer:

* in the same task, while that function is on the stack and no loop has taken it back to the point
  where it made the observer;
* in the tasks, callbacks and threads that were started meanwhile.

When the function returns, the binding is removed from its task's context, so that what the task
starts afterwards does not inherit it.

A helper may make the observer (a factory, the constructor of a class) and return. Then nothing is
bound until the session begins. From then on the function that awaits the session's run is bound, or
else the one that called the helper, unless it did so in a loop.

An observer that is made while no event loop runs binds only the function that made it, or the
module's code. One that a module's or a class's code makes while a loop runs binds nothing.

Several calls may also share an observer that a function made, such as a server's `main`. Until a
second call uses it, this looks like a function that runs a single call; from then on nothing is
bound.
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
    SampledCode,
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
    """Binds the code that made an observer to the session that it began.

    Attributes:
        session: The session.
        is_over: Whether it no longer binds anything.
        is_for_many: Whether more than one call has used the observer. Then it binds nothing, and
            what was bound belongs to no session.
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
        """Record where an observer is made.

        Args:
            session: The session that begins with it.
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
        # How far up the stack the frame was found last. Never 0: that would be the frame of the
        # search itself, which would then keep itself alive.
        self._depth = 1
        self._noted: int | None = None
        # Dies when the function returns; used where no task runs the function.
        self._mark: weakref.ref[_Mark] | None = None
        self.is_for_many = False
        self._point: CodePoint | None = None
        self._suspended: weakref.ref[Any] | None = None
        # The functions that called it, each with the point of the call; later only the innermost
        # of them that has not returned.
        self._callers: list[tuple[FrameType, CodePoint]] = []
        self._caller: tuple[weakref.ref[Any], CodePoint] | None = None
        # A script may run its one call in module code; such code in a server's loop serves many.
        self.is_over = not is_function(frame) and running_loop() is not None
        if frame is None or self.is_over:
            return
        self._point, self._frame_id = CodePoint(frame), id(frame)
        self._noted = raised.note_maker(session, frame)
        if task is not None:
            # Kept until the task is suspended for the first time: from then on its coroutine is
            # known, which a weak reference can hold.
            self._frame = frame
            self._callers = list(callers_of(frame))
            task.get_loop().call_soon(self._settle, context=contextvars.Context())
            return
        # An existing trace function is kept.
        mark: Any = frame.f_trace or _Mark()
        if isinstance(mark, _Mark):
            frame.f_trace = mark
            self._mark = weakref.ref(mark, _returning(weakref.ref(self)))

    def is_in_thread(self) -> bool:
        """Whether the calling code runs in the thread in which the observer was made."""
        return get_ident() == self._thread_id

    def is_made_in(self, task: "asyncio.Task[Any] | None") -> bool:
        """Whether the observer was made in a task.

        Args:
            task: The task; None asks whether it was made in none.
        """
        if task is None or self._task is None:
            return task is None and not self._in_task
        return self._task() is task

    def is_made_beside(self, other: "ObserverBinding") -> bool:
        """Whether one task, or none, made the observers of both."""
        return other.is_made_in(None if self._task is None else self._task())

    def is_left_by(self, task: "asyncio.Task[Any] | None") -> bool:
        """Whether a task made the observer, or the binding no longer binds anything."""
        if self.is_over or self.is_for_many:
            return True
        return self._in_task and self.is_made_in(task)

    def is_binding(self) -> bool:
        """Whether the calling code belongs to the call that made the observer."""
        if self.is_over or self.is_for_many or self.session.is_void:
            return False
        if self._in_task:
            task = running_task()
            if task is None or self._task is None or task is not self._task():
                return True
        # Made outside an event loop, it binds that function alone. What runs in a loop that the
        # function starts may be anything: a whole server.
        elif running_loop() is not None or get_ident() != self._thread_id:
            return False
        frame, point = self._frame_on_stack(), self._point
        return frame is not None and point is not None and point.precedes(frame)

    def is_binding_sampled(self, code: SampledCode) -> bool:
        """Whether code of an event loop that was sampled belongs to the call that made it."""
        if self.is_over or self.is_for_many or self.session.is_void or not self._in_task:
            return False
        if code.task is None or self._task is None or code.task is not self._task():
            return True
        point, held = self._point, self._frame
        if held is None:
            suspended = None if self._suspended is None else self._suspended()
            held = None if suspended is None else frame_of(suspended)
        if held is None or point is None or held.f_code is not point.code:
            return False
        return any(frame is held for frame in code.frames) and point.precedes(held, code)

    def release(self) -> None:
        """Record that the session has ended: a binding made outside a task ends with it.

        But it lasts while the function that made the observer has not returned. Call this in the
        thread of the session's event loop, which that function has started.
        """
        if not self._in_task and not self.is_over:
            self.is_over = self._frame_on_stack() is None

    def rebind(self, runs: Callable[[Any], bool]) -> None:
        """Bind the function that runs the session, if the one that made the observer has returned.

        A helper may build the bot and its caller run it. Called when the session begins.

        Args:
            runs: Whether an object runs the session: its runner or a worker.
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
            return None  # the function has returned, and another frame may have its id
        wanted = self._frame_id if held is None else id(held)
        # Looking at a frame takes time, and most log lines are written from the same depth.
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
        """Keep a weak reference to the function's coroutine instead of its frame.

        If the function has ended, remove the binding. Called by the event loop, once the task that
        made the observer is suspended or done.
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
            # The function has returned, and whatever it started has the binding.
            context = context_of(task)
            if context is not None:
                context.run(self.leave)

    def _return(self) -> None:
        """Put the binding into the current context."""
        work = current.get()
        if work is None or isinstance(work, AmbientContext):
            others = [] if work is None else [one for one in work.bindings if one.is_binding()]
            current.set(AmbientContext(*others, self, around=None if work is None else work.around))

    def leave(self) -> None:
        """Remove the binding from the current context."""
        work = current.get()
        if isinstance(work, AmbientContext) and self in work.bindings:
            others = [binding for binding in work.bindings if binding is not self]
            current.set(AmbientContext(*others, around=work.around) if others else work.around)


def _leaving(binding: "weakref.ref[ObserverBinding]") -> Callable[[Any], None]:
    def left(_: Any) -> None:
        # Called when the coroutine is freed: as it returns, in its own task.
        with _guard.instrumentation.guarded():
            found = binding()
            if found is not None and found.is_made_in(running_task()):
                found.leave()

    return left


class _Mark:
    """Placed in a frame as its trace function, which does nothing, to show when the frame dies."""

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
    """The work context of code that made one or more observers, and of what that code started.

    Attributes:
        bindings: The bindings. If more than one holds, no session is assumed.
        around: The work context around it, if that code is itself the work of a session that
            starts another.
    """

    __slots__ = ("_alone", "_is_for_many", "around", "bindings")

    def __init__(self, *among: ObserverBinding, around: WorkContext | None = None) -> None:
        super().__init__(among[0].session if len(among) == 1 else None)
        self.bindings = among
        self.around = around
        self._alone = StartedContext(among[0]) if len(among) == 1 else None
        self._is_for_many = False

    def meet(self, binding: ObserverBinding | None) -> None:
        """Record that code with this context runs a session other than these.

        A function may make all its bots first and then start them together. What it starts then
        inherits the binding of the last one, whichever bot it runs.

        Args:
            binding: The session's.
        """
        if binding is not None and binding not in self.bindings:
            self._is_for_many |= any(binding.is_made_beside(one) for one in self.bindings)

    def resolve(self) -> WorkContext | None:
        """Return the work context of the session made here; None if there is none, or several."""
        if self._is_for_many:
            return None if self.around is None else self.around.resolve()
        if self._alone is not None and self.bindings[0].is_binding():
            return self._alone  # nearly always
        found = self._among([binding for binding in self.bindings if binding.is_binding()])
        if found is not self:
            return found
        if current.get() is self and self._is_left():
            current.set(self.around)
        return None if self.around is None else self.around.resolve()

    def resolve_sampled(self, code: SampledCode) -> WorkContext | None:
        """Return the work context of the session made where sampled code comes from."""
        binding = [one for one in self.bindings if one.is_binding_sampled(code)]
        found = self if self._is_for_many else self._among(binding)
        if found is not self:
            return found
        return None if self.around is None else self.around.resolve_sampled(code)

    def _among(self, binding: list[ObserverBinding]) -> WorkContext | None:
        """Return the work context of the bindings that hold; this object itself if none does."""
        # An earlier call of the same task, whose session has ended, makes nothing ambiguous.
        live = [binding for binding in binding if binding.session.phase is not Phase.ENDED]
        binding = live or binding
        if len({id(binding.session) for binding in binding}) == 1:
            return StartedContext(binding[0])
        return None if binding else self

    def _is_left(self) -> bool:
        """Whether the calling code runs in the task that made all observers, and has left them."""
        task = running_task()
        return all(binding.is_left_by(task) for binding in self.bindings)


class StartedContext(WorkContext):
    """The work context of what code that made an observer has started, such as a thread."""

    __slots__ = ("_binding",)

    def __init__(self, binding: ObserverBinding) -> None:
        super().__init__(binding.session)
        self._binding = binding

    def resolve(self) -> WorkContext | None:
        """Return this work context, unless the observer turns out to serve several calls."""
        return None if self._binding.is_for_many else super().resolve()


class RunContext(WorkContext):
    """The work context of a worker's own task, from which its processors' tasks descend."""

    __slots__ = ("_task",)

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        task = running_task()
        self._task = None if task is None else weakref.ref(task)

    def resolve(self) -> WorkContext | None:
        """Return this work context; in that task after the session's end, only for the worker.

        A function that awaits a worker's run in its own task may take the next call in that task.
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

    def resolve_sampled(self, code: SampledCode) -> WorkContext | None:
        """Return this work context for sampled code, as :meth:`resolve` does for the calling."""
        session = self.session
        if session is None or session.is_void:
            return None
        task = None if self._task is None else self._task()
        if session.phase is Phase.ENDED and task is not None and task is code.task:
            found = stack_lookup.find_among(code.frames)
            return self if found is not None and found[0] is session else None
        return self


def bind(session: Session, frame: FrameType | None) -> ObserverBinding:
    """Bind a session to the call that makes its observer, and to everything the call starts.

    If the same function makes a second live session, the binding becomes ambiguous: work that can
    be attributed only by the binding then belongs to no session, since a wrong one is worse.

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
        # Bindings made by other tasks belong to those; in this task the latest one counts.
        among = tuple(
            other
            for other in before.bindings
            if other.session.phase is not Phase.ENDED
            and other.is_made_in(running_task())
            and (other.is_binding() or _made_by(other, frame))
        )
    elif before is not None and before.resolve() is not None:
        # Made by a session's own work: one bot starts another.
        if frame is not None and stack_lookup.is_owned(frame):
            # The work of its processors stays with that session; the new session's own processors
            # show what is the new one's.
            return binding
        around = before
    current.set(AmbientContext(*among, binding, around=around))
    return binding


def _made_by(binding: ObserverBinding, frame: FrameType | None) -> bool:
    """Whether the same call of a function made the observer, in an earlier round of a loop."""
    return frame is not None and binding._frame_on_stack() is frame

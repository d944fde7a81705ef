"""The work context: a context variable that holds the session which the running code works for.

Observers run in tasks of their own, behind a queue, so a variable that they set is visible only to
them. Therefore the work context is set where the work is done, in the very task that does it:

* :class:`~pipecat_dd.conversation.ambient.AmbientContext`, where the observer is made. All that
  the bot's own function starts inherits it. It is the weakest: it outlives that function in a task
  that takes call after call, and two sessions may be made in one task.
* :class:`~pipecat_dd.conversation.ambient.RunContext`, where the observer is set up: the tasks of
  the processors descend from there.
* :class:`WorkContext` of a processor, in the processor's own tasks.
* :class:`FrameProcessing`, while a processor works on a frame.
* :class:`WorkContext` of a stage, in a task that exists for that stage (a tool's handler).
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType
from typing import Any, TypeVar

from pipecat_dd.conversation import stack_lookup
from pipecat_dd.conversation.call_stack import SampledCode, running_task
from pipecat_dd.conversation.model import Kind, Participant, Phase, Processor, Session, Stage
from pipecat_dd.conversation.no_session import NO_SESSION

_T = TypeVar("_T")


class WorkContext:
    """The session, processor and participant that a task works for.

    Attributes:
        session: The session; None if several are possible.
        processor: The processor whose task it is, if it is a processor's.
        bound: The stage that the task exists for, if it exists for one.
        participant: The participant who was named; None if none was, and the only participant
            present is assumed.
    """

    __slots__ = ("bound", "participant", "processor", "session")

    def __init__(
        self,
        session: Session | None,
        processor: Processor | None = None,
        bound: Stage | None = None,
        participant: Participant | None = None,
    ) -> None:
        self.session = session
        self.processor = processor
        self.bound = bound
        self.participant = participant

    def resolve(self) -> "WorkContext | None":
        """Return the work context that holds for the calling code; None if it has no session.

        Call it in the context of the code in question.
        """
        session = self.session
        return None if session is None or session.is_void else self

    def resolve_sampled(self, code: SampledCode) -> "WorkContext | None":
        """Return the work context that holds for code of another thread that was sampled.

        Args:
            code: The code, which has this work context.
        """
        return self.resolve()


class FrameProcessing(WorkContext):
    """The work of one processor on one frame.

    A task that is started during the processing inherits this context and may outlive it. Once
    the processing is done, the context only says which processor the task came from.

    Attributes:
        frame: The frame.
        direction: The direction the frame travels in; ``name`` holds the direction's name.
        start_ns: When ``process_frame`` began.
        done: Whether ``process_frame`` has returned, raised or been cancelled.
        stage: The stage of this processing, once there is one: a service's (``pipecat.llm``)
            or the frame's own.
        failure: What the processor raised or reported, if anything.
        put_back: Makes active again what was set aside for the processing, if anything was.
    """

    __slots__ = (
        "direction",
        "done",
        "failure",
        "frame",
        "put_back",
        "stage",
        "start_ns",
    )

    def __init__(
        self,
        session: Session,
        processor: Processor,
        frame: Any,
        direction: Any,
        start_ns: int,
    ) -> None:
        # Created for every frame in every processor, so this sets the base class's fields itself.
        self.session = session
        self.processor = processor
        self.bound = None
        self.participant = None
        self.frame = frame
        self.direction = direction
        self.start_ns = start_ns
        self.done = False
        self.stage: Stage | None = None
        self.failure: BaseException | None = None
        self.put_back: Callable[[], None] | None = None

    @property
    def frame_class(self) -> str:
        """The frame's class."""
        return type(self.frame).__name__


current: ContextVar[WorkContext | None] = ContextVar("pipecat_dd_work", default=None)


by_thread: ContextVar[bool] = ContextVar("pipecat_dd_by_thread", default=False)
"""Whether the work context was inherited from the code that started the current thread.

A thread may also work for others than the one that started it (a thread of an SDK that calls back
every bot), so what is on its stack is more reliable.
"""


def current_context() -> WorkContext | None:
    """Return the work context of the calling code, or None if it works for no session.

    Code that has inherited no session's context (a callback of an SDK), or that of several, belongs
    to the session whose processor it is a method of, and otherwise to none. Even in a process with
    one session it is not assumed to be that session's: in a server it may serve another request.
    """
    work = current.get()
    if work is not None and not by_thread.get():
        work = work.resolve()
        if work is None:
            return _context_on_stack()
    else:
        found = _context_on_stack()
        if work is None or (found is not None and found.session is not work.session):
            return found
        work = work.resolve()
        if work is None:
            return found
    return _with_processor(work, running_task)


def sampled_context(code: SampledCode) -> WorkContext | None:
    """Return the work context of code of another thread; None if it works for no session.

    It is what :func:`current_context` would return there.
    """
    context = code.context
    work = None if context is None else context.get(current)
    found = None
    if work is None or context is None or context.get(by_thread):
        found = _context_of(stack_lookup.find_among(code.frames))
        if work is None or (found is not None and found.session is not work.session):
            return found
    work = work.resolve_sampled(code)
    if work is None:
        return found or _context_of(stack_lookup.find_among(code.frames))
    return _with_processor(work, lambda: code.task)


def _with_processor(
    work: WorkContext, task_of: "Callable[[], asyncio.Task[Any] | None]"
) -> WorkContext:
    if work.processor is None and work.bound is None and work.session is not None:
        processor = _processor_of_task(work.session, task_of())
        if processor is not None:
            return WorkContext(work.session, processor)
    return work


def _context_on_stack() -> WorkContext | None:
    return _context_of(stack_lookup.find())


def _context_of(found: tuple[Session, Processor | None] | None) -> WorkContext | None:
    return None if found is None or found[0].is_void else WorkContext(*found)


def open_stage(work: WorkContext) -> Stage | None:
    """Return the innermost open stage of a work context, and change nothing.

    Args:
        work: The work context. It has a session.

    Returns:
        None if a frame is being processed that has no stage of its own yet.
    """
    session = work.session
    assert session is not None
    bound = work.bound
    if bound is not None and bound.is_open:
        return bound
    if session.phase is not Phase.RUNNING:
        return session.root
    processor = work.processor
    if processor is not None:
        if isinstance(work, FrameProcessing):
            mine = work.stage
            # A task that was created for a response stays with it, even if the service works on
            # several responses at once.
            if mine is not None and mine.is_open and mine.kind is not Kind.FRAME:
                return mine
        if processor.stage is not None:
            return processor.stage
        if isinstance(work, FrameProcessing) and not work.done:
            if work.stage is not None and not work.stage.is_open:
                return session.stage  # the frame's stage has ended, but its processing goes on
            return work.stage
    return session.stage


_bound: ContextVar[tuple[Session, Participant, WorkContext | None] | None] = ContextVar(
    "pipecat_dd_participant", default=None
)


sink_at_work: ContextVar[Any] = ContextVar("pipecat_dd_sink", default=None)
"""The log sink that the code works for, as it sends a log line; None for other code."""

CARRIED: tuple[ContextVar[Any], ...] = (current, _bound, by_thread, sink_at_work)
"""The variables that code takes along to another thread to stay with its session."""


def carried() -> list[Any] | None:
    """Return the values to take along to another thread; None if the code has no session."""
    sink = sink_at_work.get()
    work = current_context() if current.get() is not None or stack_lookup.has_any() else None
    if work is None and sink is None:
        return None
    return [work, _bound.get(), by_thread.get(), sink]


def carried_sampled(code: SampledCode, work: WorkContext) -> list[Any]:
    """Return the values with which :func:`run_at` runs in the place of code of another thread.

    Args:
        code: The code.
        work: Its work context: what :func:`sampled_context` returned.
    """
    bound = None if code.context is None else code.context.get(_bound)
    if bound is not None and code.context is not None and bound[2] is code.context.get(current):
        bound = (bound[0], bound[1], work)
    return [work, bound, False, None]


def run_at(values: list[Any], fn: Callable[..., _T], /, *args: Any, **kwargs: Any) -> _T:
    """Call a function in the work context that was taken along: what :func:`carried` returned."""
    tokens = [variable.set(value) for variable, value in zip(CARRIED, values, strict=True)]
    try:
        return fn(*args, **kwargs)
    finally:
        for variable, token in zip(CARRIED, tokens, strict=True):
            variable.reset(token)


def carried_by(frame: FrameType) -> list[Any] | None:
    """Return the values that were taken along, if a frame is one of :func:`run_at`, else None."""
    if frame.f_code is not run_at.__code__:
        return None
    values: list[Any] = frame.f_locals["values"]
    return values


def leave_all() -> None:
    """Detach the calling code, and whatever it starts from now on, from every session."""
    current.set(None)
    _bound.set(None)
    by_thread.set(False)


@contextmanager
def bound_to(session: Session, participant_id: str) -> Iterator[None]:
    """Bind a participant to the work in a block, by id or by the transport's name for them."""
    people = session.people
    participant = people.known(participant_id) if people is not None else None
    token = _bound.set((session, participant or Participant(participant_id), current.get()))
    try:
        yield
    finally:
        _bound.reset(token)


def participant_in(work: WorkContext) -> Participant | None:
    """Return the participant that work is for: the one who was named, else the only one present."""
    session = work.session
    if session is None:
        return None
    found = work.participant
    bound = _bound.get()
    # The innermost name wins: that of a frame or an event which came after the binding.
    if bound is not None and bound[0] is session and (found is None or bound[2] is current.get()):
        found = bound[1]
    if found is None and session.people is not None:
        found = session.people.only
    # A participant who was named but whom we do not know has no id.
    return found if found is not None and found.id else None


def _processor_of_task(session: Session, task: "asyncio.Task[Any] | None") -> Processor | None:
    """Return the processor that a task is named after.

    A task made in a processor's ``setup()`` starts before any frame reaches the processor. Pipecat
    names a task ``<processor>::<what it does>``, and the task that sets up a processor
    ``…::setup::<processor>`` (``BaseObject.create_task``, ``BasePipeline._create_setup_task``).
    """
    if task is None:
        return None
    name = task.get_name()
    processors = session.processors
    found = processors.get(name.partition("::")[0])
    if found is None and "::setup::" in name:
        found = processors.get(name.rpartition("::setup::")[2])
    return found


def current_session() -> Session:
    """Return the session that the calling code works for.

    It is known in the bot's own function once that has created its observer, and in everything
    that the function and its pipeline start. Other code works for no session, even in a process
    with only one. It gets a session that is falsy, has an empty id and no participants, and whose
    methods do nothing: code that serves a conversation also runs without one.

    Example::

        current_session().set_outcome("booked")
        if session := current_session():
            headers["x-session-id"] = session.id
    """
    work = current_context()
    return NO_SESSION if work is None or work.session is None else work.session

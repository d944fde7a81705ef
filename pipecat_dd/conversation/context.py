"""Whose work is this? A context variable that says so, in every task of the bot.

Observers run in tasks of their own, behind a queue: what they bind is seen by them alone. So
the place is bound where the work is done, in the very task that does it:

* :class:`~pipecat_dd.conversation.ambient.AmbientContext`, where the observer is made: all that
  the bot's own function starts inherits it. It is the weakest, since it outlives that function in
  a task that takes call after call, and two sessions may be made in one task.
* :class:`~pipecat_dd.conversation.ambient.RunContext` of a session, where the observer is set up,
  in the context from which the processors' tasks descend.
* :class:`WorkContext` of a processor, in the tasks that are its own.
* :class:`FrameProcessing`, while a processor works on a frame.
* :class:`WorkContext` of a stage, in a task that exists for it (a tool's handler).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType
from typing import Any, TypeVar

from pipecat_dd.conversation import stack_lookup
from pipecat_dd.conversation.call_stack import running_task
from pipecat_dd.conversation.model import Participant, Processor, Session, Stage

_T = TypeVar("_T")


class WorkContext:
    """Where a task is at work.

    Attributes:
        session: The session whose work it is; None where several could be meant.
        processor: The processor whose task it is, where it is one's.
        bound: The stage that the task exists for, where it exists for one.
        participant: Whose work it is, where somebody is named; None leaves it to who is there.
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
        """Return the place that the code which asks is at; None where it is no session's work.

        Called in the context of that code.
        """
        session = self.session
        return None if session is None or session.is_void else self


class FrameProcessing(WorkContext):
    """A processor at work on one frame.

    A task made during a visit inherits it and may outlive it: a visit that is over still says
    which processor the task came from, but is at work on nothing any more.

    Attributes:
        frame: The frame.
        direction: Which way it goes, with the name of that in ``name``.
        start_ns: When ``process_frame`` began.
        done: Whether it has returned, raised or been cancelled.
        stage: The stage that this visit is, once there is one: a service's (``pipecat.llm``)
            or the frame's own.
        failure: What it raised or reported, if anything.
        put_back: Makes active again what was set aside for it, if anything was.
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
        # Made for every frame in every processor: what the base class would set is set here.
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


current: ContextVar[WorkContext | None] = ContextVar("pipecat_dd_place", default=None)


by_thread: ContextVar[bool] = ContextVar("pipecat_dd_by_thread", default=False)
"""Whether the place is that of whoever started the thread that this code runs in, or comes from.

A thread may work for more than whoever started it (an SDK's, which calls every bot back), so what
is on its stack knows better.
"""


def current_context() -> WorkContext | None:
    """Return the place of the code that asks, or None where it is no session's work.

    Code that descends from no session's work (a callback of an SDK), or from that of several,
    belongs to the session whose processor it is a method of, and else to none. That it could be
    no other session's proves nothing: in a server it is another request's as likely as not.
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
    if work.processor is None and work.bound is None and work.session is not None:
        processor = _processor_of_task(work.session)
        if processor is not None:
            return WorkContext(work.session, processor)
    return work


def _context_on_stack() -> WorkContext | None:
    found = stack_lookup.find()
    return None if found is None or found[0].is_void else WorkContext(*found)


_bound: ContextVar[tuple[Session, Participant, WorkContext | None] | None] = ContextVar(
    "pipecat_dd_participant", default=None
)


sink_at_work: ContextVar[Any] = ContextVar("pipecat_dd_sink", default=None)
"""The log sink whose work this is (it posts a line somewhere), where it is one's."""

CARRIED: tuple[ContextVar[Any], ...] = (current, _bound, by_thread, sink_at_work)
"""What says whose work something is, for code that takes it along to another thread."""


def carried() -> list[Any] | None:
    """Return what another thread takes along from here; None where this is nobody's work."""
    is_sinks = sink_at_work.get() is not None
    work = current_context() if current.get() is not None or stack_lookup.has_any() else None
    if work is None and not is_sinks:
        return None
    return [work, *(variable.get() for variable in CARRIED[1:])]


def run_at(values: list[Any], fn: Callable[..., _T], /, *args: Any, **kwargs: Any) -> _T:
    """Call a function at the place that was taken along.

    Args:
        values: What :func:`carried` returned.
        fn: The function.
        *args: Its arguments.
        **kwargs: Its arguments.
    """
    tokens = [variable.set(value) for variable, value in zip(CARRIED, values, strict=True)]
    try:
        return fn(*args, **kwargs)
    finally:
        for variable, token in zip(CARRIED, tokens, strict=True):
            variable.reset(token)


def carried_by(frame: FrameType) -> list[Any] | None:
    """Return what was taken along to where a frame runs a function.

    Args:
        frame: Any frame; those of `run_at` hold it.
    """
    if frame.f_code is not run_at.__code__:
        return None
    values: list[Any] = frame.f_locals["values"]
    return values


def leave_all() -> None:
    """Have the code that calls this, and what it starts from now on, be no session's work."""
    current.set(None)
    _bound.set(None)
    by_thread.set(False)


@contextmanager
def bound_to(session: Session, participant_id: str) -> Iterator[None]:
    """Bind a participant that the user names to what is done in a block.

    Args:
        session: The session.
        participant_id: The participant.
    """
    people = session.people
    participant = people.known(participant_id) if people is not None else None
    token = _bound.set((session, participant or Participant(participant_id), current.get()))
    try:
        yield
    finally:
        _bound.reset(token)


def participant_in(work: WorkContext) -> Participant | None:
    """Return whose work is done at a place: the one who was named, else the only one there.

    Args:
        work: The place.
    """
    session = work.session
    if session is None:
        return None
    found = work.participant
    bound = _bound.get()
    # What is named further in wins: a frame or an event that came after the user's binding.
    if bound is not None and bound[0] is session and (found is None or bound[2] is current.get()):
        found = bound[1]
    if found is None and session.people is not None:
        found = session.people.only
    # Somebody who is named but not known has no id.
    return found if found is not None and found.id else None


def _processor_of_task(session: Session) -> Processor | None:
    """Return the processor that Pipecat named the running task after.

    Tasks made in a processor's ``setup()`` start before any frame visits it. Pipecat names a
    task ``<processor>::<what it does>`` and the task that sets one up ``…::setup::<processor>``
    (``BaseObject.create_task``, ``BasePipeline._create_setup_task``).
    """
    task = running_task()
    if task is None:
        return None
    name = task.get_name()
    processors = session.processors
    found = processors.get(name.partition("::")[0])
    if found is None and "::setup::" in name:
        found = processors.get(name.rpartition("::setup::")[2])
    return found


def current_session() -> Session | None:
    """Return the session of the code that asks, or None where it cannot be known.

    It is known in the bot's own function from the making of its observer on, and in everything
    that this function and its pipeline start. Elsewhere it is None, also in a process with one
    session.
    """
    work = current_context()
    return None if work is None else work.session

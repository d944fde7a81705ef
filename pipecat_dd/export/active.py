"""Which span is at work here? The one answer for ddtrace's integrations and for log lines.

In this order: a span that somebody else has active in this task (the user's, an integration's);
the stage that the task exists for; the stage that the processor at work here has open; the
frame that it is working on; the turn; the session.
"""

import threading
import weakref
from functools import partial
from typing import Any

from pipecat_dd import _ddtrace, _guard
from pipecat_dd._ddtrace import Active, Context
from pipecat_dd.conversation import stack_lookup
from pipecat_dd.conversation.context import FrameProcessing, WorkContext, current, current_context
from pipecat_dd.conversation.conversation import Conversation
from pipecat_dd.conversation.model import Kind, Phase, Session, Stage
from pipecat_dd.export.spans import passing
from pipecat_dd.export.spans.tree import SpanTree


class SessionRuntime:
    """A session, with all that follows and tells it."""

    __slots__ = ("__weakref__", "conversation", "correlation", "session", "shared", "tree")

    def __init__(self, session: Session, conversation: Conversation, tree: SpanTree) -> None:
        self.session = session
        self.conversation = conversation
        self.tree = tree
        # What the last line carried, and by what that was found: kept by export.correlation.
        self.correlation: tuple[Any, Any] | None = None
        # Kept by all that share a trace, for as long as one of them is there.
        self.shared: _Shared | None = None


class _Shared:
    """Stands for a trace that several sessions share, and so names none of them."""


_by_trace: "weakref.WeakValueDictionary[int, SessionRuntime | _Shared]" = (
    weakref.WeakValueDictionary()
)
# A signal's handler may end a session, in the very thread that holds it.
_lock = threading.RLock()


def register(runtime: SessionRuntime) -> None:
    """Have a session's stages answer for the code that works on them.

    Args:
        runtime: The session.
    """
    with _lock:
        runtime.session.runtime = runtime
        before = _by_trace.get(runtime.tree.trace_id)
        if isinstance(before, SessionRuntime):
            before.shared = runtime.shared = _Shared()
        else:
            runtime.shared = before
        _by_trace[runtime.tree.trace_id] = runtime.shared or runtime
    # A trace that begins later, a turn's, names its session too.
    runtime.tree.on_trace = partial(_note_trace, weakref.ref(runtime))
    passing.own(runtime.tree.trace_id, runtime.tree.owner)
    _ddtrace.answer_active(_answer, _taken)
    _ddtrace.look_at_parts(passing.pass_by)


def _note_trace(
    runtime: "weakref.ref[SessionRuntime]", trace_id: int, forgotten: int | None
) -> None:
    found = runtime()
    if found is not None:
        with _lock:
            _by_trace[trace_id] = found
            if forgotten is not None:
                _by_trace.pop(forgotten, None)
        passing.own(trace_id, found.tree.owner)


def forget_all() -> None:
    """Forget all sessions in a forked process: they are its parent's."""
    global _lock
    _lock = threading.RLock()  # another thread, which is not here any more, may have held it
    _by_trace.clear()


def runtime_of(session: Session) -> SessionRuntime | None:
    """Return what follows and tells a session."""
    runtime: SessionRuntime | None = session.runtime
    return runtime


def runtime_of_trace(trace_id: int | None) -> SessionRuntime | None:
    """Return the session whose trace this is, if it is one's."""
    found = None if trace_id is None else _by_trace.get(trace_id)
    return found if isinstance(found, SessionRuntime) else None


def stage_at(work: WorkContext, runtime: SessionRuntime) -> Stage:
    """Return the innermost stage at work at a place, opening a frame's where it needs one.

    Args:
        work: The place.
        runtime: The session it is in.
    """
    session = runtime.session
    bound = work.bound
    if bound is not None and bound.is_open:
        return bound
    if session.phase is not Phase.RUNNING:
        return session.root
    processor = work.processor
    if processor is not None:
        if isinstance(work, FrameProcessing):
            mine = work.stage
            # A task made while a response was being worked on stays with it, also where the
            # service is at work on more than one thing.
            if mine is not None and mine.is_open and mine.kind is not Kind.FRAME:
                return mine
        if processor.stage is not None:
            return processor.stage
        if isinstance(work, FrameProcessing) and not work.done:
            if work.stage is not None and not work.stage.is_open:
                return session.stage  # it has answered, and works on
            return work.stage or runtime.conversation.stage_of(work) or session.stage
    return session.stage


def _answer(found: Active | None) -> Active | None:
    """Answer ddtrace, which has found this to be active."""
    if _guard.spans.off:
        return found
    try:
        at_work = work_here(found)
        return found if at_work is None else at_work[0].tree.active(at_work[1])
    except Exception as error:
        _guard.spans.failed(error)
        return found


def _taken(found: Active, taken: Context | None) -> Active | None:
    """Answer ddtrace, which has found this to be active, what a task takes along.

    A task inherits what is active where it is made, and loses that when it finishes before the
    task begins; so ddtrace has the task take a bare context of it along, and make that active.
    That is right for a span of the user's. One of a stage's, or of the caller's, would be taken
    for somebody else's in the session's tasks.

    Args:
        found: What is active: where a task is made, or where it begins.
        taken: What it takes along, where it begins.
    """
    if _guard.spans.off:
        return found
    try:
        bound = current.get()
        work = None if bound is None else bound.resolve()
        runtime = None if work is None or work.session is None else runtime_of(work.session)
        if runtime is None or runtime.session.phase is not Phase.RUNNING:
            return found
        if not runtime.tree.is_foreign(found):
            return None
        # Of two spans of one trace, ddtrace cannot tell which is meant.
        return found if taken is None or taken.span_id == found.span_id else None
    except Exception as error:
        _guard.spans.failed(error)
        return found


def work_here(found: Any) -> tuple[SessionRuntime, Stage] | None:
    """Return the stage that a span which begins here is part of, and who tells it.

    Args:
        found: What ddtrace has active here.

    Returns:
        None where a span of somebody else's is active, or it is no work of a session's.
    """
    if current.get() is None and not stack_lookup.has_any():
        return None
    work = current_context()
    session = None if work is None else work.session
    runtime = None if session is None else runtime_of(session)
    if work is None or runtime is None:
        return None
    if found is not None and runtime.tree.is_foreign(found):
        return None
    if runtime.session.phase is not Phase.RUNNING:
        # Before the pipeline is set up, and after it is cleaned up, spans are the
        # caller's own business: one that stands open around the run must not be part of
        # the session's trace.
        return None
    return runtime, stage_at(work, runtime)

"""Finds the active span of the calling code, for ddtrace's integrations and for log lines.

It is the first of these: a span that the user or an integration has activated in this task; the
stage that the task was created for; the open stage of the processor that runs here; the frame
that the processor is processing; the turn; the session.
"""

import threading
import weakref
from functools import partial
from typing import Any

from pipecat_dd import _ddtrace, _guard
from pipecat_dd._ddtrace import Active, Context
from pipecat_dd.conversation import stack_lookup
from pipecat_dd.conversation.context import (
    FrameProcessing,
    WorkContext,
    current,
    current_context,
    open_stage,
)
from pipecat_dd.conversation.conversation import Conversation
from pipecat_dd.conversation.model import Phase, Session, Stage
from pipecat_dd.export.spans import passing
from pipecat_dd.export.spans.tree import SpanTree


class SessionRuntime:
    """A session, with the objects that observe and export it."""

    __slots__ = ("__weakref__", "conversation", "correlation", "session", "shared", "tree")

    def __init__(self, session: Session, conversation: Conversation, tree: SpanTree) -> None:
        self.session = session
        self.conversation = conversation
        self.tree = tree
        # The ids of the last line and the key they belong to, a cache of `export.correlation`.
        self.correlation: tuple[Any, Any] | None = None
        # Sessions that share a trace keep this alive, since `_by_trace` holds it weakly.
        self.shared: _Shared | None = None


class _Shared:
    """Marks a trace that several sessions share, and which therefore identifies none of them."""


_by_trace: "weakref.WeakValueDictionary[int, SessionRuntime | _Shared]" = (
    weakref.WeakValueDictionary()
)
# Reentrant: a signal handler may end a session in the thread that holds the lock.
_lock = threading.RLock()


def register(runtime: SessionRuntime) -> None:
    """Make a session's stages the active spans of the code that works on them."""
    with _lock:
        runtime.session.runtime = runtime
        before = _by_trace.get(runtime.tree.trace_id)
        if isinstance(before, SessionRuntime):
            before.shared = runtime.shared = _Shared()
        else:
            runtime.shared = before
        _by_trace[runtime.tree.trace_id] = runtime.shared or runtime
    # A trace that begins later, such as a turn's, identifies its session, too.
    runtime.tree.on_trace = partial(_note_trace, weakref.ref(runtime))
    passing.own(runtime.tree.trace_id, runtime.tree.owner)
    _ddtrace.answer_active(_active, _carried)
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
    """Forget all sessions in a forked process: they belong to its parent."""
    global _lock
    _lock = threading.RLock()  # a thread that does not exist in the child may have held the old one
    _by_trace.clear()


def runtime_of(session: Session) -> SessionRuntime | None:
    """Return a session's runtime; None if it has none."""
    runtime: SessionRuntime | None = session.runtime
    return runtime


def runtime_of_trace(trace_id: int | None) -> SessionRuntime | None:
    """Return the one session that a trace belongs to; None if there is none, or several."""
    found = None if trace_id is None else _by_trace.get(trace_id)
    return found if isinstance(found, SessionRuntime) else None


def stage_at(work: WorkContext, runtime: SessionRuntime) -> Stage:
    """Return the innermost open stage of a work context, opening a frame's stage if needed.

    Args:
        work: The work context.
        runtime: Its session's runtime.
    """
    stage = open_stage(work)
    if stage is None:
        assert isinstance(work, FrameProcessing)
        stage = runtime.conversation.stage_of(work) or runtime.session.stage
    return stage


def _active(found: Active | None) -> Active | None:
    """Return the active span of this code, given the one that ddtrace has found."""
    if _guard.spans.off:
        return found
    try:
        here = current_stage(found)
        return found if here is None else here[0].tree.active(here[1])
    except Exception as error:
        _guard.spans.failed(error)
        return found


def _carried(found: Active, taken: Context | None) -> Active | None:
    """Return the span that ddtrace should carry into a new task; None for no span.

    A task inherits the active span of the code that creates it. Since that span may finish before
    the task begins, ddtrace gives the task a bare context of the span and activates that. This is
    right for a user's span. The context of a stage's span, or of the caller's, would look like a
    foreign span in the session's tasks.

    Args:
        found: The active span, where the task is created or where it begins.
        taken: The context that the task was given; None where the task is created.
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
        # ddtrace compares traces only, and so cannot tell two spans of one trace apart.
        return found if taken is None or taken.span_id == found.span_id else None
    except Exception as error:
        _guard.spans.failed(error)
        return found


def current_stage(found: Any) -> tuple[SessionRuntime, Stage] | None:
    """Return the parent stage of a span that begins here, and the runtime of its session.

    Args:
        found: The span that ddtrace has found to be active here; None for none.

    Returns:
        None if a foreign span is active, or if this code does not work for a session.
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
        # Before the pipeline is set up, and after it is cleaned up, spans belong to the caller:
        # a span that is open around the run must not become part of the session's trace.
        return None
    return runtime, stage_at(work, runtime)

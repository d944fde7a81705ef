"""Finds the session, participant and span of the calling code, for log lines.

They are found from the context of the caller (its task or thread) while its line is made. Nothing
here may raise, since it would raise in the bot's logging call.

Finding the span may call ddtrace, since a span is opened only when it is needed, and ddtrace may
log. A nested call in the same thread returns no ids, so that this does not recurse.
"""

import threading
from typing import Final, NamedTuple

from pipecat_dd import _ddtrace, _guard
from pipecat_dd.conversation.context import WorkContext, current_context, participant_in
from pipecat_dd.conversation.model import Phase
from pipecat_dd.export import active


class Correlation(NamedTuple):
    """The ids of the calling code. A field is None if it is unknown.

    Attributes:
        session_id: Id of the session that the code works for.
        session_trace_id: The session's trace id as a 128-bit integer, which decides whether
            the session is sampled.
        participant_id: Id of the participant that the code works for.
        participant_name: That participant's display name, unless names are turned off.
        trace_id: Trace id as ddtrace writes it for log correlation (32 hex digits).
        span_id: Span id as ddtrace writes it for log correlation (a decimal string).
        service: The service of the spans.
        env: ``DD_ENV``.
        version: ``DD_VERSION``.
        content_captured: Whether the session captures content (``capture_content=True``).
        flow_node: The current node of the conversation's flow, if it has one.
    """

    session_id: str | None = None
    session_trace_id: int | None = None
    participant_id: str | None = None
    participant_name: str | None = None
    trace_id: str | None = None
    span_id: str | None = None
    service: str | None = None
    env: str | None = None
    version: str | None = None
    content_captured: bool = False
    flow_node: str | None = None


NOTHING = Correlation()


class _Thread(threading.local):
    is_busy = False


_thread: Final = _Thread()


def correlate() -> Correlation:
    """Return the ids of the calling code. Never raises, never recurses."""
    if _thread.is_busy or _guard.lines.off:
        return NOTHING
    _thread.is_busy = True
    try:
        return _correlate()
    except Exception as error:
        _guard.lines.failed(error)
        return NOTHING
    finally:
        _thread.is_busy = False


def _correlate() -> Correlation:
    work = current_context()
    session = None if work is None else work.session
    runtime = None if session is None else active.runtime_of(session)
    has_ids = _ddtrace.is_enabled() and _ddtrace.INJECTS_IDS
    found = _ddtrace.activated() if has_ids else None
    if runtime is None and found is not None and work is None:
        # In a thread pool into which ddtrace carries the active span, the trace identifies the
        # session.
        runtime = active.runtime_of_trace(found.trace_id)
    if runtime is None:
        trace_id, span_id = _ids(found)
        service, env, version = _ddtrace.unified()
        return Correlation(
            session_id=None if session is None else session.id,
            trace_id=trace_id,
            span_id=span_id,
            service=service,
            env=env,
            version=version,
        )
    if work is None or work.session is None:
        return _correlation_of(runtime, WorkContext(runtime.session), *_ids(found))
    if found is not None and runtime.tree.is_foreign(found):
        return _correlation_of(runtime, work, *_ids(found))
    if not has_ids:
        return _correlation_of(runtime, work, None, None)
    # Most lines come from the same stage as the line before.
    stage = active.stage_at(work, runtime)
    participant = participant_in(work)
    node = None if work.session.flow_node is None else _flow_node(work)
    key = (stage, participant, participant and participant.name, node, _ddtrace.unified())
    cached = runtime.correlation
    if cached is None or cached[0] != key:
        cached = runtime.correlation = (
            key,
            _correlation_of(runtime, work, *runtime.tree.log_ids(stage)),
        )
    return cached[1]


def _ids(found: _ddtrace.Active | None) -> tuple[str | None, str | None]:
    return (None, None) if found is None else _ddtrace.log_ids(found)


def _flow_node(work: WorkContext) -> str | None:
    session = work.session
    if session is None or session.flow_node is None or session.phase is not Phase.RUNNING:
        return None
    return session.flow_node(work.processor)


def _correlation_of(
    runtime: active.SessionRuntime, work: WorkContext, trace_id: str | None, span_id: str | None
) -> Correlation:
    service, env, version = _ddtrace.unified()
    participant = participant_in(work)
    return Correlation(
        session_id=runtime.session.id,
        session_trace_id=runtime.tree.trace_id,
        participant_id=None if participant is None else participant.id,
        participant_name=None if participant is None else participant.name,
        trace_id=trace_id,
        span_id=span_id,
        service=service,
        env=env,
        version=version,
        content_captured=runtime.session.capture_content,
        flow_node=_flow_node(work),
    )

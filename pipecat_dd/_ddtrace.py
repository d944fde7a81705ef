"""The one door to ddtrace.

Everything this package takes from ddtrace passes through here: starting, dating and finishing
spans, deciding sampling, being asked which span is active. Public names only, but for those
listed in :data:`PRIVATE`, each of which degrades to less when it is missing.
"""

import contextlib
import functools
import math
import os
import secrets
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import ddtrace
from ddtrace import trace as _trace
from ddtrace.constants import ERROR_MSG, ERROR_STACK, ERROR_TYPE

from pipecat_dd import _guard
from pipecat_dd._private import peek

Context = _trace.Context
Span = _trace.Span
tracer = _trace.tracer

Active = Span | Context
"""What ddtrace may have active: a span, or the context of one that is not here."""

PRIVATE: dict[str, str] = {
    'middleware.scope["datadog"]': "whether a websocket's messages are traced, to say so",
    "_dd.measured": "a metric of Datadog's span format that asks for hits, errors, percentiles",
    "thread_context._sync_active_otel_thread_context": "a function of ddtrace's that asks "
    "which span is active without anything to nest in it",
    "patch._wrapped_create_task": "another",
    "Span._parent": "the spans above one of the caller's, to be left aside with it",
    "Tracer._atexit": "by its name on the stack, whether a signal shuts the tracer down",
}
"""What is used here without being public, and what it is used for."""

MEASURED = "_dd.measured"

_busy = threading.local()
"""Set while this thread is inside ddtrace on our behalf.

ddtrace asks which span is active when one starts (to set ``version``) and when one finishes;
asked by our own doing, the answer must open nothing: it would recurse without end.
"""


def is_busy() -> bool:
    """Whether this thread is inside ddtrace on our behalf."""
    return getattr(_busy, "depth", 0) > 0


class _Busy:
    def __enter__(self) -> None:
        _busy.depth = getattr(_busy, "depth", 0) + 1

    def __exit__(self, *_: object) -> None:
        _busy.depth -= 1


_BUSY = _Busy()


@contextlib.contextmanager
def beneath(parent: Active, begun: list[Span]) -> Iterator[None]:
    """Have what ddtrace starts in a block begin beneath a parent, and make nothing active.

    Args:
        parent: The parent, which need not have been started.
        begun: What is started is appended to it.
    """
    _busy.beneath = parent, begun
    try:
        with _BUSY:
            yield
    finally:
        _busy.beneath = None


def is_enabled() -> bool:
    """Whether ddtrace sends anything (``DD_TRACE_ENABLED``)."""
    return bool(tracer.enabled)


def service() -> str | None:
    """``DD_SERVICE``, or None where it is not set."""
    return _text(ddtrace.config.service)


def env() -> str | None:
    """``DD_ENV``, or None where it is not set."""
    return _text(ddtrace.config.env)


def version() -> str | None:
    """``DD_VERSION``, or None where it is not set."""
    return _text(ddtrace.config.version)


INJECTS_IDS = os.environ.get("DD_LOGS_INJECTION", "").strip().lower() not in ("false", "0")
"""Whether log lines carry the ids of trace and span; ``DD_LOGS_INJECTION=false`` turns it off."""

_UNIFIED_FOR_SECS = 1.0
_unified: tuple[float, tuple[str | None, str | None, str | None]] | None = None


def unified() -> tuple[str | None, str | None, str | None]:
    """Return service, env and version, looked up at most once a second: each line asks."""
    global _unified
    now = time.monotonic()
    held = _unified
    if held is None or now - held[0] > _UNIFIED_FOR_SECS:
        held = _unified = (now, (service(), env(), version()))
    return held[1]


def _text(value: object) -> str | None:
    return str(value) if value else None


def new_span_id() -> int:
    """Return an id for a span that will be started later.

    63 random bits, as ddtrace makes its own; drawn from the system, so that a forked process
    does not draw the same ones.
    """
    return secrets.randbits(63) or 1


def new_trace(name: str, resource: str, tags: dict[str, str]) -> Context:
    """Begin a trace and decide whether it is sampled, once for all of it.

    A trace that is sent in parts is otherwise sampled anew for each part, by rates that the
    Agent may have changed in between. The decision is made on a span with the name, resource
    and tags of the one that will stand at the trace's root, so that the user's own rules
    match it; that span is never started.

    Args:
        name: Name of the span at the root.
        resource: Its resource.
        tags: Its tags.

    Returns:
        The context of the trace's root, with a new trace id, a reserved span id and the
        sampling decision.
    """
    root = Span(name, service=service(), resource=resource)
    if (environment := env()) is not None:
        root.set_tag("env", environment)
    root.set_tags(dict(tags))
    with _BUSY:
        tracer.sample(root)  # type: ignore[no-untyped-call]
    return root.context.copy(root.trace_id, root.span_id)


def continue_trace(parent: Context, name: str, resource: str, tags: dict[str, str]) -> Context:
    """Continue a trace that came from elsewhere.

    Args:
        parent: The remote parent, as extracted from headers.
        name: Name of the span that continues it.
        resource: Its resource.
        tags: Its tags.

    Returns:
        The context of that span, with the sampling decision of the parent; where that has
        made none, with one made here.
    """
    assert parent.trace_id is not None
    if parent.sampling_priority is None:
        decided = new_trace(name, resource, tags)
        context = decided.copy(parent.trace_id, new_span_id())
        for key, value in parent.get_all_baggage_items().items():
            context.set_baggage_item(key, value)
        return context
    return parent.copy(parent.trace_id, new_span_id())


def beside(context: Context, span_id: int) -> Context:
    """Return the context of another span of the same trace.

    Args:
        context: Any context of the trace.
        span_id: The span's id.
    """
    assert context.trace_id is not None
    return context.copy(context.trace_id, span_id)


def above(context: Context | Span) -> Context:
    """Return what the root of a trace is a child of: the trace, and no span of it.

    Args:
        context: Any context of the trace.
    """
    context = context if isinstance(context, Context) else context.context
    return beside(context, 0)


def new_trace_like(context: Context, span_id: int) -> Context:
    """Begin a trace that shares the sampling decision of another.

    Args:
        context: The context of the other.
        span_id: The id of the span at the new trace's root.
    """
    return context.copy(Span("pipecat.trace").trace_id, span_id)


def stand_in(name: str, parent: Active, resource: str, start_ns: int, span_id: int) -> Span:
    """Return a span that others can be children of while it has not been started.

    ddtrace keeps back what has finished in a trace until all that was *started* in it has. A
    span that is made but not started holds nothing back, and its children are what those of a
    started span are: of its service, and no entry to it.

    Args:
        name: The name of the span it stands in for.
        parent: That span's parent.
        resource: Its resource.
        start_ns: When it began, in nanoseconds since the epoch.
        span_id: Its id.
    """
    context = parent if isinstance(parent, Context) else parent.context
    assert context.trace_id is not None
    span = Span(
        name,
        service=service(),
        resource=resource,
        trace_id=context.trace_id,
        span_id=span_id,
        parent_id=parent.span_id,
        context=context.copy(context.trace_id, span_id),
    )
    span.start_ns = start_ns
    return span


def retire(stand_in: Span) -> None:
    """Mark a stand-in as over, so that ddtrace no longer takes it to be active.

    Args:
        stand_in: The span, which was never started and so is not sent.
    """
    with _BUSY:
        stand_in.finish()


def start(name: str, parent: Active, resource: str) -> Span:
    """Start a span without making it active.

    Args:
        name: Its name.
        parent: Its parent, which need not have been started.
        resource: Its resource.
    """
    with _BUSY:
        return tracer.start_span(name, child_of=parent, resource=resource)


def place(span: Span, start_ns: int, span_id: int) -> None:
    """Put a span that has just been started where it belongs.

    Args:
        span: The span.
        start_ns: When it began, in nanoseconds since the epoch.
        span_id: The id reserved for it.
    """
    span.start_ns = start_ns
    span.span_id = span_id


def finish(span: Span, end_ns: int) -> None:
    """Finish a span.

    Args:
        span: The span.
        end_ns: When it ended, in nanoseconds since the epoch; a time before its start is
            taken to be its start, since ddtrace does not clamp a negative duration.
    """
    end_secs = max(end_ns, span.start_ns) / 1e9
    while int(end_secs * 1e9) < span.start_ns:
        # Seconds in a float are some 200 ns apart.
        end_secs = math.nextafter(end_secs, math.inf)
    with _BUSY:
        span.finish(end_secs)


def set_error(span: Span, type_: str, message: str, stack: str) -> None:
    """Mark a span as failed.

    Args:
        span: The span.
        type_: The kind of error.
        message: What it says.
        stack: Its traceback; left out where it is empty.
    """
    span.error = 1
    span.set_tag(ERROR_TYPE, type_)
    span.set_tag(ERROR_MSG, message)
    if stack:
        span.set_tag(ERROR_STACK, stack)


def with_those_above(span: Span) -> Iterator[Span]:
    """Yield a span, its parent, and so on, as far as they are here."""
    found: Span | None = span
    while found is not None:
        yield found
        found = peek(found, "_parent")


def log_ids(active: Active) -> tuple[str | None, str | None]:
    """Return the trace and span id of a span as ddtrace writes them into log lines.

    Args:
        active: The span, or its context.
    """
    fields = tracer.get_log_correlation_context(active)
    trace_id, span_id = fields.get("dd.trace_id"), fields.get("dd.span_id")
    return (
        trace_id if trace_id and trace_id != "0" else None,
        span_id if span_id and span_id != "0" else None,
    )


def activated() -> Active | None:
    """Return what ddtrace has active in this task, leaving aside what we would answer."""
    provider = tracer.context_provider
    if isinstance(provider, _Answering):
        return provider.activated()
    return provider.active()


def set_aside() -> Callable[[], None]:
    """Have nothing active here until what is returned is called.

    For what somebody else's span (a web request's) happens to be active around, and which is
    no part of it.
    """
    found = activated()
    if found is None:
        return lambda: None
    provider = tracer.context_provider
    provider.activate(None)

    def put_back() -> None:
        provider.activate(found)

    return put_back


def traces_messages(websocket: Any) -> bool:
    """Whether each message of a websocket behind FastAPI or Starlette gets a span of its own.

    Args:
        websocket: The websocket, with its ASGI scope.
    """
    # ddtrace's middleware leaves websockets alone, and their scope, where that is turned off.
    return "datadog" in (getattr(websocket, "scope", None) or ())


def before_shutdown(callback: Callable[[bool], None]) -> None:
    """Have something done before the tracer is shut down: what is finished by then is still sent.

    ddtrace shuts its tracer down in its handler of SIGTERM, whoever calls that, in its exit
    function, and where the user asks for it. So nobody's handler of a signal need be replaced.

    Args:
        callback: Told whether ddtrace itself shuts the tracer down.
    """
    inner = tracer.shutdown

    @functools.wraps(inner)
    def shutdown(*args: Any, **kwargs: Any) -> None:
        with contextlib.suppress(Exception):
            callback(sys._getframe(1).f_code.co_name == "_atexit")
        inner(*args, **kwargs)

    tracer.shutdown = shutdown  # type: ignore[method-assign]


def flush(timeout_secs: float) -> None:
    """Send what is finished, and wait for that, but not for an Agent that does not answer.

    Args:
        timeout_secs: How long to wait.
    """

    def send() -> None:
        with contextlib.suppress(Exception):
            tracer.flush()  # type: ignore[no-untyped-call]

    sending = threading.Thread(target=send, name="pipecat_dd::flush", daemon=True)
    sending.start()
    sending.join(timeout_secs)


_LOOKING = frozenset({"_sync_active_otel_thread_context", "_wrapped_create_task"})


def _is_only_looking(caller: FrameType) -> bool:
    """Whether ddtrace asks what is active without anything to nest in it.

    With ``ddtrace.auto`` it asks at every callback of the event loop, to tell its profiler, and
    at every task that is made. An answer would be taken for work on whatever is at work there,
    and cost what an answer costs.
    """
    if caller.f_code.co_name in _LOOKING:
        return True
    above = caller.f_back
    return (
        above is not None
        and caller.f_code.co_name == "current_trace_context"
        and above.f_code.co_name in _LOOKING
    )


class _Answering:
    """Marks a context provider as ours."""

    def activated(self) -> Active | None:
        raise NotImplementedError


def answers() -> bool:
    """Whether ddtrace asks us which span is active."""
    return isinstance(tracer.context_provider, _Answering)


def answer_active(answer: Callable[[Active | None], Active | None]) -> None:
    """Have ddtrace ask us which span is active.

    Every integration, log injection and ``tracer.trace()`` goes through the tracer's context
    provider, so one place serves them all. Done once per process; what was there before keeps
    doing its work underneath.

    Args:
        answer: Given what ddtrace has active in the task that asks, returns what is. It must
            not raise.
    """
    provider = tracer.context_provider
    # configure() turns on what DD_TRACE_ENABLED=false has turned off; with nothing to nest,
    # there is nothing to answer.
    if isinstance(provider, _Answering) or not is_enabled():
        return
    kind: Any = type(provider)

    class AnsweringProvider(kind, _Answering):  # type: ignore[misc]
        """Answers with the stage of the conversation that is at work."""

        def active(self) -> Active | None:
            beneath: tuple[Active, list[Span]] | None = getattr(_busy, "beneath", None)
            if beneath is not None:
                return beneath[0]
            found: Active | None = super().active()
            # Whoever asks, asyncio's create_task among them, must not hear of an error of ours.
            # (ddtrace.auto asks at each callback of the event loop: no context manager here.)
            try:
                if is_busy() or _is_only_looking(sys._getframe(1)):
                    return found
            except Exception as error:
                _guard.spans.failed(error)
                return found
            return answer(found)

        def activate(self, ctx: Active | None) -> None:
            beneath = getattr(_busy, "beneath", None)
            if beneath is None:
                super().activate(ctx)
            elif isinstance(ctx, Span):
                beneath[1].append(ctx)

        def activated(self) -> Active | None:
            return super().active()  # type: ignore[no-any-return]

    tracer.configure(context_provider=AnsweringProvider())

"""Begins and continues traces, each with a single sampling decision."""

import secrets

from pipecat_dd._ddtrace.busy import BUSY
from pipecat_dd._ddtrace.public import Context, Span, tracer
from pipecat_dd._ddtrace.settings import env, mapped_service
from pipecat_dd._ddtrace.spans import set_tag, writable
from pipecat_dd._private import peek

_DECIDED_BY = "_dd.p.dm"
_BY_HAND = "-4"
_OF_ONE_TRACE = ("_dd.p.tid", "traceparent", "tracestate")
"""The metadata of a context that holds the trace's id; header injection writes it."""


def new_span_id() -> int:
    """Return an id for a span that will be started later.

    It has 63 random bits, like ddtrace's own. They come from the operating system, so that a forked
    process does not repeat the same ids.
    """
    return secrets.randbits(63) or 1


def new_trace(name: str, resource: str, tags: dict[str, str]) -> Context:
    """Begin a trace, and decide once for all of it whether it is sampled.

    Otherwise, a trace that is sent in parts would be sampled anew for each part, by rates that the
    Agent may have changed in between. The decision is made on a span with the name, resource and
    tags of the trace's root, so that the user's own rules match it; that span is never started.

    Args:
        name: The operation name of the root.
        resource: The root's resource.
        tags: The root's tags.

    Returns:
        The root's context, with a new trace id, a reserved span id and the sampling decision.
    """
    root = Span(name, service=mapped_service(), resource=writable(resource))
    if (environment := env()) is not None:
        root.set_tag("env", environment)
    for key, value in tags.items():
        set_tag(root, key, value)
    with BUSY:
        tracer.sample(root)  # type: ignore[no-untyped-call]
    return root.context.copy(root.trace_id, root.span_id)


def continue_trace(parent: Context, name: str, resource: str, tags: dict[str, str]) -> Context:
    """Continue a trace from another process.

    Args:
        parent: The remote parent, as extracted from headers.
        name: The operation name of the span that continues the trace.
        resource: That span's resource.
        tags: That span's tags.

    Returns:
        The context of that span. Its sampling decision is the parent's, or a new one if the
        parent has none.
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
        span_id: The id of the other span.
    """
    assert context.trace_id is not None
    return context.copy(context.trace_id, span_id)


def above(context: Context | Span) -> Context:
    """Return a context to use as the parent of a trace's root: the trace's id, without a span's.

    Args:
        context: Any span or context of the trace.
    """
    context = context if isinstance(context, Context) else context.context
    return beside(context, 0)


def new_trace_like(context: Context, span_id: int) -> Context:
    """Begin a trace that shares the sampling decision of another.

    Args:
        context: A context of the other trace.
        span_id: The id of the new trace's root.
    """
    begun = context.copy(Span("pipecat.trace").trace_id, span_id)
    facts = peek(begun, "_meta")
    if isinstance(facts, dict):
        begun._meta = {key: value for key, value in facts.items() if key not in _OF_ONE_TRACE}
    return begun


def agree(context: Context, of_session: Context) -> None:
    """Make a context and its session agree on the sampling decision.

    All contexts of a trace share the decision, except one that was created from ids alone (by
    OpenTelemetry). A manual decision on either (``manual.keep``, ``manual.drop``) applies to both;
    otherwise the session's does.

    Args:
        context: A context of another span in the session's trace.
        of_session: A context of the session.
    """
    facts, of_all = peek(context, "_meta"), peek(of_session, "_meta")
    if not isinstance(facts, dict) or not isinstance(of_all, dict):
        return
    by, by_all = facts.get(_DECIDED_BY), of_all.get(_DECIDED_BY)
    if by == _BY_HAND != by_all:
        of_all[_DECIDED_BY] = by
        if of_session.sampling_priority != context.sampling_priority:
            of_session.sampling_priority = context.sampling_priority
        return
    if context.sampling_priority != of_session.sampling_priority:
        context.sampling_priority = of_session.sampling_priority
    if by_all is not None and by != by_all:
        facts[_DECIDED_BY] = by_all

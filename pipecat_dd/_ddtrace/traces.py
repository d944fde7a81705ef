"""Traces, and the one decision whether one is sampled."""

import secrets

from pipecat_dd._ddtrace.busy import BUSY
from pipecat_dd._ddtrace.public import Context, Span, tracer
from pipecat_dd._ddtrace.settings import env, mapped_service
from pipecat_dd._ddtrace.spans import set_tag, writable


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
    root = Span(name, service=mapped_service(), resource=writable(resource))
    if (environment := env()) is not None:
        root.set_tag("env", environment)
    for key, value in tags.items():
        set_tag(root, key, value)
    with BUSY:
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

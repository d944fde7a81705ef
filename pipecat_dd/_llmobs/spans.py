"""Starts and describes spans of LLM Observability, and determines the parents of others.

ddtrace's own functions (``LLMObs.workflow()`` and the like) start a span under the active one and
make it active. Our spans are started only when their stage has ended, under a stage that is over or
never was a span. So while one is being started, both of ddtrace's context providers report its
parent as active, and ignore requests to activate a span.
"""

import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

from pipecat_dd import _ddtrace, _guard
from pipecat_dd._ddtrace import Active, Span
from pipecat_dd._llmobs.content import chain, take_content_out
from pipecat_dd._llmobs.ids import Above
from pipecat_dd._llmobs.on import llmobs, named

KINDS = frozenset({"agent", "workflow", "task", "tool", "retrieval", "embedding", "llm"})
"""The kinds of spans in LLM Observability."""

_LOOKING = frozenset({"_current_trace_context", "_current_span"})
"""Functions of ddtrace that ask for the active span, at every new task for example, but nest
nothing under it."""

_MARK = "pipecat_dd_is_asked"
"""Set on each instance of LLM Observability that we have patched; enabling it creates a new one."""

_here = threading.local()
"""In this thread: ``above``, the parent of the span that is being started."""


# Starting and describing


def start(
    kind: str, name: str, above: Above, parent: Active, facts: Mapping[str, str | None]
) -> Span | None:
    """Start a span that is also LLM Observability's, without making it active.

    Args:
        kind: One of :data:`KINDS`.
        name: The span's name in LLM Observability.
        above: Its parent there.
        parent: Its parent in the trace.
        facts: Further arguments of ddtrace's function for the kind.

    Returns:
        The span; None if this ddtrace does not let us set the parent.
    """
    LLMObs = llmobs()  # noqa: N806
    if not LLMObs.enabled or not _is_ours(LLMObs._instance) or not _ddtrace.answers():
        return None
    make = getattr(LLMObs, kind)
    begun: list[Span] = []
    name, facts = _ddtrace.writable(name), _writable(facts)
    _here.above = above
    try:
        with _ddtrace.beneath(parent, begun):
            span: Span = make(name=name, **facts, **named(make))
    except Exception as error:
        if not begun:
            raise
        # It has been started, and unfinished would hold back its trace for ever. So it becomes a
        # span of the trace only.
        begun[0].span_type = None
        _guard.llmobs.failed(error)
        return begun[0]
    finally:
        _here.above = None
    return span


def settle(span: Span) -> None:
    """Correct the tag that ddtrace set on a span when the span had another id.

    Args:
        span: The span, with its final id.
    """
    if span.get_tag("llmobs_parent_id") is not None:
        span.set_tag("llmobs_parent_id", str(span.span_id))


def annotate(span: Span, **facts: Any) -> None:
    """Describe a span.

    Args:
        span: The span.
        **facts: The arguments of ``LLMObs.annotate``.
    """
    llmobs().annotate(span, **_writable(facts))


def _writable(value: Any) -> Any:
    """Return a value whose texts hold only characters that ddtrace can encode."""
    if isinstance(value, str):
        return _ddtrace.writable(value)
    if isinstance(value, Mapping):
        return {_writable(name): _writable(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_writable(part) for part in value]
    return value


# Determining the parents of other spans


class _Answering:
    """Marks a context provider as ours."""


def answer_active(
    answer: Callable[[Any], Any],
    began: Callable[[Span], None],
    process: Callable[[Any], bool],
    rest: Callable[[dict[str, Any]], None],
) -> None:
    """Make LLM Observability ask us for the parents of its spans, and let us process the spans.

    Done once each time it is enabled. The existing context provider stays in use underneath.

    Args:
        answer: Given what ddtrace has as active in the calling task, returns the parent to use.
            Must not raise.
        began: Called after ``answer`` with a span that has begun and is not ours.
        process: Removes content from a span if need be; returns whether it did. Must not raise.
        rest: Removes content from the parts of a span that span processors do not see.
    """
    instance = llmobs()._instance
    if getattr(instance, _MARK, False):
        return
    setattr(instance, _MARK, True)
    take_content_out(instance, process, rest)
    provider = getattr(instance, "_llmobs_context_provider", None)
    if provider is None:
        return
    kind: Any = type(provider)

    class AnsweringProvider(kind, _Answering):  # type: ignore[misc]
        """Reports the conversation's current stage as active."""

        def __init__(self) -> None:
            """Leave the active span as it is; ddtrace's own ``__init__`` would reset it."""

        def active(self) -> Any:
            above = getattr(_here, "above", None)
            if above is not None:
                return above
            found = super().active()
            if sys._getframe(1).f_code.co_name in _LOOKING:
                return found
            chain(instance, process)
            return answer(found)

        def activate(self, ctx: Any) -> None:
            if getattr(_here, "above", None) is not None:
                return
            super().activate(ctx)
            if isinstance(ctx, Span):
                began(ctx)

    instance._llmobs_context_provider = AnsweringProvider()


def _is_ours(instance: Any) -> bool:
    return isinstance(getattr(instance, "_llmobs_context_provider", None), _Answering)

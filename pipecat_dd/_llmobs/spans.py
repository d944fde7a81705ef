"""Starting spans and describing them, and answering what others begin beneath.

ddtrace's own functions (``LLMObs.workflow()`` and its kin) start a span beneath whatever is
active and make it active. Ours are started when they have ended, beneath a stage that is over
or never was a span: so while one is started, both of ddtrace's context providers answer with
what it is beneath, and take no notice of what they are told to activate.
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
"""The kinds of spans there are."""

_LOOKING = frozenset({"_current_trace_context", "_current_span"})
"""They ask at every task that is made, say."""

_MARK = "pipecat_dd_is_asked"
"""On an instance of LLM Observability that asks us: there is one for each time it is enabled."""

_here = threading.local()
"""In this thread: ``above``, what the span that is being started begins beneath."""


# Starting and describing


def start(
    kind: str, name: str, above: Above, parent: Active, facts: Mapping[str, str | None]
) -> Span | None:
    """Start a span that is LLM Observability's too, without making it active.

    Args:
        kind: Its kind.
        name: Its name there.
        above: What it begins beneath there.
        parent: Its parent in the trace.
        facts: What ddtrace's function for the kind takes besides.

    Returns:
        The span; None where ddtrace cannot be told what it begins beneath.
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
        # It is started, and would hold back its trace for ever: a span, and nothing more.
        begun[0].span_type = None
        _guard.llmobs.failed(error)
        return begun[0]
    finally:
        _here.above = None
    return span


def settle(span: Span) -> None:
    """Correct what ddtrace noted of a span when it had another id.

    Args:
        span: The span, with the id it ends with.
    """
    if span.get_tag("llmobs_parent_id") is not None:
        span.set_tag("llmobs_parent_id", str(span.span_id))


def annotate(span: Span, **facts: Any) -> None:
    """Describe a span, with what ``LLMObs.annotate`` takes.

    Args:
        span: The span.
        **facts: Its description.
    """
    llmobs().annotate(span, **_writable(facts))


def _writable(value: Any) -> Any:
    """Return text, or what holds text, with only what ddtrace can write."""
    if isinstance(value, str):
        return _ddtrace.writable(value)
    if isinstance(value, Mapping):
        return {_writable(name): _writable(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_writable(part) for part in value]
    return value


# Being asked


class _Answering:
    """Marks a context provider as ours."""


def answer_active(
    answer: Callable[[Any], Any],
    began: Callable[[Span], None],
    process: Callable[[Any], bool],
    rest: Callable[[dict[str, Any]], None],
) -> None:
    """Have LLM Observability ask us what its spans begin beneath, and pass them by us.

    Done once for each time it is enabled; what was there before keeps doing its work underneath.

    Args:
        answer: Given what is active in the task that asks, returns what is. Must not raise.
        began: Told of a span of somebody else's that has begun, after ``answer``.
        process: Takes content out of a span, or lets it pass; says whether it has taken it out.
            Must not raise.
        rest: Takes it out of what a processor is not shown, too.
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
        """Answers with the stage of the conversation that is at work."""

        def __init__(self) -> None:
            """Leave what is active as it is: ddtrace's own begins with nothing."""

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

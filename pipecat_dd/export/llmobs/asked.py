"""Finds the parent, in LLM Observability, of a span of an integration or of the user's code.

ddtrace keeps the active span of LLM Observability apart from that of the trace, and asks for each
separately. Both answers are found in the same way.
"""

import threading
from typing import Any

from pipecat_dd import _guard, _llmobs
from pipecat_dd._ddtrace import Span
from pipecat_dd.conversation.model import Kind, Stage
from pipecat_dd.export.active import current_stage
from pipecat_dd.export.llmobs.spans import LLMObsSpans

_answered = threading.local()


def answer(found: Any) -> Any:
    """Return the parent of a span that begins now. Never raises.

    Args:
        found: What ddtrace itself has as active.
    """
    _answered.last = None
    if _guard.llmobs.off:
        return found
    try:
        at_work = current_stage(found)
        also = None if at_work is None else at_work[0].tree.also
        if at_work is None or not isinstance(also, LLMObsSpans):
            return found
        stage = also.nearest(at_work[1])
        _answered.last = also, stage
        return also.beneath(stage)
    except Exception as error:
        _guard.llmobs.failed(error)
        return found


def began(span: Span) -> None:
    """Record that a span has begun beneath the last answer. Never raises."""
    last: tuple[LLMObsSpans, Stage] | None = getattr(_answered, "last", None)
    _answered.last = None
    if last is not None:
        also, stage = last
        with _guard.llmobs.guarded():
            if stage.kind is Kind.LLM and _is_model_call(span):
                also.mark_exported_elsewhere(stage)


def _is_model_call(span: Span) -> bool:
    """Whether a span is a model call. Its kind shows that only when it has finished.

    Until then the resource shows it: the functions of LLM Observability set it to the kind,
    integrations to what they call.
    """
    resource = str(span.resource or "").lower()
    return resource not in _llmobs.KINDS - {"llm"} and "embed" not in resource

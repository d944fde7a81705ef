"""What does a span of somebody else's begin beneath, in LLM Observability?

An integration's, or the user's own. ddtrace keeps what is active there apart from what is active
in the trace, and asks for it apart: the answer is found in the same way.
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
    """Answer ddtrace, which has found this to be active. Never raises.

    Args:
        found: What it has found.
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
    """Note a span that has begun beneath what was answered last. Never raises.

    Args:
        span: The span.
    """
    last: tuple[LLMObsSpans, Stage] | None = getattr(_answered, "last", None)
    _answered.last = None
    if last is not None:
        also, stage = last
        with _guard.llmobs.guarded():
            if stage.kind is Kind.LLM and _is_model_call(span):
                also.is_told_by_another(stage)


def _is_model_call(span: Span) -> bool:
    """Whether a span is one of a model's response, which its kind says only when it finishes.

    The functions of LLM Observability name the resource after the kind; integrations after
    what was called.
    """
    resource = str(span.resource or "").lower()
    return resource not in _llmobs.KINDS - {"llm"} and "embed" not in resource

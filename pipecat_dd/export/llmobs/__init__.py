"""A session in Datadog's LLM Observability.

The spans are the same ones: a stage that LLM Observability has a kind for is started as one of
its spans, so that both products know it by one id and each leads to the other. What has no kind
there (a stretch of speech, a synthesis, a frame) is a span of the trace alone, and what nests in
it nests there in the nearest stage that has one.
"""

from loguru import logger

from pipecat_dd import _ddtrace, _guard, _llmobs
from pipecat_dd.conversation.model import Session
from pipecat_dd.export.llmobs.asked import answer, began
from pipecat_dd.export.llmobs.content import empty_rest, knows, process
from pipecat_dd.export.llmobs.spans import LLMObsSpans
from pipecat_dd.export.spans.tree import SpanTree

_tried = False
_said = False


def begin(session: Session, tree: SpanTree, wanted: bool | None) -> LLMObsSpans | None:
    """Begin to tell a session, if it is to be told.

    Args:
        session: The session.
        tree: Its spans.
        wanted: Whether it is; None where that goes by whether LLM Observability is on.

    Returns:
        What tells it; None where it is not told.
    """
    with _guard.llmobs.guarded():
        if wanted is None:
            wanted = _llmobs.is_wanted() or _llmobs.is_on()
        if wanted and not _llmobs.is_on():
            _turn_on()
        if not _llmobs.is_on():
            return None
        # Also of a session that is not told: integrations report what it asks models.
        _llmobs.answer_active(answer, began, process, empty_rest)
        knows(session)
        if wanted:
            _say_what_is_lacking()
            return LLMObsSpans(session, tree)
    return None


def _turn_on() -> None:
    """Turn LLM Observability on. Once: ddtrace asks the Agent, and waits for its answer."""
    global _tried
    if _tried:
        return
    _tried = True
    why = "DD_LLMOBS_ENABLED turns it off for ddtrace"
    try:
        if _llmobs.enable():
            return
    except Exception as error:
        why = str(error)
        if "agentless" in why:
            why += " (ddtrace asks for that where no Agent answers that takes it.)"
    logger.warning(f"pipecat_dd: LLM Observability is wanted, but stays off in this process: {why}")


def _say_what_is_lacking() -> None:
    """Say, once in a process, that an older ddtrace shows less."""
    global _said
    if not _said and _llmobs.knows_less():
        logger.info(
            "pipecat_dd: ddtrace {} shows less of a session in LLM Observability than later ones. "
            "What that means is in docs/versions.md",
            _ddtrace.ddtrace_version(),
        )
    _said = True

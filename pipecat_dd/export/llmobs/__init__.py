"""Shows a session in Datadog's LLM Observability.

Its spans are those of the trace: a stage for which LLM Observability has a kind is started as one
of its spans, so that both products have the same id for it and link to each other. A stage without
a kind there (a speech segment, a synthesis, a frame) is a span of the trace only; in LLM
Observability, whatever nests under it nests under the nearest stage that has a kind.
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
    """Begin to export a session to LLM Observability, if that is wanted and possible.

    Args:
        session: The session.
        tree: The session's spans.
        wanted: Whether to export it; None exports it if LLM Observability is on.

    Returns:
        The exporter; None if the session is not exported.
    """
    with _guard.llmobs.guarded():
        if wanted is None:
            wanted = _llmobs.is_wanted() or _llmobs.is_on()
        if wanted and not _llmobs.is_on():
            _turn_on()
        if not _llmobs.is_on():
            return None
        # Also if the session is not exported: integrations report its model calls, with content.
        _llmobs.answer_active(answer, began, process, empty_rest)
        knows(session)
        if wanted:
            _say_what_is_lacking()
            return LLMObsSpans(session, tree)
    return None


def _turn_on() -> None:
    """Turn LLM Observability on; only tried once, since ddtrace waits for the Agent's answer."""
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
            why += " (ddtrace requires that if it reaches no Agent that accepts the data.)"
    logger.warning(
        f"pipecat_dd: LLM Observability was requested, but stays off in this process: {why}"
    )


def _say_what_is_lacking() -> None:
    """Log, once per process, that an older ddtrace shows less."""
    global _said
    if not _said and _llmobs.knows_less():
        logger.info(
            "pipecat_dd: ddtrace {} shows less of a session in LLM Observability than later "
            "versions do; docs/versions.md lists what is missing",
            _ddtrace.ddtrace_version(),
        )
    _said = True

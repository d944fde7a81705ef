"""Translates a stage's attributes and content for LLM Observability."""

import json
from collections.abc import Callable
from typing import Any

from pipecat_dd.conversation.model import Kind, Stage
from pipecat_dd.names import tags

TOKENS = {
    tags.GEN_AI_USAGE_INPUT_TOKENS: "input_tokens",
    tags.GEN_AI_USAGE_OUTPUT_TOKENS: "output_tokens",
    tags.GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS: "cache_read_input_tokens",
    tags.GEN_AI_USAGE_CACHE_CREATION_INPUT_TOKENS: "cache_write_input_tokens",
    tags.GEN_AI_USAGE_REASONING_OUTPUT_TOKENS: "reasoning_output_tokens",
}
"""Our names for token counts, and the names by which LLM Observability sums and prices them."""

TAGGED = (
    tags.FLOW_NODE,
    tags.GEN_AI_OUTPUT_TYPE,
    tags.INTERRUPTED,
    tags.LLM_OUTCOME,
    tags.LLM_PURPOSE,
    tags.LLM_SPECULATIVE,
    tags.SESSION_END_REASON,
    tags.SESSION_OUTCOME,
    tags.TOOL_CALL_ID,
    tags.TOOL_OUTCOME,
    tags.TRANSPORT,
    tags.TURN_END_REASON,
    tags.TURN_OUTCOME,
    tags.TURN_WAS_INTERRUPTED,
)
"""Attributes with few values (and a call's id) that are tags there as well."""

_TOLD_ELSEWHERE = (
    tags.FRAME_PREFIX,
    tags.USAGE_PREFIX,
    tags.METRICS_PREFIX,
    tags.processor_frames.prefix,
    tags.TURN_USER_BOT_LATENCY_SECONDS,
)

Redact = Callable[[str], str]


def tags_of(stage: Stage) -> dict[str, str]:
    """Return a stage's tags."""
    facts = stage.attributes
    found = {name: text_of(facts[name]) for name in TAGGED if name in facts}
    if stage.participant_id is not None:
        found[tags.PARTICIPANT_ID] = stage.participant_id
    if stage.kind is Kind.TURN and tags.TURN_NUMBER in facts:
        found["turn_id"] = f"{stage.session.id}:{facts[tags.TURN_NUMBER]}"
    if stage.processor is not None:
        found[tags.PROCESSOR_NAME] = stage.processor.name
    return found


def metrics_of(stage: Stage, *, with_tokens: bool) -> dict[str, float]:
    """Return a stage's metrics.

    Args:
        stage: The stage.
        with_tokens: Whether to include token counts. False if an integration's span has them, so
            that they are not counted twice.
    """
    facts = stage.attributes
    metrics: dict[str, float] = {}
    if stage.kind is Kind.LLM:
        if with_tokens:
            for name, known_as in TOKENS.items():
                _add(metrics, known_as, facts.get(name))
            if "input_tokens" in metrics or "output_tokens" in metrics:
                sides = (metrics.get("input_tokens", 0), metrics.get("output_tokens", 0))
                metrics["total_tokens"] = sum(sides)
        first = facts.get(tags.METRICS_TTFAT, facts.get(tags.METRICS_TTFB))
        _add(metrics, "time_to_first_token", first)
    if stage.kind is Kind.TURN:
        _add(metrics, "user_bot_latency_seconds", facts.get(tags.TURN_USER_BOT_LATENCY_SECONDS))
    return metrics


def metadata_of(stage: Stage) -> dict[str, Any]:
    """Return a stage's other attributes: its settings and counts."""
    return {
        name.removeprefix(tags.gen_ai_request.prefix): value
        for name, value in stage.attributes.items()
        if not isinstance(value, (str, bool)) and not name.startswith(_TOLD_ELSEWHERE)
    }


def messages_of(text: str, redact: Redact) -> list[dict[str, str]]:
    """Return the messages sent to a model, as far as their JSON was kept.

    Args:
        text: A list of messages as JSON, whose end may be cut off.
        redact: Redacts a text.
    """
    decoder, messages, at = json.JSONDecoder(), [], 1
    while at < len(text):
        try:
            message, at = decoder.raw_decode(text, at)
        except ValueError:
            break
        if isinstance(message, dict):
            said = message.get("content") or message.get("tool_calls") or ""
            said = said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)
            messages.append({"role": str(message.get("role", "")), "content": redact(said)})
        at += len(text[at:]) - len(text[at:].lstrip(", "))
    return messages or [{"role": "", "content": redact(text)}]


def _add(metrics: dict[str, float], name: str, value: object) -> None:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        metrics[name] = value


def text_of(value: object) -> str:
    """Return an attribute's value as a tag has it."""
    return str(value).lower() if isinstance(value, bool) else str(value)

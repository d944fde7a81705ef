"""Translates Pipecat's metrics to the tags that they have on spans."""

from typing import Any

from pipecat_dd.conversation.model import AttributeValue
from pipecat_dd.names import tags

_LATENCIES = {
    "TTFBMetricsData": ("value", tags.METRICS_TTFB),
    "TTFAMetricsData": ("ttfa", tags.METRICS_TTFA),
    "TTFATMetricsData": ("ttfat", tags.METRICS_TTFAT),
}
_TOKENS = {
    "prompt_tokens": tags.GEN_AI_USAGE_INPUT_TOKENS,
    "completion_tokens": tags.GEN_AI_USAGE_OUTPUT_TOKENS,
    "cache_read_input_tokens": tags.GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS,
    "cache_creation_input_tokens": tags.GEN_AI_USAGE_CACHE_CREATION_INPUT_TOKENS,
    "reasoning_tokens": tags.GEN_AI_USAGE_REASONING_OUTPUT_TOKENS,
    "input_audio_tokens": tags.GEN_AI_USAGE_AUDIO_INPUT_TOKENS,
    "output_audio_tokens": tags.GEN_AI_USAGE_AUDIO_OUTPUT_TOKENS,
}


def figures_of(data: Any) -> tuple[dict[str, AttributeValue], dict[str, AttributeValue]]:
    """Return the figures of one measurement: first those to set, then those to add up.

    Args:
        data: One entry of a ``MetricsFrame``.
    """
    kind = type(data).__name__
    if kind in _LATENCIES:
        attribute, name = _LATENCIES[kind]
        value = getattr(data, attribute, None)
        return ({name: value} if isinstance(value, (int, float)) else {}), {}
    if kind == "LLMUsageMetricsData":
        tokens = {name: getattr(data.value, attr, None) for attr, name in _TOKENS.items()}
        return {}, {name: n for name, n in tokens.items() if isinstance(n, (int, float))}
    if kind == "TTSUsageMetricsData":
        return {}, {tags.METRICS_CHARACTER_COUNT: data.value}
    if kind == "STTUsageMetricsData":
        return {}, {tags.METRICS_AUDIO_SECONDS: data.value.audio_seconds}
    return {}, {}

"""What Pipecat's metrics say, by the names that it has on spans."""

from typing import Any

from pipecat_dd.conversation.model import AttributeValue

_LATENCIES = {
    "TTFBMetricsData": ("value", "metrics.ttfb"),
    "TTFAMetricsData": ("ttfa", "metrics.ttfa"),
    "TTFATMetricsData": ("ttfat", "metrics.ttfat"),
}
_TOKENS = {
    "prompt_tokens": "gen_ai.usage.input_tokens",
    "completion_tokens": "gen_ai.usage.output_tokens",
    "cache_read_input_tokens": "gen_ai.usage.cache_read.input_tokens",
    "cache_creation_input_tokens": "gen_ai.usage.cache_creation.input_tokens",
    "reasoning_tokens": "gen_ai.usage.reasoning.output_tokens",
    "input_audio_tokens": "gen_ai.usage.audio.input_tokens",
    "output_audio_tokens": "gen_ai.usage.audio.output_tokens",
}


def figures_of(data: Any) -> tuple[dict[str, AttributeValue], dict[str, AttributeValue]]:
    """Return the figures of one measurement: those to note, and those to add up.

    Args:
        data: One of a ``MetricsFrame``'s.
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
        return {}, {"metrics.character_count": data.value}
    if kind == "STTUsageMetricsData":
        return {}, {"metrics.audio_seconds": data.value.audio_seconds}
    return {}, {}

"""Reads rulings on whether the user has finished: a model's, a service's, an answering model's."""

from collections.abc import Mapping
from typing import Any

from pipecat_dd._private import peek

_INCOMPLETE = frozenset("◐○")
"""The markers by which a model that answers rules that the user has not finished."""


def ruling_of(result: Any) -> tuple[bool | None, Any]:
    """Return what a turn detection model has ruled, and its measurements.

    Args:
        result: What ``analyze_end_of_turn`` returned.

    Returns:
        Whether the user has finished, None if it has not ruled; and the measurements, if any.
    """
    if not isinstance(result, tuple) or len(result) != 2:
        return None, None
    name = getattr(result[0], "name", None)
    return {"COMPLETE": True, "INCOMPLETE": False}.get(str(name)), result[1]


def measured_ruling(data: Any) -> tuple[float | None, float | None]:
    """Return a ruling's probability, and how many seconds the model took; None if unknown.

    Args:
        data: A ``TurnMetricsData``, or None.
    """
    took_ms = _number(getattr(data, "inference_time_ms", None)) or _number(
        getattr(data, "e2e_processing_time_ms", None)
    )
    return _number(getattr(data, "probability", None)), (
        took_ms / 1e3 if took_ms is not None else None
    )


def end_of_turn_confidence(frame: Any) -> float | None:
    """Return how sure a service is that the user's turn has ended; None where it does not say.

    Args:
        frame: A transcription, which holds the provider's own message.
    """
    message = getattr(frame, "result", None)
    name = "end_of_turn_confidence"
    found = message.get(name) if isinstance(message, Mapping) else getattr(message, name, None)
    return _number(found)


def is_incomplete_marker(service: Any, marker: str) -> bool:
    """Whether a marker says that the user has not finished.

    Args:
        service: The LLM service that pushed it, whose markers may be its own.
        marker: The marker.
    """
    config = peek(service, "_user_turn_completion_config")
    short = getattr(config, "incomplete_short_marker", None)
    long = getattr(config, "incomplete_long_marker", None)
    return bool(marker) and (marker in (short, long) if short or long else marker in _INCOMPLETE)


def _number(value: Any) -> float | None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number else None

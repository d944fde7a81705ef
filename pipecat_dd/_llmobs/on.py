"""Whether LLM Observability is on, turning it on, and the name it files everything under."""

import functools
import inspect
import os
import sys
from collections.abc import Callable
from typing import Any

import ddtrace

from pipecat_dd import _ddtrace

_TRUE = ("true", "1", "yes", "on")


def is_wanted() -> bool:
    """Whether the environment turns LLM Observability on (``DD_LLMOBS_ENABLED``)."""
    return os.environ.get("DD_LLMOBS_ENABLED", "").strip().lower() in _TRUE


def is_on() -> bool:
    """Whether LLM Observability is on in this process. Imports nothing."""
    found = getattr(sys.modules.get("ddtrace.llmobs"), "LLMObs", None)
    return bool(getattr(found, "enabled", False))


def has_name() -> bool:
    """Whether there is a name for the application, which everything is filed under."""
    return bool(os.environ.get("DD_LLMOBS_ML_APP") or _ddtrace.service())


def enable() -> bool:
    """Turn LLM Observability on.

    Returns:
        Whether it is on: ``DD_LLMOBS_ENABLED=false`` wins over everything.

    Raises:
        ValueError: ddtrace lacks what it needs; says what.
    """
    enable = llmobs().enable
    enable(**named(enable))
    return is_on()


def knows_less() -> bool:
    """Whether this ddtrace sends the product's spans apart from the trace, as 4.0 does.

    It then knows neither a span's own name, nor whose session one is of that is opened beneath
    it, nor whether the session is sampled.
    """
    return not hasattr(llmobs()._instance, "_apply_user_span_processor")


def llmobs() -> Any:
    """Return ddtrace's ``LLMObs``, which is imported when it is first wanted."""
    from ddtrace.llmobs import LLMObs

    return LLMObs


def named(function: Callable[..., Any]) -> dict[str, str]:
    """Name the application where ddtrace would not take the service for it."""
    if _takes_service_for_it(function):
        return {}
    name = getattr(ddtrace.config, "_llmobs_ml_app", None) or _ddtrace.service()
    return {"ml_app": str(name)} if name else {}


@functools.cache
def _takes_service_for_it(function: Callable[..., Any]) -> bool:
    return "agent_service" in inspect.signature(function).parameters

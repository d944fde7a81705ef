"""Checks whether LLM Observability is on, turns it on, and names the application for it."""

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
    """Whether there is a name for the application, without which nothing can be sent."""
    return bool(os.environ.get("DD_LLMOBS_ML_APP") or _ddtrace.service())


def enable() -> bool:
    """Turn LLM Observability on.

    Returns:
        Whether it is on: ``DD_LLMOBS_ENABLED=false`` takes precedence over this call.

    Raises:
        ValueError: ddtrace lacks a setting; the message says which.
    """
    enable = llmobs().enable
    enable(**named(enable))
    return is_on()


def knows_less() -> bool:
    """Whether this ddtrace sends the product's spans apart from the trace, as 4.0 does.

    It then supports neither a name of its own for a span, nor the session's id on spans nested
    under it, nor a sampling decision for the whole session.
    """
    return not hasattr(llmobs()._instance, "_apply_user_span_processor")


def llmobs() -> Any:
    """Return ddtrace's ``LLMObs``, which is imported when it is first needed."""
    from ddtrace.llmobs import LLMObs

    return LLMObs


def named(function: Callable[..., Any]) -> dict[str, str]:
    """Return the argument that names the application, if ddtrace does not use the service."""
    if _takes_service_for_it(function):
        return {}
    name = getattr(ddtrace.config, "_llmobs_ml_app", None) or _ddtrace.service()
    return {"ml_app": str(name)} if name else {}


@functools.cache
def _takes_service_for_it(function: Callable[..., Any]) -> bool:
    return "agent_service" in inspect.signature(function).parameters

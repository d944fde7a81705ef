"""Finds the model behind a processor that responds like a model but is not an LLM service."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from pipecat_dd._pipecat.services import is_a
from pipecat_dd._private import peek


def model_behind(processor: Any) -> tuple[str, str | None]:
    """Return the provider and model of a processor that responds but is not an LLM service.

    Args:
        processor: LangChain's, Strands', or one of the user's own.

    Returns:
        The provider, empty if unknown, and the model, None if unknown.
    """
    for found in _held(processor):
        for read in (_langchain_model, _strands_model):
            model = read(found)
            if model is not None:
                return model
    settings = getattr(processor, "settings", None)
    for holder in (settings, processor):
        for name in ("model", "model_name"):
            value = getattr(holder, name, None)
            if isinstance(value, str) and value:
                return "", value
    return "", None


_MAX_HELD = 256
_PARTS = ("bound", "first", "middle", "last", "steps", "model", "runnable", "nodes")
_FUNCTIONS = ("func", "afunc", "_transform", "_atransform")
_FRAMEWORKS = ("langchain", "langgraph", "strands")


def _held(processor: Any) -> Iterator[Any]:
    """Yield the parts of a processor's chain or agent, the outermost first."""
    waiting = [peek(processor, "_chain"), getattr(processor, "agent", None)]
    seen: set[int] = set()
    while waiting and len(seen) < _MAX_HELD:
        found = waiting.pop(0)
        if isinstance(found, dict):
            found = list(found.values())
        if isinstance(found, (list, tuple)):
            waiting += found[:_MAX_HELD]
        elif type(found).__module__.startswith(_FRAMEWORKS) and id(found) not in seen:
            seen.add(id(found))
            yield found
            # Read from __dict__: a framework's attribute may be computed, and run code.
            for name in (*_PARTS, *_FUNCTIONS):
                part = peek(found, "__dict__", {}).get(name)
                if part is not None:
                    waiting += _closure(part) if name in _FUNCTIONS else [part]


def _closure(function: Any) -> list[Any]:
    """Return what a chain's function has in its closure, mostly other chains."""
    held = []
    for cell in getattr(function, "__closure__", None) or ():
        with contextlib.suppress(ValueError):  # an empty one
            held.append(cell.cell_contents)
    return held


_LANGCHAIN = {
    "langchain_openai": "openai",
    "langchain_anthropic": "anthropic",
    "langchain_aws": "aws.bedrock",
    "langchain_google_genai": "gcp.gemini",
    "langchain_google_vertexai": "gcp.vertex_ai",
    "langchain_groq": "groq",
    "langchain_mistralai": "mistral_ai",
}


def _langchain_model(found: Any) -> tuple[str, str] | None:
    if not is_a(found, "BaseChatModel", "BaseLLM"):
        return None
    for name in ("model_name", "model", "model_id"):
        value = getattr(found, name, None)
        if isinstance(value, str) and value:
            return _LANGCHAIN.get(type(found).__module__.partition(".")[0], ""), value
    return None


_STRANDS = {"bedrock": "aws.bedrock", "openai": "openai", "anthropic": "anthropic"}


def _strands_model(found: Any) -> tuple[str, str] | None:
    module = type(found).__module__
    if not module.startswith("strands.models."):
        return None
    config: Callable[[], Any] | None = getattr(found, "get_config", None)
    value = config().get("model_id") if config is not None else None
    provider = _STRANDS.get(module.rpartition(".")[2], "")
    return (provider, value) if isinstance(value, str) and value else None

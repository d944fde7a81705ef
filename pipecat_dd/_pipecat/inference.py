"""Finds how LLM services run inference outside the pipeline, and how many tokens it uses.

``run_inference`` returns text and reports no usage. If the service uses an SDK, the SDK's answer
has it.
"""

import sys
from collections.abc import Iterator, Mapping
from types import FunctionType
from typing import Any, NamedTuple

from pipecat_dd._pipecat.services import is_a
from pipecat_dd._private import peek
from pipecat_dd.names import tags

RUN_INFERENCE = "run_inference"


def inference_classes() -> Iterator[type]:
    """Yield the classes of LLM services, imported so far, that define ``run_inference``.

    The base class is left out, since its method only raises.
    """
    base = getattr(sys.modules.get("pipecat.services.llm_service"), "LLMService", None)
    waiting = [] if base is None else base.__subclasses__()
    seen = set()
    while waiting:
        kind = waiting.pop()
        if kind not in seen:
            seen.add(kind)
            waiting += kind.__subclasses__()
            if isinstance(kind.__dict__.get(RUN_INFERENCE), FunctionType):
                yield kind


class Call(NamedTuple):
    """An SDK's method that calls a model.

    Attributes:
        owner: The object that has the method.
        name: The method's name.
    """

    owner: Any
    name: str


_SDKS = ("openai.", "anthropic.", "google.genai.")


def asking_call(service: Any) -> Call | None:
    """Return the SDK's method with which an LLM service runs inference; None if unknown."""
    if is_a(service, "BaseOpenAILLMService"):
        path, name = "chat.completions", "create"
    elif is_a(service, "_BaseOpenAIResponsesLLMService"):
        path, name = "responses", "create"
    elif is_a(service, "AnthropicLLMService"):
        path, name = "beta.messages", "create"
    elif is_a(service, "GoogleLLMService"):
        path, name = "aio.models", "generate_content"
    else:
        return None
    owner = peek(service, "_client")
    for step in path.split("."):
        owner = getattr(owner, step, None)
    # Only an SDK's own object is patched, and not, for example, a mock whose calls a test checks.
    is_sdks = type(owner).__module__.startswith(_SDKS)
    return Call(owner, name) if is_sdks and callable(getattr(owner, name, None)) else None


def bedrock_session(service: Any) -> Any:
    """Return the AWS session through which a service calls Bedrock, or None."""
    session = peek(service, "_aws_session") if is_a(service, "AWSBedrockLLMService") else None
    return session if callable(getattr(session, "register", None)) else None


BEDROCK_ANSWERED = "after-call.bedrock-runtime.Converse"
"""botocore's event for an answer that has arrived."""

_INPUT, _OUTPUT = tags.GEN_AI_USAGE_INPUT_TOKENS, tags.GEN_AI_USAGE_OUTPUT_TOKENS
_CACHED = tags.GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS
_CACHED_NOW = tags.GEN_AI_USAGE_CACHE_CREATION_INPUT_TOKENS
_REASONING = tags.GEN_AI_USAGE_REASONING_OUTPUT_TOKENS

_TOKENS = (
    # The SDKs' names: those of OpenAI's two APIs, Anthropic's, Google's, AWS's.
    ("prompt_tokens", _INPUT),
    ("completion_tokens", _OUTPUT),
    ("prompt_tokens_details.cached_tokens", _CACHED),
    ("prompt_tokens_details.cache_write_tokens", _CACHED_NOW),
    ("completion_tokens_details.reasoning_tokens", _REASONING),
    ("input_tokens", _INPUT),
    ("output_tokens", _OUTPUT),
    ("input_tokens_details.cached_tokens", _CACHED),
    ("output_tokens_details.reasoning_tokens", _REASONING),
    ("output_tokens_details.thinking_tokens", _REASONING),
    ("cache_read_input_tokens", _CACHED),
    ("cache_creation_input_tokens", _CACHED_NOW),
    ("prompt_token_count", _INPUT),
    ("candidates_token_count", _OUTPUT),
    ("cached_content_token_count", _CACHED),
    ("thoughts_token_count", _REASONING),
    ("inputTokens", _INPUT),
    ("outputTokens", _OUTPUT),
    ("cacheReadInputTokens", _CACHED),
    ("cacheWriteInputTokens", _CACHED_NOW),
)


def tokens_of(answer: Any) -> dict[str, int]:
    """Return the tokens that an SDK's answer reports, by their tags on spans."""
    usage = None
    for name in ("usage", "usage_metadata"):
        usage = usage or _get(answer, name)
    tokens: dict[str, int] = {}
    for path, known_as in _TOKENS:
        value = usage
        for step in path.split("."):
            value = _get(value, step)
        if isinstance(value, int) and not isinstance(value, bool):
            tokens.setdefault(known_as, value)
    if _get(usage, "candidates_token_count") is not None and _REASONING in tokens:
        # Google counts thinking separately; Pipecat reports it as output, and so do we.
        tokens[_OUTPUT] += tokens[_REASONING]
    return tokens


def _get(holder: Any, name: str) -> Any:
    if isinstance(holder, Mapping):
        return holder.get(name)
    return getattr(holder, name, None)

"""What LLM services are asked beside the pipeline: by which methods, and what it used.

``run_inference`` returns text and reports no usage. Where the service asks through an SDK, the
SDK's answer has it.
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

    The base class's is left out: it only says that a service cannot.
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
    """A method of an SDK's that asks a model.

    Attributes:
        owner: What has it.
        name: Its name.
    """

    owner: Any
    name: str


_SDKS = ("openai.", "anthropic.", "google.genai.")


def asking_call(service: Any) -> Call | None:
    """Return the SDK's method by which a service runs an inference, where that is known.

    Args:
        service: The LLM service.
    """
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
    # Nothing else is touched: a test's stand-in, say, that is asked afterwards how it was called.
    is_sdks = type(owner).__module__.startswith(_SDKS)
    return Call(owner, name) if is_sdks and callable(getattr(owner, name, None)) else None


def bedrock_session(service: Any) -> Any:
    """Return the AWS session through which a service asks Bedrock, or None."""
    session = peek(service, "_aws_session") if is_a(service, "AWSBedrockLLMService") else None
    return session if callable(getattr(session, "register", None)) else None


BEDROCK_ANSWERED = "after-call.bedrock-runtime.Converse"
"""botocore's event of an answer that has come."""

_INPUT, _OUTPUT = tags.GEN_AI_USAGE_INPUT_TOKENS, tags.GEN_AI_USAGE_OUTPUT_TOKENS
_CACHED = tags.GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS
_CACHED_NOW = tags.GEN_AI_USAGE_CACHE_CREATION_INPUT_TOKENS
_REASONING = tags.GEN_AI_USAGE_REASONING_OUTPUT_TOKENS

_TOKENS = (
    # As SDKs call them: OpenAI's two, Anthropic's, Google's, AWS's.
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
    """Return what an SDK says that an answer used, by the names that it has on spans.

    Args:
        answer: The SDK's answer.
    """
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
        # Google counts thinking apart, and it is output all the same: so Pipecat reports it.
        tokens[_OUTPUT] += tokens[_REASONING]
    return tokens


def _get(holder: Any, name: str) -> Any:
    if isinstance(holder, Mapping):
        return holder.get(name)
    return getattr(holder, name, None)

"""A processor's part in the conversation, and the provider, model and settings behind it."""

import re
import sys
from typing import Any

from pipecat_dd._private import peek
from pipecat_dd.conversation.model import AttributeValue, Role, Service
from pipecat_dd.names import tags

_ROLES = (
    ("pipecat.services.llm_service", "LLMService", Role.LLM),
    ("pipecat.services.vision_service", "VisionService", Role.LLM),
    ("pipecat.services.stt_service", "STTService", Role.STT),
    ("pipecat.services.tts_service", "TTSService", Role.TTS),
    ("pipecat.transports.base_input", "BaseInputTransport", Role.INPUT),
    ("pipecat.transports.base_output", "BaseOutputTransport", Role.OUTPUT),
)

_PROVIDERS = {
    # Where the provider's name by OpenTelemetry's GenAI conventions is not the class's.
    "AWSBedrock": "aws.bedrock",
    "AWSNovaSonic": "aws.bedrock",
    "AWSPolly": "aws.polly",
    "AWSTranscribe": "aws.transcribe",
    "Azure": "azure.ai.openai",
    "GeminiLive": "gcp.gemini",
    "GeminiLiveVertex": "gcp.vertex_ai",
    "Google": "gcp.gemini",
    "GoogleVertex": "gcp.vertex_ai",
    "Grok": "x_ai",
    "Mistral": "mistral_ai",
    "OpenAIRealtime": "openai",
    "OpenAIResponses": "openai",
    "OpenAIResponsesHttp": "openai",
    "AzureRealtime": "azure.ai.openai",
}

_OF_A_PROVIDER = re.compile(r"pipecat\.services\.\w+\.")
"""The modules of services for one provider; the base classes are in modules right below."""

IN_PROCESS = frozenset(
    {"KokoroTTSService", "MoondreamService", "PiperTTSService", "PocketTTSService"}
)
"""Services of Pipecat's whose model runs in the bot's own process: they make no call."""

_CLIENTS = (
    ("aiohttp", "ClientSession"),
    ("httpx", "AsyncClient"),
    ("httpx2", "AsyncClient"),
    ("openai", "AsyncOpenAI"),
)
"""What a service of the user's own calls its provider with, where it holds one."""

_NONE = object()

_REQUEST_SETTINGS = (
    "temperature",
    "max_tokens",
    "max_completion_tokens",
    "top_p",
    "top_k",
    "frequency_penalty",
    "presence_penalty",
    "seed",
)


def role_of(processor: Any) -> Role:
    """Return what a processor does for the conversation."""
    for module, name, role in _ROLES:
        kind = _imported(module, name)
        if kind is not None and isinstance(processor, kind):
            return role
    return Role.OTHER


def is_a(instance: Any, *class_names: str) -> bool:
    """Whether an object is of a class of that name, or of a subclass, imported or not."""
    return any(kind.__name__ in class_names for kind in type(instance).__mro__)


def service_of(processor: Any) -> Service:
    """Return the provider, model and settings of a service as they are at this moment.

    Args:
        processor: An LLM, STT or TTS service.
    """
    settings = getattr(processor, "settings", None) or peek(processor, "_settings")
    facts: dict[str, AttributeValue] = {}
    role = role_of(processor)
    if role is Role.LLM:
        for name in _REQUEST_SETTINGS:
            value = getattr(settings, name, None)
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                facts[tags.gen_ai_request(name)] = value
    elif role is Role.TTS:
        voice = getattr(settings, "voice", None)
        if isinstance(voice, str) and voice:
            facts[tags.TTS_VOICE] = voice
    model = getattr(settings, "model", None)
    return Service(
        _provider(type(processor)),
        model if isinstance(model, str) else None,
        facts,
        is_remote=_is_remote(processor),
    )


def _is_remote(processor: Any) -> bool:
    """Whether a service calls its provider over the network; False where that is not known."""
    kind = _provided(type(processor))
    if kind is not None:
        return kind.__name__ not in IN_PROCESS
    websocket_service = _imported("pipecat.services.websocket_service", "WebsocketService")
    if websocket_service is not None and isinstance(processor, websocket_service):
        return True
    if peek(processor, "_websocket", _NONE) is not _NONE:
        return True
    clients = tuple(found for one in _CLIENTS if (found := _imported(*one)) is not None)
    held = peek(processor, "__dict__", {}).values()
    # By its type: a proxy's `__class__` may be computed, and raise.
    return any(issubclass(type(value), clients) for value in list(held))


def _imported(module: str, name: str) -> Any:
    # A class whose module nobody has imported has no instances.
    return getattr(sys.modules.get(module), name, None)


def _provided(kind: type) -> type | None:
    """Return the class of Pipecat's for one provider that a service is of, if it is of one."""
    # A user's subclass of a service still talks to the service's provider.
    return next((k for k in kind.__mro__ if _OF_A_PROVIDER.match(k.__module__)), None)


def _provider(kind: type) -> str:
    name = (_provided(kind) or kind).__name__
    for suffix in ("LLMService", "STTService", "TTSService", "Service"):
        if name.endswith(suffix) and name != suffix:
            name = name.removesuffix(suffix)
            break
    if name not in _PROVIDERS:
        # The provider is the same, whatever it is called over.
        name = re.sub(r"(?<=.)(Http|HTTP)$", "", name)
    return _PROVIDERS.get(name, name.lower())


def is_realtime(processor: Any) -> bool:
    """Whether an LLM service begins responses of itself, on what it hears or is shown.

    Args:
        processor: The service.
    """
    if not hasattr(processor, "service_metadata_frame") and is_a(processor, "VisionService"):
        return True
    try:
        return bool(processor.service_metadata_frame().is_realtime_service)
    except Exception:
        # Before Pipecat 1.5 services did not say.
        names = " ".join(kind.__name__ for kind in type(processor).__mro__)
        return any(word in names for word in ("Realtime", "GeminiLive", "NovaSonic", "Ultravox"))


def analyzer_of(*processors: Any) -> str | None:
    """Return the class of the voice activity detector that processors ask, if one does.

    Args:
        *processors: The processors, the likeliest first.
    """
    for processor in processors:
        for analyzer in (
            getattr(peek(processor, "_params"), "vad_analyzer", None),
            peek(peek(processor, "_vad_controller"), "_vad_analyzer"),
        ):
            if analyzer is not None:
                return type(analyzer).__name__
    return None


def stop_strategy_of(*processors: Any) -> str | None:
    """Return the class of what rules that the user's turn has ended, where there is one.

    Args:
        *processors: The pipeline's processors.
    """
    for processor in processors:
        strategies = getattr(peek(processor, "_params"), "user_turn_strategies", None)
        stop = getattr(strategies, "stop", None)
        if isinstance(stop, (list, tuple)) and len(stop) == 1:
            return type(stop[0]).__name__
    return None

"""Determines a processor's role in the conversation, and a service's provider and model."""

import gc
import re
import sys
from typing import Any

from pipecat_dd._pipecat.class_memo import ClassMemo
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
    # Providers whose name in OpenTelemetry's GenAI conventions differs from that in the class.
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
"""The modules of services for one provider; base classes are in modules one level higher."""

IN_PROCESS = frozenset(
    {"KokoroTTSService", "MoondreamService", "PiperTTSService", "PocketTTSService"}
)
"""Pipecat's services whose model runs in the bot's own process and which make no network call."""

_CLIENTS = (
    ("aiohttp", "ClientSession"),
    ("httpx", "AsyncClient"),
    ("httpx2", "AsyncClient"),
    ("openai", "AsyncOpenAI"),
)
"""Network clients; a user's own service that holds one is remote."""

_FIRST_BYTE_SECS = 2.0
"""Pipecat's default for how long a transcriber waits until it reports its time to first byte."""

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
    """Return a processor's role in the conversation, which its class decides."""
    return _role_of(type(processor))


def _role_of_class(kind: type) -> Role:
    for module, name, role in _ROLES:
        base = _imported(module, name)
        if base is not None and issubclass(kind, base):
            return role
    return Role.OTHER


_role_of = ClassMemo(_role_of_class)


def is_a(instance: Any, *class_names: str) -> bool:
    """Whether an object's class, or a base class, has one of these names; imports nothing."""
    return not _names_of(type(instance)).isdisjoint(class_names)


def _names_of_class(kind: type) -> frozenset[str]:
    return frozenset(base.__name__ for base in kind.__mro__)


_names_of = ClassMemo(_names_of_class)


def service_of(processor: Any) -> Service:
    """Return the present provider, model and settings of a service.

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
        first_byte_secs=_first_byte_secs(processor) if role is Role.STT else 0.0,
    )


def _first_byte_secs(processor: Any) -> float:
    """Return how long a transcriber may wait until it reports its time to first byte; 0 for ever.

    It waits for words that may follow, unless a transcription is marked as the last.
    """
    if not (processor.metrics_enabled and processor.can_generate_metrics()):
        return 0.0
    secs = peek(processor, "_stt_ttfb_timeout")
    return float(secs) if isinstance(secs, (int, float)) else _FIRST_BYTE_SECS


def _is_remote(processor: Any) -> bool:
    """Whether a service calls its provider over the network; False if unknown."""
    kind = _provided(type(processor))
    if kind is not None:
        return kind.__name__ not in IN_PROCESS
    websocket_service = _imported("pipecat.services.websocket_service", "WebsocketService")
    if websocket_service is not None and isinstance(processor, websocket_service):
        return True
    if peek(processor, "_websocket", _NONE) is not _NONE:
        return True
    clients = tuple(found for one in _CLIENTS if (found := _imported(*one)) is not None)
    held = attribute_values(processor)
    # Not isinstance(): a proxy's `__class__` may be computed, and raise.
    return any(issubclass(type(value), clients) for value in held)


def attribute_values(instance: Any) -> list[Any]:
    """Return what a Pipecat object refers to: its attributes' values, and perhaps its class.

    They are not taken from ``__dict__``. Until Python 3.12 an object has no such dictionary before
    somebody asks for it, and from then on each access to one of its attributes is slower. A
    pipeline accesses those of its processors some hundred times for each piece of audio.
    """
    held = gc.get_referents(instance)
    for one in held:
        # It has a dictionary, which every such object's list of events is in.
        if type(one) is dict and "_event_handlers" in one:
            return list(one.values())
    return held


def _imported(module: str, name: str) -> Any:
    # A class whose module is not imported has no instances.
    return getattr(sys.modules.get(module), name, None)


def _provided(kind: type) -> type | None:
    """Return Pipecat's own service class among a class and its bases; None if there is none."""
    # A user's subclass of a service still talks to the service's provider.
    return next((k for k in kind.__mro__ if _OF_A_PROVIDER.match(k.__module__)), None)


def _provider(kind: type) -> str:
    name = (_provided(kind) or kind).__name__
    for suffix in ("LLMService", "STTService", "TTSService", "Service"):
        if name.endswith(suffix) and name != suffix:
            name = name.removesuffix(suffix)
            break
    if name not in _PROVIDERS:
        # The provider does not depend on the protocol.
        name = re.sub(r"(?<=.)(Http|HTTP)$", "", name)
    return _PROVIDERS.get(name, name.lower())


def is_realtime(processor: Any) -> bool:
    """Whether an LLM service begins responses by itself, from audio or images."""
    if not hasattr(processor, "service_metadata_frame") and is_a(processor, "VisionService"):
        return True
    try:
        return bool(processor.service_metadata_frame().is_realtime_service)
    except Exception:
        # Before Pipecat 1.5, only the name of its class shows it.
        names = " ".join(kind.__name__ for kind in type(processor).__mro__)
        return any(word in names for word in ("Realtime", "GeminiLive", "NovaSonic", "Ultravox"))


def analyzer_of(*processors: Any) -> str | None:
    """Return the class name of the processors' voice activity detector; None if none has one.

    Args:
        *processors: The first one that has a detector counts.
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
    """Return the class name of the strategy that ends the user's turn; None if not exactly one."""
    for processor in processors:
        strategies = getattr(peek(processor, "_params"), "user_turn_strategies", None)
        stop = getattr(strategies, "stop", None)
        if isinstance(stop, (list, tuple)) and len(stop) == 1:
            return type(stop[0]).__name__
    return None

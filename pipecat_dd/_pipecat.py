"""The one door to Pipecat's internals.

What differs between Pipecat's versions, and what is not public, is asked for here and nowhere
else. Everything private is listed in :data:`PRIVATE`; where it is missing, the answer is less
and never an exception.
"""

import inspect
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Set
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as package_version
from typing import Any

from pipecat.frames import frames as _frames
from pipecat.observers.base_observer import FrameProcessed, FramePushed
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from pipecat_dd.knowing.processor import Role, Service
from pipecat_dd.knowing.stage import Fact

PRIVATE: dict[str, str] = {
    "BaseObject._run_handler": "what a handler of an event raises; Pipecat only logs it",
    "BaseObject._call_event_handler": "when a transport's event is dispatched",
    "BaseObject._event_handlers": "whether an event has handlers, and which events there are",
    "<input and output processors>._client": "the way to the transport where there is no "
    "`_transport`: the callbacks, or listeners, that the client calls are the transport's",
    "DailyTransport._client._joined_event": "whether the bot is in the room already, and with "
    "whom, where the observer is added late",
    "LiveKitTransport._client.room": "a participant's name and attributes",
    "<websocket transports>._params.serializer._call_sid": "the call's id at Twilio, Telnyx "
    "(_call_control_id), Plivo (_call_id) and Exotel, or its stream's (_stream_sid, _stream_id)",
    "WorkerObserver._proxies, FrameProcessor._setup": "the observer's own queue, so that what "
    "is heard in the processors is not queued as well",
    "FrameProcessor._enable_direct_mode": "whether a processor runs in its pusher's task",
    "AIService._settings": "a service's model and voice, before the public `settings` (1.9)",
    "BaseInputTransport._transport": "the transport's class, for a tag",
    "<websocket services>._websocket": "whether a service is reached over a websocket",
    "PipelineWorker._conversation_id": "the worker's conversation id, for a tag",
    "LLMUserAggregator._params": "the classes of the voice activity detector and of the "
    "strategy that ends the user's turn, for resources",
    "VADProcessor._vad_controller": "the same, where the detector is a processor of its own",
    "BaseInputTransport._params": "the same, where the detector is the transport's (1.0)",
}
"""What is used here without being public, and what it is used for."""

DOWNSTREAM = FrameDirection.DOWNSTREAM
"""The way that frames go unless said otherwise."""

_COMPOUND = "pipecat.pipeline."
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
    "AzureRealtime": "azure.ai.openai",
}

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


def pipecat_version() -> str:
    """Return the version of Pipecat that is installed."""
    try:
        return package_version("pipecat-ai")
    except PackageNotFoundError:
        return "unknown"


def frame_class(name: str) -> type | None:
    """Return a frame's class, or None where this version of Pipecat has none of that name.

    Args:
        name: The class's name in ``pipecat.frames.frames``.
    """
    found = getattr(_frames, name, None)
    return found if isinstance(found, type) else None


def is_compound(processor: Any) -> bool:
    """Whether a processor is one of Pipecat's own that only hold others, or their ends.

    A user's subclass of one is not: it may do work of its own.

    Args:
        processor: The processor.
    """
    return type(processor).__module__.startswith(_COMPOUND)


def walk(processor: Any) -> Iterator[Any]:
    """Yield a processor and all that it holds, in the pipeline's order.

    Args:
        processor: The outermost.
    """
    yield processor
    for inner in getattr(processor, "processors", None) or ():
        yield from walk(inner)


def outermost(processor: Any) -> Any:
    """Return the outermost pipeline that a processor runs in, as far as that is known.

    Args:
        processor: A processor that has been set up. From Pipecat 1.8 on it leads to its
            worker; before, the first to be heard of is the outermost itself.
    """
    try:
        return processor.pipeline_worker.pipeline
    except Exception:
        return processor


def worker_of(processor: Any) -> Any:
    """Return the worker that runs a processor's pipeline, or None where it is not known."""
    try:
        return processor.pipeline_worker
    except Exception:
        return None


def conversation_id(worker: Any) -> str | None:
    """Return the ``conversation_id`` that a worker was given, if it was."""
    found = getattr(worker, "_conversation_id", None)
    return str(found) if found else None


def transport_of(processors: Iterable[Any]) -> str | None:
    """Return the class of the transport that a pipeline talks through.

    Args:
        processors: The pipeline's processors.
    """
    for processor in processors:
        if role_of(processor) in (Role.INPUT, Role.OUTPUT):
            transport = getattr(processor, "_transport", None)
            if transport is not None:
                return type(transport).__name__
            name = type(processor).__name__
            return name.replace("InputTransport", "Transport").replace(
                "OutputTransport", "Transport"
            )
    return None


def behind(processor: Any) -> list[Any]:
    """Return the transport and the client that a transport's processor works for.

    Args:
        processor: The processor.
    """
    if role_of(processor) not in (Role.INPUT, Role.OUTPUT):
        return []
    held = (getattr(processor, name, None) for name in ("_transport", "_client"))
    return [instance for instance in held if instance is not None]


def role_of(processor: Any) -> Role:
    """Return what a processor does for the conversation."""
    for module, name, role in _ROLES:
        # A class whose module nobody has imported has no instances.
        kind = getattr(sys.modules.get(module), name, None)
        if kind is not None and isinstance(processor, kind):
            return role
    return Role.OTHER


def is_users(processor: Any) -> bool:
    """Whether a processor's class is the user's own rather than Pipecat's."""
    return type(processor).__module__.partition(".")[0] != "pipecat"


def runs_in_pushers_task(processor: Any) -> bool:
    """Whether a processor works in the task of whoever pushes to it (direct mode)."""
    return bool(getattr(processor, "_enable_direct_mode", True))


def service_of(processor: Any) -> Service:
    """Return the provider, model and settings of a service as they are at this moment.

    Args:
        processor: An LLM, STT or TTS service.
    """
    settings = getattr(processor, "settings", None) or getattr(processor, "_settings", None)
    facts: dict[str, Fact] = {}
    role = role_of(processor)
    if role is Role.LLM:
        for name in _REQUEST_SETTINGS:
            value = getattr(settings, name, None)
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                facts[f"gen_ai.request.{name}"] = value
    elif role is Role.TTS:
        voice = getattr(settings, "voice", None)
        if isinstance(voice, str) and voice:
            facts["tts.voice"] = voice
    model = getattr(settings, "model", None)
    return Service(
        _provider(type(processor)),
        model if isinstance(model, str) else None,
        facts,
        by_websocket=_uses_websocket(processor),
    )


def _uses_websocket(processor: Any) -> bool:
    module = sys.modules.get("pipecat.services.websocket_service")
    kind = getattr(module, "WebsocketService", None)
    return (kind is not None and isinstance(processor, kind)) or hasattr(processor, "_websocket")


def _provider(kind: type) -> str:
    # A user's subclass of a service still talks to the service's provider.
    of_pipecat = next((k for k in kind.__mro__ if k.__module__.startswith("pipecat.")), kind)
    name = of_pipecat.__name__
    for suffix in ("LLMService", "STTService", "TTSService", "Service"):
        if name.endswith(suffix) and name != suffix:
            name = name.removesuffix(suffix)
            break
    return _PROVIDERS.get(name, name.lower())


def analyzer_of(*processors: Any) -> str | None:
    """Return the class of the voice activity detector that processors ask, if one does.

    Args:
        *processors: The processors, the likeliest first.
    """
    for processor in processors:
        for owner in ("_params", "_vad_controller"):
            held = getattr(processor, owner, None)
            for name in ("vad_analyzer", "_vad_analyzer"):
                analyzer = getattr(held, name, None)
                if analyzer is not None:
                    return type(analyzer).__name__
    return None


def stop_strategy_of(*processors: Any) -> str | None:
    """Return the class of what rules that the user's turn has ended, where there is one.

    Args:
        *processors: The pipeline's processors.
    """
    for processor in processors:
        strategies = getattr(getattr(processor, "_params", None), "user_turn_strategies", None)
        stop = getattr(strategies, "stop", None)
        if isinstance(stop, (list, tuple)) and len(stop) == 1:
            return type(stop[0]).__name__
    return None


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
        # Before Pipecat 1.9 services did not say.
        names = " ".join(kind.__name__ for kind in type(processor).__mro__)
        return any(word in names for word in ("Realtime", "GeminiLive", "NovaSonic", "Ultravox"))


def context_counts(frame: Any) -> tuple[int | None, int | None]:
    """Return how many messages and tools a model is given.

    Args:
        frame: An ``LLMContextFrame``.
    """
    context = getattr(frame, "context", None)
    messages = tools = None
    try:
        messages = len(context.get_messages())  # type: ignore[union-attr]
    except Exception:
        messages = None
    try:
        schema = context.tools  # type: ignore[union-attr]
        tools = len(getattr(schema, "standard_tools", schema) or ())
    except Exception:
        tools = None
    return messages, tools


def context_text(frame: Any) -> str:
    """Return the messages that a model is given, as JSON.

    Args:
        frame: An ``LLMContextFrame``.
    """
    try:
        return json.dumps(frame.context.get_messages(), ensure_ascii=False, default=str)
    except Exception:
        return ""


def spare_events(
    processor: Any,
    observer: Any,
    heard: Set[int],
    admits: Callable[[type, int], bool] = lambda kind, waiting: True,
) -> bool:
    """Have an observer's queue take only what is not heard elsewhere.

    Pipecat queues every push and every visit for every observer, and wakes its task for it;
    that is most of what an observer costs. What we hear in the processors themselves need not
    be queued too.

    Args:
        processor: A processor of the pipeline, which leads to the observers.
        observer: The observer.
        heard: The ids, as of :func:`id`, of the processors that are heard themselves.
        admits: Whether an event about a frame of that class is still queued where so many
            wait. It must not raise.

    Returns:
        Whether that could be arranged; if not, all events come, and cost what they cost.
    """
    try:
        setup = getattr(processor, "_setup", None)
        observers = getattr(setup, "observer", None) or processor._observer
        queue = observers._proxies[observer].queue
        put = queue.put
    except Exception:
        return False

    async def spare_put(event: Any) -> None:
        kind = type(event)
        if kind is FrameProcessed:
            if id(event.processor) in heard:
                return
        elif kind is not FramePushed:
            await put(event)
            return
        elif id(event.source) in heard:
            return
        if admits(type(event.frame), queue.qsize()):
            await put(event)

    queue.put = spare_put
    return True


def event_time_ns(source: Any, timestamp_ns: int, now_ns: int) -> int:
    """Return when something happened that an observer's queue brought late.

    Args:
        source: The processor it happened in.
        timestamp_ns: Its time on the pipeline's clock; 0 before the clock was started.
        now_ns: Now, in nanoseconds since the epoch.
    """
    try:
        elapsed_ns = source.get_clock().get_time() - timestamp_ns
    except Exception:
        return now_ns
    return now_ns - elapsed_ns if timestamp_ns and elapsed_ns > 0 else now_ns


def is_transport(value: Any) -> bool:
    """Whether something is a transport of Pipecat's, whose events can be listened to."""
    kind = getattr(sys.modules.get("pipecat.transports.base_transport"), "BaseTransport", None)
    return kind is not None and isinstance(value, kind)


def transport_behind(processor: Any) -> Any:
    """Return the transport whose input or output a processor is, or None.

    Args:
        processor: The processor. Most hold their transport; the others hold a client that
            calls it back.
    """
    if role_of(processor) not in (Role.INPUT, Role.OUTPUT):
        return None
    held = getattr(processor, "_transport", None)
    if is_transport(held):
        return held
    client = getattr(processor, "_client", None)
    listeners = getattr(client, "_listeners", None)
    callers = [getattr(client, "_callbacks", None), getattr(processor, "_callbacks", None)]
    callers += listeners.values() if isinstance(listeners, dict) else []
    for caller in callers:
        for callback in getattr(caller, "__dict__", {}).values():
            owner = getattr(callback, "__self__", None)
            if is_transport(owner):
                return owner
    return None


def has_event(transport: Any, name: str) -> bool:
    """Whether a transport has an event of that name."""
    return name in getattr(transport, "_event_handlers", ())


def handler_count(transport: Any, name: str) -> int:
    """Return how many handlers of an event are registered at this moment."""
    event = getattr(transport, "_event_handlers", {}).get(name)
    return len(getattr(event, "handlers", ()))


def is_a(instance: Any, *class_names: str) -> bool:
    """Whether an object is of a class of that name, or of a subclass, imported or not."""
    return any(kind.__name__ in class_names for kind in type(instance).__mro__)


def daily_room(transport: Any) -> Any:
    """Return the participants of the room that a Daily transport is in; None before it is."""
    client = getattr(transport, "_client", None)
    joined = getattr(client, "_joined_event", None)
    return transport.participants() if joined is not None and joined.is_set() else None


def livekit_participant(transport: Any, participant_id: str) -> Any:
    """Return a participant of a LiveKit room, or None where it is not there.

    Args:
        transport: The transport.
        participant_id: The participant as Pipecat calls it: its identity, or in older
            versions its ``sid``.
    """
    room = getattr(getattr(transport, "_client", None), "room", None)
    participants = getattr(room, "remote_participants", None) or {}
    for participant in participants.values():
        if participant_id in (
            getattr(participant, "identity", None),
            getattr(participant, "sid", None),
        ):
            return participant
    return None


def connected_peer(transport: Any) -> Any:
    """Return the peer that a transport for one is connected to at this moment, or None."""
    client = getattr(transport, "_client", None)
    connection = getattr(client, "_webrtc_connection", None)
    if connection is not None:
        connected = getattr(client, "_params", None) is not None and connection.is_connected()
        return connection if connected else None
    receiver = getattr(transport, "_input", None)
    websocket = getattr(client, "_websocket", None)
    if websocket is not None:
        return websocket if getattr(receiver, "_receive_task", None) is not None else None
    return getattr(receiver, "_websocket", None)


_CALLS = {
    "TwilioFrameSerializer": ("twilio", "_call_sid", "_stream_sid"),
    "TelnyxFrameSerializer": ("telnyx", "_call_control_id", "_stream_id"),
    "PlivoFrameSerializer": ("plivo", "_call_id", "_stream_id"),
    "ExotelFrameSerializer": ("exotel", "_call_sid", "_stream_sid"),
}


def call_of(transport: Any) -> tuple[str, str] | None:
    """Return the telephony provider and the call's id behind a websocket, if there is one.

    Args:
        transport: The websocket's transport.
    """
    serializer = serializer_of(transport)
    for kind in type(serializer).__mro__:
        if kind.__name__ in _CALLS:
            provider, *attributes = _CALLS[kind.__name__]
            for attribute in attributes:
                call_id = getattr(serializer, attribute, None)
                if isinstance(call_id, str) and call_id:
                    return provider, call_id
    return None


def websocket_of(transport: Any) -> Any:
    """Return the websocket that a transport was given, behind FastAPI or the like, or None."""
    return getattr(getattr(transport, "_client", None), "_websocket", None)


def serializer_of(transport: Any) -> Any:
    """Return what reads and writes a websocket's messages, or None."""
    return getattr(getattr(transport, "_params", None), "serializer", None)


def naming_attribute(kind: type) -> str | None:
    """Return the attribute by which frames of a class name a participant, if they do.

    Only what Pipecat's own classes define counts: what a user's class calls ``user_id`` need
    not be a participant of the room.

    Args:
        kind: The frame's class.
    """
    for base in kind.__mro__:
        if base.__module__.partition(".")[0] == "pipecat":
            for name in ("user_id", "participant_id"):
                if name in inspect.get_annotations(base):
                    return name
    return "transport_source" if issubclass(kind, _RAW_INPUT) else None


_RAW_INPUT = tuple(
    found
    for name in ("InputAudioRawFrame", "InputImageRawFrame", "InputTextRawFrame")
    if (found := frame_class(name)) is not None
)


__all__ = [
    "DOWNSTREAM",
    "PRIVATE",
    "FrameProcessor",
    "analyzer_of",
    "behind",
    "call_of",
    "connected_peer",
    "context_counts",
    "context_text",
    "conversation_id",
    "daily_room",
    "event_time_ns",
    "frame_class",
    "handler_count",
    "has_event",
    "is_a",
    "is_compound",
    "is_realtime",
    "is_transport",
    "is_users",
    "livekit_participant",
    "naming_attribute",
    "outermost",
    "pipecat_version",
    "role_of",
    "runs_in_pushers_task",
    "serializer_of",
    "service_of",
    "spare_events",
    "stop_strategy_of",
    "transport_behind",
    "transport_of",
    "walk",
    "websocket_of",
    "worker_of",
]

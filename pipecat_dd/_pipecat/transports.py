"""Finds a pipeline's transport, its events, and who is connected to it."""

import sys
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, cast

from pipecat_dd._pipecat.private import CALL_EVENT_HANDLER, RUN_HANDLER
from pipecat_dd._pipecat.services import role_of
from pipecat_dd._private import peek
from pipecat_dd.conversation.model import Role


def transport_of(processors: Iterable[Any]) -> str | None:
    """Return the class name of the transport that a pipeline uses; None if there is none.

    Args:
        processors: The pipeline's processors.
    """
    for processor in processors:
        if role_of(processor) in (Role.INPUT, Role.OUTPUT):
            transport = peek(processor, "_transport")
            if transport is not None:
                return type(transport).__name__
            name = type(processor).__name__
            return name.replace("InputTransport", "Transport").replace(
                "OutputTransport", "Transport"
            )
    return None


def takes_audio_in(processor: Any) -> bool:
    """Whether a transport's input takes audio in."""
    params = peek(processor, "_params")
    return getattr(params, "audio_in_enabled", False) is True and hasattr(
        processor, "push_audio_frame"
    )


def streams_on_start(processor: Any) -> bool:
    """Whether a transport's input takes audio in from its start, and not only when asked to."""
    return getattr(peek(processor, "_params"), "audio_in_stream_on_start", True) is not False


def behind(processor: Any) -> list[Any]:
    """Return the transport, the client and the connection behind a transport's processor.

    Args:
        processor: A transport's input or output; there is nothing behind any other.
    """
    if role_of(processor) not in (Role.INPUT, Role.OUTPUT):
        return []
    held = (peek(processor, "_transport"), peek(processor, "_client"), connection_of(processor))
    return [instance for instance in held if instance is not None]


def is_transport(value: Any) -> bool:
    """Whether an object is a Pipecat transport, which dispatches events."""
    kind = getattr(sys.modules.get("pipecat.transports.base_transport"), "BaseTransport", None)
    return kind is not None and isinstance(value, kind)


def transport_behind(processor: Any) -> Any:
    """Return the transport whose input or output a processor is, or None.

    Most such processors have a reference to their transport; the others have one to a client with
    callbacks of the transport.
    """
    if role_of(processor) not in (Role.INPUT, Role.OUTPUT):
        return None
    held = peek(processor, "_transport")
    if is_transport(held):
        return held
    client = peek(processor, "_client")
    listeners = peek(client, "_listeners")
    callers = [peek(client, "_callbacks"), peek(processor, "_callbacks")]
    callers += listeners.values() if isinstance(listeners, dict) else []
    for caller in callers:
        for callback in getattr(caller, "__dict__", {}).values():
            owner = getattr(callback, "__self__", None)
            if is_transport(owner):
                return owner
    return None


def handler_runner(instance: Any) -> Callable[..., Awaitable[Any]] | None:
    """Return the method of a processor or transport that runs one handler of an event, or None."""
    return cast("Callable[..., Awaitable[Any]] | None", peek(instance, RUN_HANDLER))


def event_caller(transport: Any) -> Callable[..., Awaitable[Any]] | None:
    """Return the method of a transport that dispatches an event to all its handlers, or None."""
    return cast("Callable[..., Awaitable[Any]] | None", peek(transport, CALL_EVENT_HANDLER))


def has_event(transport: Any, name: str) -> bool:
    """Whether a transport has an event of that name."""
    return name in peek(transport, "_event_handlers", ())


def handler_count(transport: Any, name: str) -> int:
    """Return how many handlers of an event are registered now."""
    event = peek(transport, "_event_handlers", {}).get(name)
    return len(getattr(event, "handlers", ()))


def daily_room(transport: Any) -> Any:
    """Return the participants of a Daily transport's room; None before the bot has joined it."""
    client = peek(transport, "_client")
    joined = peek(client, "_joined_event")
    return transport.participants() if joined is not None and joined.is_set() else None


def livekit_participant(transport: Any, participant_id: str) -> Any:
    """Return a participant of a LiveKit room, or None if it is not there.

    Args:
        transport: The LiveKit transport.
        participant_id: Pipecat's id for the participant: its identity, or in older versions its
            ``sid``.
    """
    room = getattr(peek(transport, "_client"), "room", None)
    participants = getattr(room, "remote_participants", None) or {}
    for participant in participants.values():
        if participant_id in (
            getattr(participant, "identity", None),
            getattr(participant, "sid", None),
        ):
            return participant
    return None


def connected_peer(transport: Any) -> Any:
    """Return the connected peer of a transport that serves one at a time, or None."""
    client = peek(transport, "_client")
    connection = peek(client, "_webrtc_connection")
    if connection is not None:
        connected = peek(client, "_params") is not None and connection.is_connected()
        return connection if connected else None
    receiver = peek(transport, "_input")
    websocket = peek(client, "_websocket")
    if websocket is not None:
        return websocket if peek(receiver, "_receive_task") is not None else None
    return peek(receiver, "_websocket")


def connection_of(transport: Any) -> Any:
    """Return the connection beneath a SmallWebRTC transport, connected or not; else None.

    Args:
        transport: The transport, or its input or output.
    """
    return peek(peek(transport, "_client"), "_webrtc_connection")


_CALLS = {
    "TwilioFrameSerializer": ("twilio", "_call_sid", "_stream_sid"),
    "TelnyxFrameSerializer": ("telnyx", "_call_control_id", "_stream_id"),
    "PlivoFrameSerializer": ("plivo", "_call_id", "_stream_id"),
    "ExotelFrameSerializer": ("exotel", "_call_sid", "_stream_sid"),
}


def call_of(transport: Any) -> tuple[str, str] | None:
    """Return the telephony provider and the call's id of a websocket transport, or None."""
    serializer = serializer_of(transport)
    for kind in type(serializer).__mro__:
        if kind.__name__ in _CALLS:
            provider, *attributes = _CALLS[kind.__name__]
            for attribute in attributes:
                call_id = peek(serializer, attribute)
                if isinstance(call_id, str) and call_id:
                    return provider, call_id
    return None


def call_id_of(transport: Any) -> str | None:
    """Return the provider's id of a websocket transport's call, not of its stream, or None."""
    serializer = serializer_of(transport)
    for kind in type(serializer).__mro__:
        if kind.__name__ in _CALLS:
            call_id = peek(serializer, _CALLS[kind.__name__][1])
            return call_id if isinstance(call_id, str) and call_id else None
    return None


def call_ids_of(transport: Any) -> frozenset[str]:
    """Return the provider's ids of a websocket transport's call and stream."""
    serializer = serializer_of(transport)
    found = (
        peek(serializer, attribute)
        for kind in type(serializer).__mro__
        for attribute in _CALLS.get(kind.__name__, ())[1:]
    )
    return frozenset(call_id for call_id in found if isinstance(call_id, str) and call_id)


def websocket_of(transport: Any) -> Any:
    """Return the websocket of a transport behind FastAPI or similar, or None."""
    return peek(peek(transport, "_client"), "_websocket")


def serializer_of(transport: Any) -> Any:
    """Return the serializer of a websocket transport's messages, or None."""
    return getattr(peek(transport, "_params"), "serializer", None)

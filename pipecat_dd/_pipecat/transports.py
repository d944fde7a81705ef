"""A transport: how to find it, its events, and who is connected to it."""

import sys
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, cast

from pipecat_dd._pipecat.private import CALL_EVENT_HANDLER, RUN_HANDLER
from pipecat_dd._pipecat.services import role_of
from pipecat_dd._private import peek
from pipecat_dd.conversation.model import Role


def transport_of(processors: Iterable[Any]) -> str | None:
    """Return the class of the transport that a pipeline talks through.

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


def behind(processor: Any) -> list[Any]:
    """Return the transport and the client that a transport's processor works for.

    Args:
        processor: The processor.
    """
    if role_of(processor) not in (Role.INPUT, Role.OUTPUT):
        return []
    held = (peek(processor, "_transport"), peek(processor, "_client"))
    return [instance for instance in held if instance is not None]


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
    """Return the method of a processor or transport that runs one handler of an event.

    Args:
        instance: The processor or transport.
    """
    return cast("Callable[..., Awaitable[Any]] | None", peek(instance, RUN_HANDLER))


def event_caller(transport: Any) -> Callable[..., Awaitable[Any]] | None:
    """Return the method of a transport that tells all handlers of an event."""
    return cast("Callable[..., Awaitable[Any]] | None", peek(transport, CALL_EVENT_HANDLER))


def has_event(transport: Any, name: str) -> bool:
    """Whether a transport has an event of that name."""
    return name in peek(transport, "_event_handlers", ())


def handler_count(transport: Any, name: str) -> int:
    """Return how many handlers of an event are registered at this moment."""
    event = peek(transport, "_event_handlers", {}).get(name)
    return len(getattr(event, "handlers", ()))


def daily_room(transport: Any) -> Any:
    """Return the participants of the room that a Daily transport is in; None before it is."""
    client = peek(transport, "_client")
    joined = peek(client, "_joined_event")
    return transport.participants() if joined is not None and joined.is_set() else None


def livekit_participant(transport: Any, participant_id: str) -> Any:
    """Return a participant of a LiveKit room, or None where it is not there.

    Args:
        transport: The transport.
        participant_id: The participant as Pipecat calls it: its identity, or in older
            versions its ``sid``.
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
    """Return the peer that a transport for one is connected to at this moment, or None."""
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
                call_id = peek(serializer, attribute)
                if isinstance(call_id, str) and call_id:
                    return provider, call_id
    return None


def call_ids_of(transport: Any) -> frozenset[str]:
    """Return the provider's ids of the call, and of its stream, behind a websocket."""
    serializer = serializer_of(transport)
    found = (
        peek(serializer, attribute)
        for kind in type(serializer).__mro__
        for attribute in _CALLS.get(kind.__name__, ())[1:]
    )
    return frozenset(call_id for call_id in found if isinstance(call_id, str) and call_id)


def websocket_of(transport: Any) -> Any:
    """Return the websocket that a transport was given, behind FastAPI or the like, or None."""
    return peek(peek(transport, "_client"), "_websocket")


def serializer_of(transport: Any) -> Any:
    """Return what reads and writes a websocket's messages, or None."""
    return getattr(peek(transport, "_params"), "serializer", None)

"""Reads each transport's events: which participant an event is about, and what it reports.

Most events are the same in all of Pipecat's transports: a client connects, a participant joins, a
message comes from a sender. :class:`Reader` reads these by the event's name. A transport has a
subclass of it only if it identifies or describes participants in a way of its own.

Of messages, only the kind and the size are read, never the content.
"""

import json
import re
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from pipecat_dd import _pipecat
from pipecat_dd.conversation.participants import Who
from pipecat_dd.instrumentation.events import FAMILIES, KIND, READ, Effect, EventContents, text_of
from pipecat_dd.names import tags

_MAX_NAME_CHARS = 200


class Reader:
    """Reads the events of any transport.

    Attributes:
        transport: Pipecat's transport.
        calls: Telephone calls known from sources other than the transport.
        is_for_one: Whether it serves one peer at a time, so that the next replaces the last.
    """

    is_for_one = False

    def __init__(self, transport: Any) -> None:
        """Create a reader for one transport."""
        self.transport = transport
        self.calls: tuple[_pipecat.KnownCall, ...] = ()
        self._peers: list[tuple[Any, str]] = []
        joins = [name for name in _JOINING if _pipecat.has_event(transport, name)]
        leaves = [name for name in _LEAVING if _pipecat.has_event(transport, name)]
        # Some transports report each arrival and departure under two or three names; only the
        # first of these names counts.
        self._effects = {
            "on_first_participant_joined": Effect.SEEN,
            "on_participant_updated": Effect.UPDATED,
            **dict.fromkeys(joins, Effect.SEEN),
            **dict.fromkeys(joins[:1], Effect.JOINS),
            **dict.fromkeys(leaves[:1], Effect.LEAVES),
        }

    # What subclasses override

    def who(self, client: Any) -> Who | None:
        """Return the participant that an object describes; None for the bot itself or no one.

        Args:
            client: What the transport passes to its handlers: a mapping, an id or a connection.
        """
        if isinstance(client, Mapping):
            key = next((client[name] for name in _IDS if client.get(name)), None)
            return None if key is None else Who(str(key))
        if isinstance(client, str):
            return Who(client) if client else None
        return Who(self._peer_id(client))

    def there(self) -> Iterable[Who]:
        """Return the participants present now, as far as the transport knows."""
        peer = _pipecat.connected_peer(self.transport) if self.is_for_one else None
        who = None if peer is None else self.who(peer)
        return () if who is None else (who,)

    def enters(self, data: Any) -> Iterable[Who]:
        """Return the participants who were in the room when the bot entered.

        Args:
            data: What the transport passes to the handlers of that event.
        """
        return ()

    # Common to all

    def read(self, event: str, args: tuple[Any, ...]) -> EventContents:
        """Read an event.

        Args:
            event: The event's name.
            args: What the transport passes to its handlers.
        """
        effect = self._effects.get(event, Effect.NONE)
        first = args[0] if args else None
        if effect is Effect.ENTERS:
            return EventContents(effect, room=self.enters(first))
        if effect is not Effect.NONE or event in _OF_CLIENT:
            return self._of_client(event, effect, args)
        read = READ.get(event)
        if read is None:
            family = event.removeprefix("on_").partition("_")[0]
            read = FAMILIES.get(family)
        said = read(event, args) if read is not None else EventContents()
        if event.endswith("_error") and said.error is None:
            said.error = text_of(args[-1]) if args else ""
        return said

    def _known_number(self, source: str) -> str | None:
        """Return the number of the call for which the bot was started; None if not exactly one."""
        numbers = {call.number for call in self.calls if call.source == source}
        return numbers.pop() if len(numbers) == 1 else None

    def forget(self, key: str) -> None:
        """Forget a peer that has left.

        Args:
            key: The id that the peer was given.
        """
        self._peers = [(peer, id_) for peer, id_ in self._peers if id_ != key]

    def _of_client(self, event: str, effect: Effect, args: tuple[Any, ...]) -> EventContents:
        client = args[0] if args else None
        who = self.who(client)
        said = EventContents(
            effect if who is not None else Effect.NONE, who, who.key if who else ""
        )
        if who is None and isinstance(client, Mapping):
            said.name = str(client.get("id") or "")  # the bot, which is no participant
        if effect is Effect.LEAVES or event in _LEAVING:
            said.reason = _reason(args)
            said.facts[tags.PARTICIPANT_LEAVE_REASON] = said.reason
        return said

    def _peer_id(self, peer: Any) -> str:
        """Return the id given to a peer that has none of its own; the first call gives one."""
        for known, key in self._peers:
            if known is peer:
                return key
        key = str(uuid.uuid4())
        self._peers.append((peer, key))
        return key


class DailyReader(Reader):
    """Daily describes a participant in a mapping, with the details under ``info``."""

    def __init__(self, transport: Any) -> None:
        super().__init__(transport)
        self._effects["on_joined"] = Effect.ENTERS

    def who(self, client: Any) -> Who | None:
        """Return the participant that the transport describes."""
        if not isinstance(client, Mapping) or not client.get("id"):
            return None
        info = client.get("info")
        if not isinstance(info, Mapping):
            return Who(str(client["id"]))
        if info.get("isLocal"):
            return None
        role = _role_in(info.get("userData"))
        if role is None and isinstance(info.get("isOwner"), bool):
            role = "owner" if info["isOwner"] else "guest"
        return Who(str(client["id"]), _name(info.get("userName")), role)

    def read(self, event: str, args: tuple[Any, ...]) -> EventContents:
        """Read an event; the number of an incoming call may come from Pipecat's runner."""
        said = super().read(event, args)
        if event == "on_dialin_connected" and said.number is None:
            said.number = self._known_number("dialin")
        return said

    def there(self) -> Iterable[Who]:
        """Return the room's participants."""
        return self._among(_pipecat.daily_room(self.transport))

    def enters(self, data: Any) -> Iterable[Who]:
        """Return the participants listed in the event."""
        return self._among(data.get("participants") if isinstance(data, Mapping) else None)

    def _among(self, participants: Any) -> list[Who]:
        if not isinstance(participants, Mapping):
            return []
        others = [p for name, p in participants.items() if name != "local"]
        return [who for p in others if (who := self.who(p)) is not None]


class LiveKitReader(Reader):
    """LiveKit passes a participant's id to handlers; the room knows the details."""

    def __init__(self, transport: Any) -> None:
        super().__init__(transport)
        self._effects["on_connected"] = Effect.ENTERS

    def who(self, client: Any) -> Who | None:
        """Return the participant that the transport describes."""
        plain = super().who(client) if isinstance(client, (str, Mapping)) else None
        if plain is None or plain.key == getattr(self.transport, "participant_id", None):
            return None
        participant = _pipecat.livekit_participant(self.transport, plain.key)
        attributes = getattr(participant, "attributes", None)
        attributes = attributes if isinstance(attributes, Mapping) else {}
        role = _name(attributes.get("role")) or _role_in(getattr(participant, "metadata", None))
        number = attributes.get("sip.phoneNumber")
        return Who(
            plain.key,
            _name(getattr(participant, "name", None)),
            role,
            number if isinstance(number, str) else None,
        )

    def there(self) -> Iterable[Who]:
        """Return the room's participants."""
        try:
            ids = self.transport.get_participants()
        except Exception:  # raised by Pipecat if the room does not exist yet
            return ()
        return [who for id_ in ids if (who := self.who(id_)) is not None]

    def enters(self, data: Any) -> Iterable[Who]:
        """Return the room's participants."""
        return self.there()


class SmallWebRTCReader(Reader):
    """SmallWebRTC connects two peers; the connection's id identifies the other one."""

    is_for_one = True

    def who(self, client: Any) -> Who | None:
        """Return the participant that the transport describes."""
        key = getattr(client, "pc_id", None)
        return Who(str(key), number=self._known_number("whatsapp")) if key else None


class WebsocketReader(Reader):
    """A websocket belongs to a telephone call, or to a peer without a name."""

    is_for_one = True

    def __init__(self, transport: Any) -> None:
        super().__init__(transport)
        if not _pipecat.has_event(transport, "on_client_connected"):
            # The bot is the client; its peer is the server.
            self._effects["on_connected"] = Effect.JOINS
            self._effects["on_disconnected"] = Effect.LEAVES

    def who(self, client: Any) -> Who | None:
        """Return the participant that the transport describes."""
        call = _pipecat.call_of(self.transport)
        if call is not None:
            provider, call_id = call
            number = _pipecat.number_behind(self.transport, self.calls)
            return Who(call_id, number=number, attributes={tags.TELEPHONY_PROVIDER: provider})
        own = getattr(client, "id", None)
        # Starlette's websocket is a mapping, too, but must not be read as one.
        return Who(str(own) if isinstance(own, uuid.UUID) else self._peer_id(client))


class VonageReader(Reader):
    """Vonage reports streams and their subscribers; each stream is a participant."""

    def who(self, client: Any) -> Who | None:
        """Return the participant that the transport describes."""
        key = client.get("streamId") if isinstance(client, Mapping) else None
        return Who(str(key)) if key else None


_READERS: tuple[tuple[str, type[Reader]], ...] = (
    ("DailyTransport", DailyReader),
    ("LiveKitTransport", LiveKitReader),
    ("SmallWebRTCTransport", SmallWebRTCReader),
    ("FastAPIWebsocketTransport", WebsocketReader),
    ("SingleClientWebsocketServerTransport", WebsocketReader),
    ("WebsocketServerTransport", WebsocketReader),
    ("WebsocketClientTransport", WebsocketReader),
    ("TavusTransport", DailyReader),
    ("LemonSliceTransport", DailyReader),
    ("VonageVideoConnectorTransport", VonageReader),
)


def reader_of(transport: Any) -> Reader:
    """Return the reader of a transport's events.

    Args:
        transport: Of one of Pipecat's classes, or of a user's subclass.
    """
    for name, reader in _READERS:
        if _pipecat.is_a(transport, name):
            return reader(transport)
    return Reader(transport)


def stream_stopped(data: Any) -> str | None:
    """Return the reason if a telephony provider's message stops a call's stream, else None.

    Args:
        data: A message of the provider's websocket. Nearly all of them are media.
    """
    if not isinstance(data, str) or '"stop"' not in data or len(data) > 4_000:
        return None
    message = json.loads(data)
    if message.get("event") != "stop":
        return None
    stop = message.get("stop")
    reason = stop.get("reason") if isinstance(stop, Mapping) else None
    return reason if isinstance(reason, str) and KIND.fullmatch(reason) else "stream_stopped"


_IDS = ("id", "participant_id", "participantId", "streamId")
_JOINING = ("on_participant_joined", "on_participant_connected", "on_client_connected")
_LEAVING = ("on_participant_disconnected", "on_participant_left", "on_client_disconnected")
_OF_CLIENT = frozenset({*_JOINING, *_LEAVING, "on_session_timeout"})


def _reason(args: tuple[Any, ...]) -> str:
    if len(args) > 1 and isinstance(args[1], str) and KIND.fullmatch(args[1]):
        return args[1]
    code = getattr(args[0], "close_code", None) if args else None
    if isinstance(code, int) and code not in (1000, 1001, 1005):
        # 1006 is never sent; it stands for a broken connection.
        return "connection_lost" if code == 1006 else f"closed_{code}"
    return "disconnected"


def _name(value: Any) -> str | None:
    text = value.strip() if isinstance(value, str) else ""
    return text[:_MAX_NAME_CHARS] or None


def _role_in(data: Any) -> str | None:
    """Return the role in the user's own data about a participant; None if there is none."""
    if isinstance(data, str) and data.startswith("{") and len(data) <= 10_000:
        try:
            data = json.loads(data)
        except ValueError:
            return None
    role = data.get("role") if isinstance(data, Mapping) else None
    return role if isinstance(role, str) and re.fullmatch(r"[\w .\-]{1,50}", role) else None

"""Reads the events of all transports.

Of messages, only the kind and the size are read, never the content.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from pipecat_dd.conversation.model import AttributeValue
from pipecat_dd.conversation.participants import Who
from pipecat_dd.conversation.telephone import PhoneNumbers
from pipecat_dd.names import tags

BURST_EVENTS = frozenset(
    {
        "on_active_speaker_changed",
        "on_app_message",
        "on_data_received",
        "on_network_connection_status_updated",
        "on_participant_updated",
        "on_transcription_message",
    }
)
"""Events that may come many times a second."""

MAX_TONE_CHARS = 8
"""The longest name of a key."""

KIND = re.compile(r"[\w.:/\-]{1,64}")
"""Matches identifiers, such as the type of a message, but not text that a person wrote."""

_NUMBERS = PhoneNumbers()


class Effect(Enum):
    """The effect of an event on the participants."""

    NONE = "none"
    JOINS = "joins"
    SEEN = "seen"
    """About a participant who has joined, or whose joining was not reported."""
    UPDATED = "updated"
    LEAVES = "leaves"
    ENTERS = "enters"
    """The bot itself has entered the room, with those who were there before."""


@dataclass(slots=True)
class EventContents:
    """The contents of an event.

    Attributes:
        effect: Its effect on the participants.
        who: The participant that it describes; None if it describes none.
        name: The transport's name for the participant; empty if the event is about no one in
            particular.
        room: The participants who were there before the bot.
        facts: The event's attributes.
        tone: The key that was pressed; None if none was.
        number: The participant's telephone number; None if unknown.
        reason: Why the participant left.
        error: What went wrong; None if the event is no error.
    """

    effect: Effect = Effect.NONE
    who: Who | None = None
    name: str = ""
    room: Iterable[Who] = ()
    facts: dict[str, AttributeValue] = field(default_factory=dict)
    tone: str | None = None
    number: str | None = None
    reason: str = "disconnected"
    error: str | None = None


def text_of(value: Any) -> str:
    """Return the message of a transport's error.

    Args:
        value: The message, or a mapping that holds it.
    """
    if isinstance(value, Mapping):
        found = (value.get(name) for name in ("errorMsg", "error", "message", "msg"))
        value = next((text for text in found if isinstance(text, str)), "")
    return str(value)


def _message(event: str, args: tuple[Any, ...]) -> EventContents:
    message = args[0] if args else None
    sender = args[1] if len(args) > 1 else None
    size = _size(message)
    facts: dict[str, AttributeValue] = {} if size is None else {tags.MESSAGE_SIZE_BYTES: size}
    kind = message.get("type") if isinstance(message, Mapping) else None
    if isinstance(kind, str) and KIND.fullmatch(kind) and not _NUMBERS.found_in(kind):
        facts[tags.MESSAGE_KIND] = kind
    return EventContents(name=str(sender or ""), facts=facts)


def _size(message: Any) -> int | None:
    if isinstance(message, (bytes, bytearray)):
        return len(message)
    if isinstance(message, str):
        return len(message.encode(errors="replace"))
    try:
        return len(json.dumps(message, default=str).encode())
    except Exception:  # raised by the __str__ of an object in the message
        return None


def _about(event: str, args: tuple[Any, ...]) -> EventContents:
    """Read an event about a participant, whose id is its first argument or in it."""
    first = args[0] if args else None
    key = first if isinstance(first, str) else _id_in(first, "id", *_SESSIONS)
    return EventContents(name=key)


_SESSIONS = ("participantId", "participant_id", "sessionId", "session_id")


_STATES = {"dialin": tags.DIALIN_STATE, "dialout": tags.DIALOUT_STATE}
"""The tags for the state of an incoming and of an outgoing call."""

_NUMBERS_IN = {
    "dialin": ("sipFrom", "From", "from", "callerNumber", "phoneNumber"),
    "dialout": ("phoneNumber", "to", "To", "sipTo", "sipUri"),
}
"""The fields of a call's event that may hold the other party's number."""


def _id_in(data: Any, *names: str) -> str:
    if not isinstance(data, Mapping):
        return ""
    found = (data.get(name) for name in names)
    return next((value for value in found if isinstance(value, str) and value), "")


def _dtmf(event: str, args: tuple[Any, ...]) -> EventContents:
    said = _about(event, args)
    tone = args[0].get("tone") if args and isinstance(args[0], Mapping) else None
    said.tone = tone if isinstance(tone, str) and len(tone) <= MAX_TONE_CHARS else None
    return said


def _call(event: str, args: tuple[Any, ...]) -> EventContents:
    """Read an event about dialling in or out, such as ``on_dialin_connected``."""
    family, _, state = event.removeprefix("on_").partition("_")
    data = args[0] if args else None
    said = EventContents(name=_id_in(data, *_SESSIONS), facts={_STATES[family]: state})
    said.number = _id_in(data, *_NUMBERS_IN[family]) or None
    if state == "error":
        said.error = text_of(data)
    return said


def _call_state(event: str, args: tuple[Any, ...]) -> EventContents:
    return EventContents(facts=_kinds((tags.CALL_STATE, args[0] if args else None)))


def _network(event: str, args: tuple[Any, ...]) -> EventContents:
    status = args[0] if args and isinstance(args[0], Mapping) else {}
    return EventContents(
        facts=_kinds(
            (tags.NETWORK_EVENT, status.get("event")),
            (tags.NETWORK_CONNECTION, status.get("connection")),
        )
    )


def _error(event: str, args: tuple[Any, ...]) -> EventContents:
    return EventContents(error=text_of(args[0]) if args else "")


def _kinds(*values: tuple[str, Any]) -> dict[str, AttributeValue]:
    """Return the values that are identifiers, without any text that a person wrote."""
    return {name: v for name, v in values if isinstance(v, str) and KIND.fullmatch(v)}


Read = Callable[[str, tuple[Any, ...]], EventContents]

READ: dict[str, Read] = {
    "on_active_speaker_changed": _about,
    "on_app_message": _message,
    "on_avatar_connected": _about,
    "on_avatar_disconnected": _about,
    "on_call_state_updated": _call_state,
    "on_data_received": _message,
    "on_dtmf_event": _dtmf,
    "on_error": _error,
    "on_network_connection_status_updated": _network,
    "on_transcription_message": lambda event, args: EventContents(
        name=_id_in(args[0] if args else None, "participantId")
    ),
}

FAMILIES: dict[str, Read] = {
    "audio": _about,  # on_audio_track_subscribed
    "video": _about,
    "dialin": _call,
    "dialout": _call,
}

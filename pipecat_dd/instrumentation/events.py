"""What a transport's event says about itself, whichever transport it is.

Nothing of what was said or sent is read, but its kind and size.
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

FLOODS = frozenset(
    {
        "on_active_speaker_changed",
        "on_app_message",
        "on_data_received",
        "on_network_connection_status_updated",
        "on_participant_updated",
        "on_transcription_message",
    }
)
"""Events that may come many a second."""

MAX_TONE_CHARS = 8
"""How long the name of a key is at most."""

KIND = re.compile(r"[\w.:/\-]{1,64}")
"""What a word for a kind of thing looks like, rather than what somebody wrote."""

_NUMBERS = PhoneNumbers()


class Effect(Enum):
    """What an event says about who is there."""

    NONE = "none"
    JOINS = "joins"
    SEEN = "seen"
    """Said of somebody who has joined, or of one nobody said it of."""
    UPDATED = "updated"
    LEAVES = "leaves"
    ENTERS = "enters"
    """The bot itself is in the room now, with whoever was there before."""


@dataclass(slots=True)
class Said:
    """What an event says.

    Attributes:
        effect: What it says about who is there.
        who: The participant it describes.
        name: What the transport calls the participant it is about; empty where it is about no
            one in particular.
        room: Who was there before the bot.
        facts: What it says about itself.
        tone: A key that was pressed.
        number: The telephone number of whom it is about, where it says so.
        reason: Why somebody left.
        error: What went wrong, where that is what it tells.
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
    """Return what a transport says went wrong.

    Args:
        value: Its words for it, or a mapping that holds them.
    """
    if isinstance(value, Mapping):
        found = (value.get(name) for name in ("errorMsg", "error", "message", "msg"))
        value = next((text for text in found if isinstance(text, str)), "")
    return str(value)


def _message(event: str, args: tuple[Any, ...]) -> Said:
    message = args[0] if args else None
    sender = args[1] if len(args) > 1 else None
    size = _size(message)
    facts: dict[str, AttributeValue] = {} if size is None else {tags.MESSAGE_SIZE_BYTES: size}
    kind = message.get("type") if isinstance(message, Mapping) else None
    if isinstance(kind, str) and KIND.fullmatch(kind) and not _NUMBERS.found_in(kind):
        facts[tags.MESSAGE_KIND] = kind
    return Said(name=str(sender or ""), facts=facts)


def _size(message: Any) -> int | None:
    if isinstance(message, (bytes, bytearray)):
        return len(message)
    if isinstance(message, str):
        return len(message.encode(errors="replace"))
    try:
        return len(json.dumps(message, default=str).encode())
    except Exception:  # an object in it was asked for its text: its own code ran
        return None


def _about(event: str, args: tuple[Any, ...]) -> Said:
    """An event about a participant, given by id or with one."""
    first = args[0] if args else None
    key = first if isinstance(first, str) else _id_in(first, "id", *_SESSIONS)
    return Said(name=key)


_SESSIONS = ("participantId", "participant_id", "sessionId", "session_id")


_STATES = {"dialin": tags.DIALIN_STATE, "dialout": tags.DIALOUT_STATE}
"""The state of a call that comes in, or goes out."""

_NUMBERS_IN = {
    "dialin": ("sipFrom", "From", "from", "callerNumber", "phoneNumber"),
    "dialout": ("phoneNumber", "to", "To", "sipTo", "sipUri"),
}
"""Where a call's event has the number of who is at the other end."""


def _id_in(data: Any, *names: str) -> str:
    if not isinstance(data, Mapping):
        return ""
    found = (data.get(name) for name in names)
    return next((value for value in found if isinstance(value, str) and value), "")


def _dtmf(event: str, args: tuple[Any, ...]) -> Said:
    said = _about(event, args)
    tone = args[0].get("tone") if args and isinstance(args[0], Mapping) else None
    said.tone = tone if isinstance(tone, str) and len(tone) <= MAX_TONE_CHARS else None
    return said


def _call(event: str, args: tuple[Any, ...]) -> Said:
    """Dialling in or out: ``on_dialin_connected`` and its like."""
    family, _, state = event.removeprefix("on_").partition("_")
    data = args[0] if args else None
    said = Said(name=_id_in(data, *_SESSIONS), facts={_STATES[family]: state})
    said.number = _id_in(data, *_NUMBERS_IN[family]) or None
    if state == "error":
        said.error = text_of(data)
    return said


def _call_state(event: str, args: tuple[Any, ...]) -> Said:
    return Said(facts=_kinds((tags.CALL_STATE, args[0] if args else None)))


def _network(event: str, args: tuple[Any, ...]) -> Said:
    status = args[0] if args and isinstance(args[0], Mapping) else {}
    return Said(
        facts=_kinds(
            (tags.NETWORK_EVENT, status.get("event")),
            (tags.NETWORK_CONNECTION, status.get("connection")),
        )
    )


def _error(event: str, args: tuple[Any, ...]) -> Said:
    return Said(error=text_of(args[0]) if args else "")


def _kinds(*values: tuple[str, Any]) -> dict[str, AttributeValue]:
    """Return those values that are words rather than what somebody wrote."""
    return {name: v for name, v in values if isinstance(v, str) and KIND.fullmatch(v)}


Read = Callable[[str, tuple[Any, ...]], Said]

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
    "on_transcription_message": lambda event, args: Said(
        name=_id_in(args[0] if args else None, "participantId")
    ),
}

FAMILIES: dict[str, Read] = {
    "audio": _about,  # on_audio_track_subscribed
    "video": _about,
    "dialin": _call,
    "dialout": _call,
}

"""What is known of a telephone call outside of its transport: the runner's word, and the bot's.

A provider says whose call it is in the first message of its websocket, and Pipecat's runner, or
the bot, has read that before there is a transport. What it said is found in the websocket, where
Pipecat keeps what it has parsed, in what the runner gave the bot, or in the variables of the
functions that make the observer.

All of it is of this very call: a call's data counts only for the transport that has the same id,
and the runner's arguments only where they are an argument of a function that makes the observer.
"""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any

from pipecat_dd._pipecat.transports import call_ids_of, websocket_of
from pipecat_dd._private import peek
from pipecat_dd.conversation.telephone import PhoneNumbers

_MAX_CALLS = 60
"""How many calls up the stack the bot's own function is looked for."""

_CALLERS = (
    "from",
    "fromnumber",
    "caller",
    "callernumber",
    "callerid",
    "callerphone",
    "callerphonenumber",
    "callernum",
    "phone",
    "phonenumber",
    "customernumber",
    "customerphone",
    "usernumber",
    "userphone",
    "ani",
    "msisdn",
)
_CALLED = ("to", "tonumber", "called", "callednumber", "dialednumber")
_IDS = (
    "call_id",
    "callId",
    "call_sid",
    "callSid",
    "call_control_id",
    "stream_id",
    "streamId",
    "stream_sid",
    "streamSid",
)
_CUSTOM = ("body", "customParameters", "custom_parameters", "extra_headers", "extraHeaders")


_NUMBERS = PhoneNumbers()


@dataclass(frozen=True, slots=True)
class KnownCall:
    """A call, as somebody has described it.

    Attributes:
        ids: The provider's ids of the call and its stream.
        number: The telephone number of whoever is at the other end.
        source: ``websocket``, ``dialin`` or ``whatsapp``.
    """

    ids: frozenset[str]
    number: str
    source: str = "websocket"


def runner_arguments() -> Any:
    """Return what Pipecat's runner gave the bot that makes an observer here, or None.

    It is looked for among the arguments of the functions that are under way here, from the
    innermost on: what one was called with is what it works on, unlike what else it may hold.
    """
    for frame in _frames():
        code = frame.f_code
        given = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        for name in given:
            value = frame.f_locals.get(name)
            if _is_of(value, "RunnerArguments", "SessionArguments"):
                return value
    return None


def calls_here() -> tuple[KnownCall, ...]:
    """Return the calls that the functions under way here know of."""
    found: list[KnownCall | None] = []
    arguments = runner_arguments()
    if arguments is not None:
        found.append(_call_in(peek(arguments, "call_data")))
        found.extend(_in_body(peek(arguments, "body")))
    for frame in _frames():
        for value in list(frame.f_locals.values()):
            if type(value) is dict or _is_of(value, "CallData"):
                found.append(_call_in(value))
    return tuple(dict.fromkeys(call for call in found if call is not None))


def number_behind(transport: Any, known: tuple[KnownCall, ...]) -> str | None:
    """Return the number of whoever is at the other end of a call over a websocket, or None.

    Args:
        transport: The websocket's transport.
        known: What else is known of calls; what is said of another one does not count.
    """
    ids = call_ids_of(transport)
    parsed = peek(websocket_of(transport), "_pipecat_parsed_telephony")
    own = _call_in(parsed[1]) if isinstance(parsed, tuple) and len(parsed) == 2 else None
    for call in (own, *known):
        if call is not None and call.source == "websocket" and call.ids & ids:
            return call.number
    return None


def _frames() -> Iterator[FrameType]:
    """Yield what is under way here, from the innermost on, as far as it is one task's."""
    frame = sys._getframe(1)
    for _ in range(_MAX_CALLS):
        if frame.f_back is None:
            return
        frame = frame.f_back
        module = str(frame.f_globals.get("__name__", ""))
        if module.partition(".")[0] in ("asyncio", "uvloop"):
            return
        if module.partition(".")[0] != "pipecat_dd":
            yield frame


def _in_body(body: Any) -> Iterator[KnownCall]:
    """Yield the calls that the body of the request says the bot was started for."""
    settings = body.get("dialin_settings") if isinstance(body, dict) else None
    settings = settings if settings is not None else peek(body, "dialin_settings")
    number = _text(_get(settings, "From")) or _text(_get(settings, "from"))
    if number is not None:
        yield KnownCall(frozenset(), number, "dialin")
    if _is_of(body, "WhatsAppConnectCall"):
        number = _text(peek(body, "from_"))  # it is the caller's in each
        if number is not None:
            yield KnownCall(frozenset(), number, "whatsapp")


def _call_in(value: Any) -> KnownCall | None:
    """Return the call that a provider's first message, or what was read of it, describes."""
    start = _get(value, "start")
    parts = [value, start] if isinstance(start, dict) else [value]
    ids = {text for part in parts for name in _IDS if (text := _text(_get(part, name)))}
    if not ids:
        return None
    fields: dict[str, str] = {}
    for part in parts:
        for name in ("from", "to", "from_number", "to_number", "direction"):
            if (text := _text(_get(part, name))) is not None:
                fields.setdefault(_plain(name), text)
        for custom in (_get(part, name) for name in _CUSTOM):
            for name, entry in _entries(custom):
                if isinstance(name, str) and (text := _text(entry)) is not None:
                    fields.setdefault(_plain(name).removeprefix("xph"), text)  # Plivo's prefix
    outbound = "out" in fields.get("direction", "").lower()
    names = (*_CALLED, *_CALLERS) if outbound else (*_CALLERS, *_CALLED)
    found = (fields[name] for name in names if name in fields)
    number = next((text for text in found if _NUMBERS.found_in(text)), None)
    return None if number is None else KnownCall(frozenset(ids), number)


def _entries(custom: Any) -> Iterator[tuple[Any, Any]]:
    """Yield what a bot's own parameters are: a mapping, or text that holds one."""
    if type(custom) is dict:
        yield from custom.items()
    elif isinstance(custom, str) and len(custom) <= _MAX_PARAMETERS_CHARS:
        yield from _PAIR.findall(custom)


_MAX_PARAMETERS_CHARS = 4_000
_PAIR = re.compile(r"([\w\-]+)[\"']?\s*[:=]\s*[\"']?([^,;&{}\"']+)")


def _get(value: Any, name: str) -> Any:
    if type(value) is dict:
        return value.get(name)
    # No other object's attributes are asked for: its own code might run.
    return peek(value, _ALIASES.get(name, name)) if _is_of(value, *_MODELS) else None


_ALIASES = {"from": "from_number", "to": "to_number"}
_MODELS = ("CallData", "DialinSettings", "DailyDialinRequest")


def _is_of(value: Any, *class_names: str) -> bool:
    return any(kind.__name__ in class_names for kind in type(value).__mro__)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z]", "", name.lower())


def _text(value: Any) -> str | None:
    return value.strip() or None if isinstance(value, str) else None

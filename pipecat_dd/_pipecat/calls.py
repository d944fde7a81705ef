"""Finds the caller's number of a telephone call, outside of its transport.

A provider sends it in the first message of its websocket, which Pipecat's runner or the bot has
read before there is a transport. It is found on the websocket, where Pipecat keeps the parsed
message, in the arguments that the runner passed to the bot, or in the variables of the functions
that create the observer.

Only data of the same call is used: a call's data must have the id of the transport's call, and the
runner's arguments must be an argument of a function that creates the observer.
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
"""How many frames up the stack the bot's own function is searched for."""

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
    """A telephone call, as described outside of its transport.

    Attributes:
        ids: The provider's ids of the call and its stream.
        number: The other party's telephone number.
        source: ``websocket``, ``dialin`` or ``whatsapp``.
    """

    ids: frozenset[str]
    number: str
    source: str = "websocket"


def runner_arguments() -> Any:
    """Return the arguments with which Pipecat's runner called the bot, or None.

    The arguments of the functions on the stack are searched, the innermost first. Other variables
    are not, since a function works on its arguments, but may hold anything else.
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
    """Return the calls found in the functions on the stack."""
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
    """Return the other party's number of a call over a websocket, or None.

    Args:
        transport: The websocket's transport.
        known: Calls known from elsewhere; those with other ids are ignored.
    """
    ids = call_ids_of(transport)
    parsed = peek(websocket_of(transport), "_pipecat_parsed_telephony")
    own = _call_in(parsed[1]) if isinstance(parsed, tuple) and len(parsed) == 2 else None
    for call in (own, *known):
        if call is not None and call.source == "websocket" and call.ids & ids:
            return call.number
    return None


def _frames() -> Iterator[FrameType]:
    """Yield the frames of this task's stack, the innermost first, without this package's own."""
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
    """Yield the calls for which the bot was started, according to the request's body."""
    settings = body.get("dialin_settings") if isinstance(body, dict) else None
    settings = settings if settings is not None else peek(body, "dialin_settings")
    number = _text(_get(settings, "From")) or _text(_get(settings, "from"))
    if number is not None:
        yield KnownCall(frozenset(), number, "dialin")
    if _is_of(body, "WhatsAppConnectCall"):
        number = _text(peek(body, "from_"))  # always the caller's
        if number is not None:
            yield KnownCall(frozenset(), number, "whatsapp")


def _call_in(value: Any) -> KnownCall | None:
    """Return the call that a provider's first message, raw or parsed, describes."""
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
    """Yield a bot's own parameters, from a mapping or from text that holds one."""
    if type(custom) is dict:
        yield from custom.items()
    elif isinstance(custom, str) and len(custom) <= _MAX_PARAMETERS_CHARS:
        yield from _PAIR.findall(custom)


_MAX_PARAMETERS_CHARS = 4_000
_PAIR = re.compile(r"([\w\-]+)[\"']?\s*[:=]\s*[\"']?([^,;&{}\"']+)")


def _get(value: Any, name: str) -> Any:
    if type(value) is dict:
        return value.get(name)
    # Attributes of other objects are not read, since that might run their code.
    return peek(value, _ALIASES.get(name, name)) if _is_of(value, *_MODELS) else None


_ALIASES = {"from": "from_number", "to": "to_number"}
_MODELS = ("CallData", "DialinSettings", "DailyDialinRequest")


def _is_of(value: Any, *class_names: str) -> bool:
    return any(kind.__name__ in class_names for kind in type(value).__mro__)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z]", "", name.lower())


def _text(value: Any) -> str | None:
    return value.strip() or None if isinstance(value, str) else None

"""Records the bot's requests to transports and services: key presses, call transfers, STT mute.

Pipecat has no event for these: a bot pushes a frame, or calls a method of Daily's transport. What
is recorded is that it asked. A frame's request may wait until the bot has spoken, and if it fails
then, the transport reports an error. Of keys, no more is recorded than of those that a user
presses; of a transfer, never where to.
"""

import re
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from pipecat_dd import _guard, _pipecat
from pipecat_dd.conversation.conversation import Conversation
from pipecat_dd.conversation.failure import Failure
from pipecat_dd.conversation.model import Phase, Role
from pipecat_dd.conversation.participants import Event, Participants
from pipecat_dd.conversation.service_events import EventSource
from pipecat_dd.instrumentation.frame_event import FrameEvent
from pipecat_dd.instrumentation.patches import Patches

SIP_TRANSFER = "sip_transfer"
SIP_REFER = "sip_refer"
OUTPUT_DTMF = "output_dtmf"
STT_MUTED = "stt_muted"
STT_UNMUTED = "stt_unmuted"

_METHODS = {"sip_call_transfer": SIP_TRANSFER, "sip_refer": SIP_REFER, "send_dtmf": OUTPUT_DTMF}
"""Methods of Daily's transport that ask at once, without a frame, and the events they become."""

_ADDRESS = re.compile(r"\b(?:sips?|tel):[^\s\"'<>]+", re.I)

Method = Callable[..., Awaitable[Any]]


# Frames


def keys_sent(event: FrameEvent) -> None:
    """Record keys that the bot asks to be pressed."""
    buttons = getattr(event.frame, "buttons", None) or (getattr(event.frame, "button", None),)
    keys = [str(getattr(button, "value", button)) for button in buttons if button is not None]
    people = event.conversation.participants
    if keys:
        to = getattr(event.frame, "session_id", None)
        people.settle_event(people.send_keys(OUTPUT_DTMF, keys, event.at_ns, to), event.at_ns)


def transfer_asked(event: FrameEvent) -> None:
    """Record that the bot asks for the call to be transferred."""
    _ask(event, SIP_TRANSFER)


def refer_asked(event: FrameEvent) -> None:
    """Record that the bot asks for the caller to be referred to another party."""
    _ask(event, SIP_REFER)


def _ask(event: FrameEvent, name: str) -> None:
    people = event.conversation.participants
    settings = getattr(event.frame, "settings", None)
    begun = people.begin_request(name, event.at_ns, _session_in(settings))
    people.settle_event(begun, event.at_ns)


def stt_muted(event: FrameEvent) -> None:
    """Record that the bot asks its STT service not to listen, or to listen again."""
    processors = event.conversation.session.processors.values()
    services = [p for p in processors if p.role is Role.STT]
    processor = services[0] if len(services) == 1 else event.source
    name = STT_MUTED if getattr(event.frame, "mute", False) else STT_UNMUTED
    source = EventSource(processor.name if processor is not None else "", processor)
    events = event.conversation.service_events
    begun = events.begin(name, source, event.at_ns, {})
    if begun is not None:
        events.settle(begun, event.at_ns)


# Methods


def patch_requests(transport: Any, conversation: Conversation, replaced: Patches) -> None:
    """Patch the methods with which the bot asks a transport of Daily's without a frame.

    Args:
        transport: The transport; another than Daily's is left as it is.
        conversation: Gets the requests.
        replaced: The session's patches.
    """
    if _pipecat.is_a(transport, "DailyTransport"):
        for method, name in _METHODS.items():
            inner = getattr(transport, method, None)
            if callable(inner):
                replaced.patch(transport, method, _recording(conversation, name, inner))


def _recording(conversation: Conversation, name: str, inner: Method) -> Method:
    people = conversation.participants

    async def request(*args: Any, **kwargs: Any) -> Any:
        settings = args[0] if args else kwargs.get("settings")
        begun: Event | None = None
        if conversation.session.phase is Phase.RUNNING:
            with _guard.instrumentation.guarded():
                begun = _begin(people, name, settings)
        problem: object = None
        try:
            problem = await inner(*args, **kwargs)
        except Exception as error:
            problem = error
            raise
        finally:
            if begun is not None:
                with _guard.instrumentation.guarded():
                    if problem is not None:
                        people.fail_event(begun, _failure(people, problem))
                    people.settle_event(begun, time.time_ns())
        return problem

    return request


def _begin(people: Participants, name: str, settings: Any) -> Event:
    at_ns, to = time.time_ns(), _session_in(settings)
    if name != OUTPUT_DTMF:
        return people.begin_request(name, at_ns, to)
    tones = settings.get("tones") if isinstance(settings, Mapping) else None
    return people.send_keys(name, list(tones) if isinstance(tones, str) else [], at_ns, to)


def _failure(people: Participants, problem: object) -> Failure:
    text = _ADDRESS.sub("[address]", people.numbers.masked(str(problem)))
    if isinstance(problem, Exception):
        return Failure(type(problem).__name__, text)
    return Failure("TransportError", text)


def _session_in(settings: Any) -> str | None:
    found = settings.get("sessionId") if isinstance(settings, Mapping) else None
    return found if isinstance(found, str) else None

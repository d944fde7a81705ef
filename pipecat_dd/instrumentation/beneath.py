"""Records events of the connection beneath a transport that the transport does not report.

A WebRTC connection that failed looks like any other departure to its transport, and a microphone
that the user turned off looks like silence. Genesys opens, pauses and closes a call in messages
that its serializer answers by itself.
"""

import time
from collections.abc import Awaitable, Callable
from typing import Any

from pipecat_dd import _guard, _pipecat
from pipecat_dd.conversation.conversation import Conversation
from pipecat_dd.conversation.failure import Failure
from pipecat_dd.conversation.model import AttributeValue, Phase
from pipecat_dd.instrumentation.patches import Patches
from pipecat_dd.names import tags

FAILED = "failed"
TRACK_STATUS = "track-status"

CONNECTION_EVENTS = frozenset({FAILED, TRACK_STATUS})
"""The events of a WebRTC connection that are recorded."""

SERIALIZER_EVENTS = frozenset({"on_open", "on_close", "on_pause", "on_update", "on_error"})
"""The events of a serializer that are recorded. A pressed key is a frame, too, which shows it."""

_SOURCES = ("microphone", "camera", "screen")
"""What a peer turns on and off, in the order of its receivers."""

Method = Callable[..., Awaitable[Any]]


def patch_beneath(transport: Any, conversation: Conversation, replaced: Patches) -> None:
    """Patch the dispatch of events of a transport's connection and of its serializer.

    Args:
        transport: The transport.
        conversation: Gets the events.
        replaced: The session's patches.
    """
    for instance, events in (
        (_pipecat.connection_of(transport), CONNECTION_EVENTS),
        (_pipecat.serializer_of(transport), SERIALIZER_EVENTS),
    ):
        recorded = events & _pipecat.own_events(instance)
        caller = _pipecat.event_caller(instance) if recorded else None
        if caller is not None:
            recording = _recording(conversation, recorded, caller)
            replaced.patch(instance, _pipecat.CALL_EVENT_HANDLER, recording)


def _recording(conversation: Conversation, events: frozenset[str], inner: Method) -> Method:
    def _call_event_handler(event_name: str, *args: Any, **kwargs: Any) -> Awaitable[Any]:
        if event_name in events and conversation.session.phase is Phase.RUNNING:
            with _guard.instrumentation.guarded():
                _record(conversation, event_name, args)
        return inner(event_name, *args, **kwargs)

    return _call_event_handler


def _record(conversation: Conversation, name: str, args: tuple[Any, ...]) -> None:
    at_ns, people = time.time_ns(), conversation.participants
    facts: dict[str, AttributeValue] = {}
    failure = None
    if name == TRACK_STATUS and len(args) > 1:
        place, is_on = args[0], "on" if args[1] else "off"
        if isinstance(place, int) and 0 <= place < len(_SOURCES):
            facts[tags.EVENT_DETAIL] = f"{_SOURCES[place]}_{is_on}"
    elif name == FAILED:
        failure = Failure("ConnectionError", "the peer connection failed")
    elif name == "on_error":
        failure = Failure("TransportError", "the client reported an error")
    event = people.begin_event(name, at_ns, people.only, facts, failure)
    people.settle_event(event, at_ns)

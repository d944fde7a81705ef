"""The one door to Pipecat's internals.

What differs between Pipecat's versions, and what is not public, is asked for here and nowhere
else. Everything private is listed in :data:`PRIVATE`; where it is missing, the answer is less
and never an exception.
"""

from pipecat.processors.frame_processor import FrameProcessor

from pipecat_dd._pipecat.frames import (
    DOWNSTREAM,
    context_counts,
    context_text,
    frame_class,
    is_aside,
    is_words,
    naming_attribute,
)
from pipecat_dd._pipecat.pipeline import (
    conversation_id,
    event_time_ns,
    is_compound,
    is_users,
    outermost,
    runs_in_pushers_task,
    spare_events,
    walk,
    worker_of,
)
from pipecat_dd._pipecat.private import CALL_EVENT_HANDLER, PRIVATE, RUN_HANDLER, moved
from pipecat_dd._pipecat.services import (
    analyzer_of,
    is_a,
    is_realtime,
    role_of,
    service_of,
    stop_strategy_of,
)
from pipecat_dd._pipecat.transports import (
    behind,
    call_of,
    connected_peer,
    daily_room,
    event_caller,
    handler_count,
    handler_runner,
    has_event,
    is_transport,
    livekit_participant,
    serializer_of,
    transport_behind,
    transport_of,
    websocket_of,
)
from pipecat_dd._pipecat.versions import CAME, OLDEST, Came, not_yet, pipecat_version

__all__ = [
    "CALL_EVENT_HANDLER",
    "CAME",
    "DOWNSTREAM",
    "OLDEST",
    "PRIVATE",
    "RUN_HANDLER",
    "Came",
    "FrameProcessor",
    "analyzer_of",
    "behind",
    "call_of",
    "connected_peer",
    "context_counts",
    "context_text",
    "conversation_id",
    "daily_room",
    "event_caller",
    "event_time_ns",
    "frame_class",
    "handler_count",
    "handler_runner",
    "has_event",
    "is_a",
    "is_aside",
    "is_compound",
    "is_realtime",
    "is_transport",
    "is_users",
    "is_words",
    "livekit_participant",
    "moved",
    "naming_attribute",
    "not_yet",
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

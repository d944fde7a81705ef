"""Finds the objects of a processor or worker that dispatch events, and describes them."""

import asyncio
import dataclasses
from collections.abc import Callable, Collection
from enum import Enum
from typing import Any

from pipecat.processors.frame_processor import FrameProcessor
from pipecat.utils.base_object import BaseObject

from pipecat_dd._pipecat.class_memo import ClassMemo
from pipecat_dd._pipecat.private import CALL_EVENT_HANDLER
from pipecat_dd._pipecat.services import attribute_values, is_a
from pipecat_dd._private import peek

CONNECT_WEBSOCKET = "_connect_websocket"
"""The method of a service that makes its connection."""

ANALYZE_END_OF_TURN = "analyze_end_of_turn"
"""The method of a turn detection model that rules on whether the user has finished."""

FRAME_EVENTS = (
    "on_before_process_frame",
    "on_after_process_frame",
    "on_before_push_frame",
    "on_after_push_frame",
)
"""What Pipecat's processors dispatch for each frame, and await at once."""

_MAX_DEPTH = 5
_MAX_FOUND = 64
_MAX_ITEMS = 32
_MAX_SETS_OF_EVENTS = 16

_ANALYZER = "BaseTurnAnalyzer"
_ELSEWHERE = frozenset(
    {
        *("BaseObserver", "BaseTaskManager", "BaseTransport", "BaseWorker"),
        *("FrameProcessorMetrics", "FrameProcessorSetup", "WorkerRunner", "WorkerBus"),
    }
)
"""What a processor refers to and does not own."""


class _Part(Enum):
    """What an attribute of a processor is to it, by the attribute's class."""

    NONE = "none"
    ITEMS = "items"
    HOLDER = "holder"
    """Parameters and the like, which hold what may be its own."""
    OWNED = "owned"


def _part_of_class(kind: type) -> _Part:
    if kind in (list, tuple):
        return _Part.ITEMS
    names = {base.__name__ for base in kind.__mro__}
    if issubclass(kind, FrameProcessor) or not names.isdisjoint(_ELSEWHERE):
        return _Part.NONE
    if issubclass(kind, BaseObject) or _ANALYZER in names:
        return _Part.OWNED
    is_holder = kind.__module__.startswith("pipecat.") and dataclasses.is_dataclass(kind)
    return _Part.HOLDER if is_holder else _Part.NONE


_part_of = ClassMemo(_part_of_class)


def attached(instance: Any) -> list[tuple[Any, Any]]:
    """Return the objects that belong to a processor: strategies, controllers, analyzers.

    They are found in its attributes and in those of what is found, so that one that Pipecat adds
    or a user writes is found, too. Other processors, transports and workers are not its own.

    Args:
        instance: The processor.

    Returns:
        Each object that dispatches events or is a turn detection model, with its owner.
    """
    found: list[tuple[Any, Any]] = []
    seen = {id(instance)}
    known, part_of, none = _part_of.of_modules, _part_of, _Part.NONE

    def look_into(values: Collection[Any], owner: Any, depth: int) -> None:
        for value in tuple(values):
            kind = type(value)
            part = known.get(kind) or part_of(kind)
            if part is not none:
                look(value, part, owner, depth)

    def look(value: Any, part: _Part, owner: Any, depth: int) -> None:
        if depth > _MAX_DEPTH or len(found) >= _MAX_FOUND:
            return
        if part is _Part.ITEMS:
            look_into(value[:_MAX_ITEMS], owner, depth + 1)
            return
        if id(value) in seen:
            return
        seen.add(id(value))
        if part is _Part.OWNED:
            found.append((value, owner))
            owner = value
        look_into(_values(value), owner, depth + 1)

    look_into(_values(instance), instance, 1)
    return found


def _values(found: Any) -> Collection[Any]:
    """Return the values of an object's attributes."""
    if isinstance(found, BaseObject):
        return attribute_values(found)
    held = peek(found, "__dict__", {})
    return held.values() if isinstance(held, dict) else ()


def is_turn_analyzer(value: Any) -> bool:
    """Whether an object is a turn detection model."""
    return is_a(value, _ANALYZER) and hasattr(value, ANALYZE_END_OF_TURN)


def own_events(instance: Any) -> frozenset[str]:
    """Return the events whose handlers an object runs in tasks of their own.

    Those that it runs in place connect the parts of Pipecat with one another.
    """
    events = peek(instance, "_event_handlers")
    if not isinstance(events, dict):
        return frozenset()
    by_names, names = _own_events(type(instance)), tuple(events)
    found = by_names.get(names)
    if found is None:
        if len(by_names) >= _MAX_SETS_OF_EVENTS:
            by_names.clear()
        found = by_names[names] = frozenset(n for n, event in events.items() if not _is_sync(event))
    return found


def _no_events_yet(kind: type) -> dict[tuple[str, ...], frozenset[str]]:
    return {}


_own_events = ClassMemo(_no_events_yet)
"""By class and the names of its events: all that a class has is the same on each instance."""


def all_events(instance: Any) -> frozenset[str]:
    """Return all events of an object."""
    events = peek(instance, "_event_handlers")
    return frozenset(events) if isinstance(events, dict) else frozenset()


def has_users_handler(instance: Any, name: str) -> bool:
    """Whether an event has a handler that is not Pipecat's own."""
    event = (peek(instance, "_event_handlers") or {}).get(name)
    return any(
        str(getattr(handler, "__module__", "")).partition(".")[0] != "pipecat"
        for handler in getattr(event, "handlers", ())
    )


def frame_events(instance: Any) -> dict[str, Any]:
    """Return the events that a processor dispatches for each frame, by name.

    Args:
        instance: A processor that dispatches them as Pipecat's do; else there are none.
    """
    events = peek(instance, "_event_handlers")
    dispatch = getattr(peek(instance, CALL_EVENT_HANDLER), "__func__", None)
    is_pipecats = dispatch is not None and dispatch is peek(BaseObject, CALL_EVENT_HANDLER)
    if not is_pipecats or not isinstance(events, dict):
        return {}
    found = {name: events[name] for name in FRAME_EVENTS if name in events}
    return {name: event for name, event in found.items() if hasattr(event, "handlers")}


def finished() -> asyncio.Future[None]:
    """Return what an event comes to that nothing handles.

    It can be awaited again and again, some hundred times a second; a new coroutine each time would
    cost more.
    """
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.set_result(None)
    return future


def _is_sync(event: Any) -> bool:
    return bool(getattr(event, "is_sync", False))


def is_losing_connection(service: Any) -> bool:
    """Whether a service makes its connection anew since it has lost it, not since it was asked to.

    Args:
        service: A service that reports that it is disconnected.
    """
    if peek(service, "_disconnecting", False) or peek(service, "_reconnecting", False):
        return False
    return bool(peek(service, "_reconnect_in_progress", False))


def connecting_method(service: Any) -> Callable[..., Any] | None:
    """Return the method of a service that makes its connection, or None."""
    found = peek(service, CONNECT_WEBSOCKET)
    return found if callable(found) else None


def job_of(message: Any) -> tuple[str | None, str | None, str | None]:
    """Return the name, id and status of the job that a message is about; None where unknown."""
    status = getattr(message, "status", None)
    name, job_id = getattr(message, "job_name", None), getattr(message, "job_id", None)
    status = getattr(status, "value", status)
    return (
        name if isinstance(name, str) and name else None,
        job_id if isinstance(job_id, str) and job_id else None,
        status if isinstance(status, str) and status else None,
    )

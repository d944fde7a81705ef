"""Finds the flow managers of a worker, and the node that each is at.

A worker has no reference to its flow managers. But each of them registers a handler of one of the
worker's events, to run its actions, and that handler refers to the manager. That holds for
``pipecat.flows`` and for the package it was before, ``pipecat_flows``.
"""

from collections.abc import Iterator
from typing import Any

from pipecat_dd._pipecat.services import is_a
from pipecat_dd._private import peek

FLOWS_EVENT = "on_frame_reached_downstream"
"""The worker's event for which a flow manager registers a handler."""

_MODULES = ("pipecat.flows.", "pipecat_flows.")


def flow_managers(worker: Any) -> Iterator[Any]:
    """Yield the flow managers that a worker has so far, the latest last."""
    event = (peek(worker, "_event_handlers") or {}).get(FLOWS_EVENT)
    for handler in list(getattr(event, "handlers", ())):
        manager = flow_manager_behind(handler)
        if manager is not None:
            yield manager


def flow_manager_behind(handler: Any) -> Any:
    """Return the flow manager that an event handler belongs to, or None."""
    if not str(getattr(handler, "__module__", "")).startswith(_MODULES):
        return None
    for cell in getattr(handler, "__closure__", None) or ():
        try:
            found = cell.cell_contents
        except ValueError:  # it has no value yet
            continue
        if is_a(found, "FlowManager"):
            return found
    return None


def flow_serves(manager: Any, instance_name: str) -> bool:
    """Whether a flow is that of an LLM service, which it may reach through a switcher.

    Args:
        manager: The flow manager.
        instance_name: The service's name.
    """
    llm = peek(manager, "_llm")
    return any(
        getattr(one, "name", None) == instance_name for one in (llm, *getattr(llm, "llms", ()))
    )


def flow_node(manager: Any) -> Any:
    """Return the name of the node that a flow is at; None before its first node."""
    return getattr(manager, "current_node", None)

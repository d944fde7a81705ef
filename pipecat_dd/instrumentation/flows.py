"""Finds the flows of a session's workers (``pipecat.flows``), also those that are made later."""

import re
import weakref
from collections.abc import Callable
from typing import Any

from pipecat_dd import _guard, _pipecat
from pipecat_dd.conversation.flows import Flow, Flows
from pipecat_dd.conversation.pipelines import Pipeline
from pipecat_dd.instrumentation.patches import Patches

MAX_NODE_CHARS = 100
"""The most characters of a node's name."""

UNNAMED = "unnamed"
"""Stands for a node without a name, to which Pipecat gives another UUID each time."""

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def find_flows(worker: Any, pipeline: Pipeline, flows: Flows, patches: Patches) -> None:
    """Add a worker's flows to the session's, those that it has and those that it gets.

    Args:
        worker: The worker.
        pipeline: Our record of its pipeline.
        flows: The session's flows.
        patches: Undone at the session's end.
    """

    def add(manager: Any) -> None:
        held = weakref.ref(manager)
        flows.add(Flow(pipeline, _node_of(held), lambda name: _pipecat.flow_serves(held(), name)))

    for manager in _pipecat.flow_managers(worker):
        add(manager)
    inner: Callable[..., Any] = worker.add_event_handler

    def add_event_handler(event_name: str, handler: Any, *args: Any, **kwargs: Any) -> Any:
        added = inner(event_name, handler, *args, **kwargs)
        if event_name == _pipecat.FLOWS_EVENT:
            with _guard.instrumentation.guarded():
                manager = _pipecat.flow_manager_behind(handler)
                if manager is not None:
                    add(manager)
        return added

    patches.patch(worker, "add_event_handler", add_event_handler)


def _node_of(held: "weakref.ref[Any]") -> Callable[[], str | None]:
    """Return a function that returns the current node's name; it is called for each log line."""
    last: tuple[object, str | None] = (None, None)

    def node() -> str | None:
        nonlocal last
        try:
            found = _pipecat.flow_node(held())
            if found is not last[0]:
                last = (found, _shown(found))
            return last[1]
        except Exception as error:
            _guard.conversation.failed(error)
            return None

    return node


def _shown(name: Any) -> str | None:
    if not isinstance(name, str) or not name:
        return None
    return UNNAMED if _UUID.fullmatch(name) else name[:MAX_NODE_CHARS]

"""What goes on after a tool has settled: the rest of its handler, the transition of a flow.

A tool may settle without the model being asked to respond (``run_llm=False``), and what it began
asks for the answer later. That is known as long as its task runs, or one that its handler started.
"""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from pipecat_dd import _guard
from pipecat_dd.conversation.call_stack import context_of
from pipecat_dd.conversation.context import WorkContext, current
from pipecat_dd.conversation.turns import Turns

CALLED_BACK = ":on_context_updated"
"""How Pipecat ends the name of the task that runs what a tool wanted run once its result is in the
context."""


def watch_task(turns: Turns) -> object:
    """Return what stands for the running task, a tool's, and have its end be known.

    Args:
        turns: Told of it.
    """
    task = asyncio.current_task()
    if task is not None:
        task.add_done_callback(partial(_done, turns))
    return task


def watching_callbacks(
    inner: Callable[..., Any], turns: Turns, is_on: Callable[[], bool]
) -> Callable[..., Any]:
    """Return a ``create_task`` that does what another does, and has us know of tools' callbacks.

    Args:
        inner: The aggregator's own.
        turns: Told that one runs.
        is_on: Whether to tell still.
    """

    def create_task(coroutine: Any, *args: Any, **kwargs: Any) -> Any:
        task = inner(coroutine, *args, **kwargs)
        with _guard.instrumentation.guarded():
            name = args[0] if args else kwargs.get("name")
            if is_on() and isinstance(name, str) and name.endswith(CALLED_BACK):
                turns.expect(task)
                task.add_done_callback(partial(_done, turns))
        return task

    return create_task


def _done(turns: Turns, task: "asyncio.Task[Any]") -> None:
    with _guard.conversation.guarded():
        if turns.is_awaiting(task):
            # A handler may leave the rest to a task of its own, and be through.
            for started in _started_by(task):
                turns.expect(started)
                started.add_done_callback(partial(_done, turns))
        turns.arrive(task, time.time_ns())


def _started_by(task: "asyncio.Task[Any]") -> "list[asyncio.Task[Any]]":
    """Return the tasks that were started in the place of one, and still run."""
    work = _place_of(task)
    if work is None or work.bound is None:
        return []
    return [one for one in asyncio.all_tasks() if one is not task and _place_of(one) is work]


def _place_of(task: "asyncio.Task[Any]") -> WorkContext | None:
    context = context_of(task)
    return None if context is None else context.get(current)

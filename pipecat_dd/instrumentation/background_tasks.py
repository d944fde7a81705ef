"""Follows the work that goes on after a tool's result.

That is the rest of its handler, or the transition of a flow. A result may come without asking the
model to respond (``run_llm=False``); such work may then ask for the response later. It is followed
as long as the tool's task runs, or a task that the tool started.
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
"""The suffix of the names of Pipecat's tasks that run a tool's callback, once the tool's result is
in the context."""


def watch_task(turns: Turns) -> object:
    """Report the end of the running task, a tool's; return the task.

    Args:
        turns: Gets the report.
    """
    task = asyncio.current_task()
    if task is not None:
        task.add_done_callback(partial(_done, turns))
    return task


def watching_callbacks(
    inner: Callable[..., Any], turns: Turns, is_on: Callable[[], bool]
) -> Callable[..., Any]:
    """Return a ``create_task`` that calls the original and reports tools' callbacks.

    Args:
        inner: The aggregator's own method.
        turns: Gets the report of each callback that runs.
        is_on: Whether still to report.
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
            # A handler may leave the rest to a task that it started, and return.
            for started in _started_by(task):
                turns.expect(started)
                started.add_done_callback(partial(_done, turns))
        turns.arrive(task, time.time_ns())


def _started_by(task: "asyncio.Task[Any]") -> "list[asyncio.Task[Any]]":
    """Return the tasks that were started in a task's work context and still run."""
    work = _place_of(task)
    if work is None or work.bound is None:
        return []
    return [one for one in asyncio.all_tasks() if one is not task and _place_of(one) is work]


def _place_of(task: "asyncio.Task[Any]") -> WorkContext | None:
    context = context_of(task)
    return None if context is None else context.get(current)

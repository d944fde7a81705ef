"""What there is of ours in the process: objects, tasks, handlers, registries' entries."""

import asyncio
import gc
import heapq
import weakref
from collections import Counter
from dataclasses import dataclass
from types import FunctionType
from typing import Any

from loguru import logger

from pipecat_dd import _exit
from pipecat_dd.conversation import live_sessions, stack_lookup
from pipecat_dd.conversation.context import current
from pipecat_dd.export import active
from pipecat_dd.instrumentation.frame_traits import FrameTraits

TURN_TRACKING = "pipecat.observers.turn_tracking_observer"


@dataclass(frozen=True)
class Census:
    """What there is.

    Attributes:
        objects: Objects of our classes, and functions of ours, by name.
        tasks: Tasks of the running event loop, by name without its numbers.
        entries: What our registries, and others' for us, hold.
    """

    objects: Counter[str]
    tasks: Counter[str]
    entries: dict[str, int]

    def more_than(self, before: "Census") -> dict[str, int]:
        """Return what there is more of than before."""
        more = dict(self.objects - before.objects) | dict(self.tasks - before.tasks)
        for name, count in self.entries.items():
            if count > before.entries[name]:
                more[name] = count - before.entries[name]
        return more


def census() -> Census:
    """Count. What is garbage is collected first."""
    current.set(None)
    _forget_cancelled_timers()
    for _ in range(3):
        gc.collect()
    objects = Counter(
        f"{kind.__module__}.{kind.__qualname__}"
        for instance in gc.get_objects()
        for kind in [instance if type(instance) is FunctionType else type(instance)]
        if isinstance(kind.__module__, str) and kind.__module__.startswith("pipecat_dd")
        # One for each class of Pipecat's frames that the process has seen.
        if kind is not FrameTraits
    )
    # Pipecat numbers its tasks: ScriptedLLM#12::process_task
    tasks = Counter("".join(c for c in task.get_name() if not c.isdigit()) for task in _tasks())
    core: Any = logger
    return Census(
        objects,
        tasks,
        {
            "handlers of Loguru": len(core._core.handlers),
            "live sessions": len(live_sessions._live),
            "sessions by trace": len(active._by_trace),
            "owners": len(stack_lookup._owned),
            "conversations to close": len(_exit._conversations),
            "finalizers": len(weakref.finalize._registry),  # type: ignore[attr-defined]
            "timers": _timers(),
        },
    )


def _tasks() -> "set[asyncio.Task[Any]]":
    return {task for task in asyncio.all_tasks() if not task.done()}


def _forget_cancelled_timers() -> None:
    """Have the event loop let go of timers that were cancelled, and of their contexts.

    It does so by itself, in hundreds, or when they would have been due: a time-out of the bot's
    holds the session that it was set in until then. So does one that Pipecat's turn tracking
    leaves running for 2.5 seconds after a call's end, up to Pipecat 1.12.
    """
    loop: Any = asyncio.get_running_loop()
    going_on = [
        timer
        for timer in loop._scheduled
        if not timer.cancelled() and timer._callback.__module__ != TURN_TRACKING
    ]
    heapq.heapify(going_on)
    for timer in loop._scheduled:
        timer._scheduled = timer in going_on
    loop._scheduled[:] = going_on
    loop._timer_cancelled_count = 0


def _timers() -> int:
    loop: Any = asyncio.get_running_loop()
    return len(loop._scheduled)

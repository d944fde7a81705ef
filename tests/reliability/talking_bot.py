"""A bot that talks as often as it is told to, and reports how that went.

It reads commands from standard input, a line each: ``talk <n> observed``, or ``plain`` without the
observer, holds a conversation n times, one after another, and prints a report as a line of JSON;
``break <seed>`` has some of our functions raise now and then, from then on; ``end`` ends the
process.
"""

import asyncio
import functools
import gc
import inspect
import itertools
import json
import random
import resource
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from loguru import logger
from pipecat.observers.base_observer import BaseObserver

from pipecat_dd import DatadogObserver
from pipecat_dd.cli.demo.versions import split_sentences_offline
from tests.reliability.test_nothing_escapes import functions, raising, references
from tests.support.blocking import watching
from tests.support.conversation import converse

TICK_SECS = 0.005
BROKEN = 40
"""How many functions of ours are broken at a time."""


def resident_mb() -> float:
    """Return how much memory the process has at this moment."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


class Lag:
    """Measures how late the event loop gets to what is due."""

    def __init__(self) -> None:
        self.late_secs: list[float] = []
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        while True:
            due = time.perf_counter() + TICK_SECS
            await asyncio.sleep(TICK_SECS)
            self.late_secs.append(time.perf_counter() - due)

    def stop(self) -> dict[str, float]:
        """Return what was measured, in milliseconds."""
        self._task.cancel()
        late = sorted(self.late_secs) or [0.0]
        share = {"p50": 0.5, "p99": 0.99, "max": 1.0}
        return {
            name: round(late[min(len(late) - 1, int(part * len(late)))] * 1e3, 2)
            for name, part in share.items()
        }


async def talk(times: int, *, observed: bool) -> dict[str, Any]:
    """Hold conversations, and report."""
    observers: list[DatadogObserver] = []

    def make() -> list[BaseObserver]:
        if not observed:
            return []
        observers.append(DatadogObserver(turn_end_timeout_secs=0.2))
        return list(observers[-1:])

    before = asyncio.all_tasks()
    # What was imported is looked through once, now: that takes Python 0.15 s, whoever talks.
    gc.collect()
    gc.freeze()
    lag, said = Lag(), []
    with ExitStack() as stack:
        # Its patches are no part of what is measured without the observer.
        blocked = stack.enter_context(watching()) if observed else []
        for _ in range(times):
            said.append(await converse(make))
    report = {
        "lag_ms": lag.stop(),
        "said": said,
        "blocked": sorted(set(blocked)),
        "sessions": [observer.session_id for observer in observers],
        "rss_mb": resident_mb(),
    }
    await asyncio.sleep(0)  # lets what was cancelled end
    report["left"] = sorted(
        task.get_name() for task in asyncio.all_tasks() - before if not task.done()
    )
    return report


def break_some(seed: int) -> list[str]:
    """Have functions of ours raise, every third time that they are called; return which.

    Args:
        seed: What they are drawn by.
    """
    drawn = random.Random(seed).sample(list(functions()), BROKEN)
    for _, owner, attribute, function in drawn:
        broken = raising_at_times(function)
        setattr(owner, attribute, broken)
        for module, held_as in references(function):
            setattr(module, held_as, broken)
    return [name for name, *_ in drawn]


def raising_at_times(function: Any) -> Any:
    """Return a function that does what another does, and raises instead every third time."""
    calls = itertools.count(1)
    raises = raising(function)

    @functools.wraps(function)
    def now_and_then(*args: Any, **kwargs: Any) -> Any:
        return (raises if next(calls) % 3 == 0 else function)(*args, **kwargs)

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def later(*args: Any, **kwargs: Any) -> Any:
            return await now_and_then(*args, **kwargs)

        return later
    return now_and_then


async def _stay_awake() -> None:
    """Wake the event loop now and then, as the timers of a call do.

    A signal that comes as the loop goes to sleep is handled when it wakes: Python runs handlers
    between bytecodes. With nothing to wake for, that would be never.
    """
    while True:  # noqa: ASYNC110 - there is nothing to wait for
        await asyncio.sleep(0.1)


async def main() -> None:
    """Do what standard input says."""
    awake = asyncio.create_task(_stay_awake())
    try:
        await _obey()
    finally:
        awake.cancel()


async def _obey() -> None:
    while True:
        line = await asyncio.to_thread(sys.stdin.readline)
        match line.split():
            case ["talk", times, how]:
                report: Any = await talk(int(times), observed=how == "observed")
            case ["break", seed]:
                report = break_some(int(seed))
            case _:
                return
        print(json.dumps(report), flush=True)  # noqa: T201 - the test reads it


if __name__ == "__main__":
    split_sentences_offline()
    logger.remove()
    asyncio.run(main())

"""A bot in a process of its own, which says on one line how its event loop fared.

Its argument says what happens to it: it is stopped by its test (`stopped`, or `uncounted` where the
kernel counts nothing of threads); or it forks, and its loop is closed while it runs (`left`).
"""

import asyncio
import contextlib
import json
import os
import sys
import time
import traceback

from loguru import logger

from pipecat_dd.instrumentation import blocked_loop, loop_watch, thread_counters
from pipecat_dd.testing import capture
from tests.instrumentation import blocking_bots as bots
from tests.instrumentation.blocking_bots import Bot


async def is_stopped(bot: Bot) -> None:
    """Work in small steps until the test says so: wherever it is stopped, it is at work."""
    print("ready", flush=True)  # noqa: T201
    said = asyncio.create_task(asyncio.to_thread(sys.stdin.readline))
    while not said.done():
        sum(range(50_000))
        await asyncio.sleep(0)


def watching_threads() -> list[int]:
    """Return the threads of this process that watch a loop."""
    return [
        thread_id
        for thread_id, frame in sys._current_frames().items()
        if any(one.f_code is loop_watch._run.__code__ for one, _ in traceback.walk_stack(frame))
    ]


def open_timers() -> list[str]:
    """Return the kernel's timers that this process has open."""
    found = []
    for file in os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else []:
        with contextlib.suppress(OSError):
            found.append(os.readlink(f"/proc/self/fd/{file}"))
    return [name for name in found if "timerfd" in name]


def is_nothing_left() -> bool:
    """Whether nothing of the watch is left in this process."""
    import gc

    from pipecat_dd.instrumentation import gc_clock

    return (
        not blocked_loop.watched_loops()
        and gc_clock._note not in gc.callbacks
        and not watching_threads()
        and not open_timers()
    )


def leave() -> None:
    """Fork, and close a loop in which a bot runs; say whether anything of ours is left."""

    async def begin() -> None:
        bot = Bot(0)
        bot.running = asyncio.create_task(bot.run(bots.Together(2), None))
        await asyncio.sleep(0.3)
        child = os.fork()
        if child == 0:
            bots.block()
            os._exit(7 if is_nothing_left() else 1)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)  # noqa: T201, ASYNC222

    loop = asyncio.new_event_loop()
    loop.run_until_complete(begin())
    watched = blocked_loop.watched_loops()
    loop.close()
    deadline = time.monotonic() + 10
    while not is_nothing_left() and time.monotonic() < deadline:
        time.sleep(0.01)
    print(watched, is_nothing_left(), flush=True)  # noqa: T201
    os._exit(0)  # Pipecat's tasks complain that their loop is closed


def main() -> None:
    if sys.argv[1] == "left":
        leave()
    if sys.argv[1] == "uncounted":
        thread_counters.ThreadCounters.read = lambda self: None  # type: ignore[method-assign]
    with contextlib.suppress(ValueError):
        logger.remove(0)
    with capture() as seen:
        asyncio.run(bots.run_all([is_stopped]))
    session = seen.session("session-0")
    tags = {
        name: value
        for name, value in session.root.tags.items()
        if "ed_" in name or "running" in name
    }
    spans = [span.resource for span in session.named("pipecat.blocked")]
    lines = [line["message"] for line in seen.lines if "event loop" in line["message"]]
    print(json.dumps({"tags": tags, "spans": spans, "lines": lines}), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()

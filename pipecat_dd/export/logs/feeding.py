"""A sink is not fed with the lines of its own work.

A sink may post its lines by a library that itself logs: httpx and botocore write a line for each
request, urllib3 and aiohttp at DEBUG. Such a line, brought into Loguru, would have the sink post
once more, and so on without end. So what a sink does is known as its work: in the call itself, in
the tasks and threads that it starts, in pools that it hands work to, and in the thread or task
that takes from its queue (see ``sink_workers.py``). What libraries log there is left aside; what
they log on the bot's behalf is not.

Without us the lines of such a library would not reach Loguru's sinks: those that the user has
added beside ours are kept from feeding themselves in the same way.
"""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pipecat_dd import _loguru
from pipecat_dd._forks import in_forked_processes
from pipecat_dd.conversation.context import sink_at_work
from pipecat_dd.conversation.pools import carry_into_pools
from pipecat_dd.conversation.threads import carry_into_threads
from pipecat_dd.export.logs import sink_workers

if TYPE_CHECKING:
    from loguru import Record

_lock = threading.Lock()
_is_on = False


@in_forked_processes
def _renew_lock() -> None:
    global _lock
    _lock = threading.Lock()


def know_sinks_at_work() -> None:
    """Have it known from now on when a sink is at work. Does nothing the second time."""
    global _is_on
    with _lock:
        if _is_on:
            return
        _is_on = True
        _loguru.name_sinks_at_work(sink_at_work)
    carry_into_threads()
    carry_into_pools()


def is_sinks_work() -> bool:
    """Tell whether what logs here is a sink at work, was started by one, or is its worker."""
    try:
        return sink_at_work.get() is not None or sink_workers.is_at_work()
    except Exception:  # asked where a library logs
        return False


def unless_of(sink: Any, filter_: Callable[["Record"], bool]) -> Callable[["Record"], bool]:
    """Return a filter that also leaves aside what a sink itself logs by Loguru.

    Args:
        sink: The sink that is not to get its own lines.
        filter_: The filter.
    """
    own = sink_at_work.get

    def lets_through(record: "Record") -> bool:
        return own() is not sink and filter_(record)

    return lets_through

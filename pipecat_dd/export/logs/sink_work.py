"""Keeps the lines that a sink itself causes away from sinks.

A sink may post its lines with a library that logs: httpx and botocore log each request, urllib3
and aiohttp do at DEBUG. If such a line reached the sink through Loguru, the sink would post again,
and so on without end. So the work of sinks is tracked: in the call itself, in the tasks
and threads that it starts, in pools that it submits work to, and in the thread or task that reads
its queue (see ``sink_workers.py``). What libraries log there is ignored; what they log for the bot
is not.

Without `configure_logging` such lines would not reach Loguru at all. So the user's own sinks are
protected in the same way as ours.
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


def track_sinks() -> None:
    """Track from now on when a sink is at work. Does nothing on later calls."""
    global _is_on
    with _lock:
        if _is_on:
            return
        _is_on = True
        _loguru.set_while_writing(sink_at_work)
    carry_into_threads()
    carry_into_pools()


def is_sink_work() -> bool:
    """Whether the calling code is a sink, was started by one, or is a sink's worker."""
    try:
        return sink_at_work.get() is not None or sink_workers.is_at_work()
    except Exception:  # an error must not reach the library that logs
        return False


def excluding_own(sink: Any, filter_: Callable[["Record"], bool]) -> Callable[["Record"], bool]:
    """Return a filter that also rejects what the sink itself logs with Loguru.

    Args:
        sink: The sink that must not get its own lines.
        filter_: The filter to extend.
    """
    own = sink_at_work.get

    def lets_through(record: "Record") -> bool:
        return own() is not sink and filter_(record)

    return lets_through

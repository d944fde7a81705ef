"""Settings of older guides that ddtrace reads no longer: said once, where one is set.

A user who sets one believes that it works. The line says what has taken its place.
"""

import os
import threading
from typing import Final

from loguru import logger

from pipecat_dd._forks import in_forked_processes

REPLACED: Final = {
    "DD_TRACE_SAMPLE_RATE": "to keep that share of sessions, set "
    "DD_TRACE_SAMPLING_RULES='[{{\"sample_rate\": {value}}}]'",
    "DD_TRACE_ANALYTICS_ENABLED": "all spans that are ingested can be searched; which of them "
    "are kept is decided by retention filters in Datadog, and nothing needs to be set here",
}
"""What each was replaced by."""

_lock = threading.Lock()
_said = False


@in_forked_processes
def _renew_lock() -> None:
    global _lock
    _lock = threading.Lock()


def say_what_is_replaced() -> None:
    """Write a line for each of them that is set, once in a process."""
    global _said
    with _lock:
        if _said:
            return
        _said = True
    for name, instead in REPLACED.items():
        value = os.environ.get(name, "").strip()
        if value:
            logger.warning(
                "{}={} has no effect any more: {}", name, value, instead.format(value=value)
            )

"""Settings without effect, and what the installed Pipecat lacks: one line each, once.

A user who sets one believes that it works; and a span that is not there explains nothing.
"""

import os
import threading
from typing import Final

from loguru import logger

from pipecat_dd._forks import in_forked_processes

REPLACED: Final = {
    "DD_TRACE_SAMPLE_RATE": "to keep that share of sessions, set "
    "DD_TRACE_SAMPLING_RULES='[{{\"sample_rate\": {value}}}]'",
    "DD_TRACE_ANALYTICS_ENABLED": "all ingested spans can be searched, and retention filters in "
    "Datadog decide which of them are kept; remove the variable",
}
"""Settings of older guides that ddtrace reads no longer, and what has replaced each."""

MAX_REPORTED: Final = 100
"""How many problems of the bot's own code are reported in one process."""

_lock = threading.Lock()
_are_written = False
_reported: set[str] = set()


@in_forked_processes
def _renew_lock() -> None:
    global _lock
    _lock = threading.Lock()


def write_notices() -> None:
    """Write a line about each, once in a process."""
    global _are_written
    with _lock:
        if _are_written:
            return
        _are_written = True
    _write_replaced_variables()
    _write_missing_features()


def report_once(problem: str) -> None:
    """Write a line about what the bot's own code has done wrong, once in a process.

    Args:
        problem: What is wrong, as a sentence without a full stop.
    """
    if problem not in _reported and len(_reported) < MAX_REPORTED:
        _reported.add(problem)
        logger.warning("pipecat_dd: {}", problem)


def _write_replaced_variables() -> None:
    for name, instead in REPLACED.items():
        value = os.environ.get(name, "").strip()
        if value:
            logger.warning("{}={} has no effect: {}", name, value, instead.format(value=value))


def _write_missing_features() -> None:
    # Imported here: the doctor reads the table above, and imports Pipecat only for its session.
    from pipecat_dd import _pipecat

    version = _pipecat.pipecat_version()
    if came := _pipecat.not_yet(version):
        listed = ", ".join(f"{one.what} ({one.since})" for one in came)
        logger.info(
            "pipecat_dd: pipecat-ai {} does not have: {}. docs/versions.md has the details",
            version,
            listed,
        )
    if moved := _pipecat.moved():
        logger.warning(
            "pipecat_dd: pipecat-ai {} has moved private parts that pipecat_dd uses: {}. A newer "
            "pipecat-dd may support this version",
            version,
            "; ".join(moved),
        )

"""What the installed Pipecat does not let us show: said once, at the first session.

Nobody should have to find out from a span that is not there.
"""

import threading

from loguru import logger

from pipecat_dd import _pipecat
from pipecat_dd._forks import in_forked_processes

_lock = threading.Lock()
_said = False


@in_forked_processes
def _renew_lock() -> None:
    global _lock
    _lock = threading.Lock()


def say_what_is_lacking() -> None:
    """Write one line about it, once in a process; none where nothing is lacking."""
    global _said
    with _lock:
        if _said:
            return
        _said = True
    version = _pipecat.pipecat_version()
    if came := _pipecat.not_yet(version):
        listed = ", ".join(f"{one.what} ({one.since})" for one in came)
        logger.info(
            "pipecat_dd: pipecat-ai {} has not yet: {}. What that means is in docs/versions.md",
            version,
            listed,
        )
    if moved := _pipecat.moved():
        logger.warning(
            "pipecat_dd: pipecat-ai {} has moved what is private to it: {}. A newer pipecat-dd "
            "may know where to",
            version,
            "; ".join(moved),
        )

"""Collects problems with environment variables and logs each of them once.

An invalid argument raises, since the person who wrote it sees the error. A variable is often set
later, by somebody else, in a deployment's configuration; it must not stop a bot that worked before.
So a variable that is invalid, or needs something that is not installed, is ignored and the default
is used. One line reports it, at ``configure_logging()`` or at the first session, whichever comes
first.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from pipecat_dd._forks import in_forked_processes

IS_LEFT_ASIDE: Final = "It is ignored, and the default is used"
"""What happens if a variable is invalid, for most variables."""

_lock = threading.Lock()
_found: dict[tuple[str, str], None] = {}
_reported: set[tuple[str, str]] = set()
_raises: ContextVar[bool] = ContextVar("pipecat_dd_variables_raise", default=False)


@in_forked_processes
def _renew_lock() -> None:
    global _lock
    _lock = threading.Lock()


def note(variable: str, error: Exception, effect: str = IS_LEFT_ASIDE) -> None:
    """Record that a variable is invalid; `write_notes` logs it.

    Args:
        variable: The variable's name.
        error: Says what is wrong.
        effect: What follows from that, as a sentence without a full stop.

    Raises:
        Exception: The error itself, within a `raising` block.
    """
    if _raises.get():
        raise error
    text = str(error)
    if variable not in text:
        text = f"{variable}: {text}"
    with _lock:
        _found[variable, f"{text}. {effect}"] = None


@contextmanager
def raising(is_on: bool = True) -> Iterator[None]:
    """Raise for an invalid variable within a block, instead of recording it.

    Args:
        is_on: False records it, within a block that raises.
    """
    token = _raises.set(is_on)
    try:
        yield
    finally:
        _raises.reset(token)


def write_notes() -> None:
    """Log each note, once per process."""
    with _lock:
        texts = [text for variable, text in _found if (variable, text) not in _reported]
        _reported.update(_found)
        _found.clear()
    if not texts:
        return
    # Imported here: the command line uses the table, and must start without Loguru.
    from loguru import logger

    for text in texts:
        logger.warning("pipecat_dd: {}", text)

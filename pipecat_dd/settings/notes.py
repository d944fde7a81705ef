"""What is wrong with environment variables: noted where they are read, written once.

An argument that is wrong raises where it is given, in front of who wrote it. A variable is set by
somebody else, later, in a file of a deployment: a bot that answered yesterday must answer today.
So a variable that is wrong, or asks for what is not installed, is left aside; its default counts;
and one line says so, at ``configure_logging()`` or at the first session, whichever comes first.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from pipecat_dd._forks import in_forked_processes

IS_LEFT_ASIDE: Final = "It is left aside, and the default is used"
"""The effect that most variables have when they are wrong."""

_lock = threading.Lock()
_found: dict[tuple[str, str], None] = {}
_reported: set[tuple[str, str]] = set()
_raises: ContextVar[bool] = ContextVar("pipecat_dd_variables_raise", default=False)


@in_forked_processes
def _renew_lock() -> None:
    global _lock
    _lock = threading.Lock()


def note(variable: str, error: Exception, effect: str = IS_LEFT_ASIDE) -> None:
    """Note that a variable is wrong, for `write_notes`.

    Args:
        variable: Its name.
        error: What is wrong, in words.
        effect: What that means, as a sentence without its end.

    Raises:
        Exception: The error itself, within `raising`.
    """
    if _raises.get():
        raise error
    text = str(error)
    if variable not in text:
        text = f"{variable}: {text}"
    with _lock:
        _found[variable, f"{text}. {effect}"] = None


@contextmanager
def raising() -> Iterator[None]:
    """Have a variable that is wrong raise within a block: for who asks what is wrong."""
    token = _raises.set(True)
    try:
        yield
    finally:
        _raises.reset(token)


def write_notes() -> None:
    """Write a line for each note, once each in a process."""
    with _lock:
        texts = [text for variable, text in _found if (variable, text) not in _reported]
        _reported.update(_found)
        _found.clear()
    if not texts:
        return
    # Imported here: the command line reads the table, and starts without Loguru.
    from loguru import logger

    for text in texts:
        logger.warning("pipecat_dd: {}", text)

"""What is logged in the moment of a fork waits until that is over.

While a process forks, Loguru holds the locks of all its handlers, so that none stays locked in
the child for good. Python 3.12.0 to 3.12.2 warns from within ``os.fork`` where the process has
several threads, before it has called what was to be called afterwards: a warning that is handed
to Loguru then waits for a lock that its own thread holds, and the process forks for ever. What a
hook of somebody else's logs there would, too, on any Python.
"""

import os
import threading
from collections.abc import Callable

import loguru  # noqa: F401 - what it registers is to be registered first


class _Forking(threading.local):
    """What the running thread has to log once it has forked; None while it does not fork."""

    held: list[Callable[[], None]] | None = None


_forking = _Forking()


def held_back(hand_over: Callable[[], None]) -> bool:
    """Keep something that logs until this thread has forked.

    Args:
        hand_over: Logs it; must not raise. In the child it is dropped: it was the parent's.

    Returns:
        Whether it is kept: False where this thread does not fork, and it can be logged now.
    """
    if _forking.held is None:
        return False
    _forking.held.append(hand_over)
    return True


def _before() -> None:
    _forking.held = []


def _in_parent() -> None:
    held, _forking.held = _forking.held, None
    for hand_over in held or ():
        hand_over()


def _in_child() -> None:
    _forking.held = None


if hasattr(os, "register_at_fork"):
    # Before a fork they run in reverse order: Loguru's, registered when it was imported, is last
    # to lock and first to unlock.
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)

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
from contextvars import copy_context
from functools import partial

import loguru  # noqa: F401 - what it registers is to be registered first

_Held = list[tuple[int, Callable[[], None]]]


class _Forking(threading.local):
    """What the running thread has to log once it has forked, each with the process it is of.

    None while it does not fork.
    """

    held: _Held | None = None


_forking = _Forking()


def forks() -> bool:
    """Whether the running thread is about to fork, or has just done so."""
    return _forking.held is not None


def hold_back(hand_over: Callable[[], None]) -> None:
    """Keep something that logs until this thread has forked; it is then done in this context.

    Args:
        hand_over: Logs it, in the process that kept it; must not raise.
    """
    if _forking.held is not None:
        _forking.held.append((os.getpid(), partial(copy_context().run, hand_over)))


def _before() -> None:
    _forking.held = []


def _after() -> None:
    held, _forking.held = _forking.held, None
    process = os.getpid()
    for kept_in, hand_over in held or ():
        # What was kept before the fork is the parent's to say.
        if kept_in == process:
            hand_over()


if hasattr(os, "register_at_fork"):
    # Before a fork they run in reverse order: Loguru's, registered when it was imported, is last
    # to lock and first to unlock.
    os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_after)

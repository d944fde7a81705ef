"""What is logged in the moment of a fork waits until that is over.

While a process forks, Loguru holds the locks of all its handlers, so that none stays locked in
the child for good. Python 3.12.0 to 3.12.2 warns from within ``os.fork`` where the process has
several threads, before it has called what was to be called afterwards: a warning that is handed
to Loguru then waits for a lock that its own thread holds, and the process forks for ever. What a
hook of somebody else's logs there would, too, on any Python. And ddtrace stops its threads before a
fork: one that is just logging that no Agent answers would wait for Loguru, and the fork for it. So
while any thread forks, what any thread logs waits.
"""

import os
from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from functools import partial

import loguru  # noqa: F401 - what it registers is to be registered first

_forking = 0
_held: "deque[tuple[int, Callable[[], None]]]" = deque()
"""What is to be logged once nobody forks any more, each with the process it is of."""


def forks() -> bool:
    """Whether a thread of this process is about to fork, or has just done so."""
    return _forking > 0


def hold_back(hand_over: Callable[[], None]) -> None:
    """Keep something that logs until the fork is over; it is then done in this context.

    Args:
        hand_over: Logs it, in the process that kept it; must not raise.
    """
    _held.append((os.getpid(), partial(copy_context().run, hand_over)))
    if not forks():  # it ended between the question and now
        _hand_over()


def _before() -> None:
    global _forking
    _forking += 1


def _after_in_parent() -> None:
    global _forking
    _forking -= 1
    if _forking == 0:
        _hand_over()


def _after_in_child() -> None:
    global _forking
    _forking = 0
    _hand_over()


def _hand_over() -> None:
    process = os.getpid()
    while _held:
        kept_in, hand_over = _held.popleft()
        # What was kept before the fork is the parent's to log.
        if kept_in == process:
            hand_over()


if hasattr(os, "register_at_fork"):
    # Before a fork they run in reverse order: Loguru's, registered when it was imported, is last
    # to lock and first to unlock.
    os.register_at_fork(
        before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child
    )

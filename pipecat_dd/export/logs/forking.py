"""Defers what is logged while the process forks.

During a fork Loguru holds the locks of all its handlers, so that none stays locked in the child.
A line that is logged then can block the fork forever:

* Python 3.12.0 to 3.12.2 issues a warning in ``os.fork`` if the process has several threads,
  before Loguru has released its locks. A warning passed to Loguru would wait for a lock that its
  own thread holds.
* The same happens, on any Python, if another library's fork hook logs.
* ddtrace stops its threads before a fork. A thread that logs that the Agent does not answer would
  wait for Loguru, and the fork for the thread.

So while any thread forks, records from all threads are deferred.
"""

import os
from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from functools import partial

import loguru  # noqa: F401 - it must register its fork hooks before those below

_forking = 0
_deferred: "deque[tuple[int, Callable[[], None]]]" = deque()
"""The functions to call after the fork, each with the id of the process that deferred it."""


def is_forking() -> bool:
    """Whether a thread of this process is forking."""
    return _forking > 0


def defer(log: Callable[[], None]) -> None:
    """Call a function, in the current context, when no thread is forking any more.

    Args:
        log: Called in this process only, not in the child. It must not raise.
    """
    _deferred.append((os.getpid(), partial(copy_context().run, log)))
    if not is_forking():  # the fork ended after the caller checked
        _call_deferred()


def _before() -> None:
    global _forking
    _forking += 1


def _after_in_parent() -> None:
    global _forking
    _forking -= 1
    if _forking == 0:
        _call_deferred()


def _after_in_child() -> None:
    global _forking
    _forking = 0
    _call_deferred()


def _call_deferred() -> None:
    process = os.getpid()
    while _deferred:
        deferred_in, log = _deferred.popleft()
        # The parent logs what it deferred before the fork.
        if deferred_in == process:
            log()


if hasattr(os, "register_at_fork"):
    # Hooks before a fork run in reverse order: Loguru, which registered its own when it was
    # imported, is last to lock and first to unlock.
    os.register_at_fork(
        before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child
    )

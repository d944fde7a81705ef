"""Carries the work context into thread pools.

Unlike ``asyncio.to_thread``, neither ``loop.run_in_executor`` nor ``ThreadPoolExecutor.submit`` nor
the thread pools of `multiprocessing` carry context variables. A model that runs in a pool would
write its log lines, and make its HTTP calls, outside the session that called it. So the methods
that submit work are patched, once per process. Only work that a session submits runs differently:
in the work context in which it was submitted. A pool's thread has no work context of its own,
whichever code caused it to start. ddtrace's ``futures`` patch carries its active span in the same
way and may be applied before or after.
"""

import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial, update_wrapper
from typing import Any, Final, TypeVar

from pipecat_dd import _guard
from pipecat_dd._forks import in_forked_processes
from pipecat_dd.conversation.context import carried, run_at

_T = TypeVar("_T")
_lock = threading.Lock()
_is_on = False
_are_thread_pools_on = False

_SUBMITTING: Final = (
    "apply_async",
    "map",
    "map_async",
    "starmap",
    "starmap_async",
    "imap",
    "imap_unordered",
)
"""The methods of `multiprocessing.pool.ThreadPool` that take work; ``apply`` calls the first."""


@in_forked_processes
def _renew_lock() -> None:
    global _lock
    _lock = threading.Lock()


def carry_into_pools() -> None:
    """Run work in the work context in which it was submitted. A second call does nothing."""
    global _is_on
    carry_into_thread_pools()
    if _is_on:
        return
    with _lock:
        if _is_on:
            return
        _is_on = True
        inner: Callable[..., Future[Any]] = ThreadPoolExecutor.submit

        def submit(
            self: ThreadPoolExecutor, fn: Callable[..., _T], /, *args: Any, **kwargs: Any
        ) -> Future[_T]:
            values = None
            try:
                values = carried()
            except Exception as error:
                _guard.instrumentation.failed(error)
            if values is None:
                return inner(self, fn, *args, **kwargs)
            return inner(self, run_at, values, fn, *args, **kwargs)

        # Its attributes are not copied: ddtrace keeps there what it needs to undo its own patch.
        update_wrapper(submit, inner, updated=())
        ThreadPoolExecutor.submit = submit  # type: ignore[method-assign,assignment]


def carry_into_thread_pools() -> None:
    """Do the same for the thread pools of `multiprocessing`, if the program has imported them."""
    global _are_thread_pools_on
    module = sys.modules.get("multiprocessing.pool")
    kind = getattr(module, "ThreadPool", None)
    if _are_thread_pools_on or kind is None:
        return
    with _lock:
        if _are_thread_pools_on:
            return
        _are_thread_pools_on = True
        for name in _SUBMITTING:
            setattr(kind, name, _submitting(getattr(kind, name)))


def _submitting(inner: Callable[..., Any]) -> Callable[..., Any]:
    def submitting(self: Any, func: Any, *args: Any, **kwargs: Any) -> Any:
        values = None
        with _guard.instrumentation.guarded():
            values = carried()
        if values is not None:
            func = partial(run_at, values, func)
        return inner(self, func, *args, **kwargs)

    update_wrapper(submitting, inner)
    return submitting

"""The place goes along into thread pools.

``loop.run_in_executor`` and ``ThreadPoolExecutor.submit`` carry no context variables, as
``asyncio.to_thread`` does: a model that is run in a pool would write its lines, and make its
HTTP calls, outside of the session that asked for it. So the submitting of work is wrapped, once
in a process, and only work that is submitted from inside a session runs any differently: with
the place of who submitted it, for as long as it runs. ddtrace's ``futures`` patch, which carries
its active span in the same way, may be applied before or after.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import update_wrapper
from typing import Any, TypeVar

from pipecat_dd._forks import in_forked_processes
from pipecat_dd.knowing.place import CARRIED, here, sink_at_work

_T = TypeVar("_T")
_lock = threading.Lock()
_is_on = False


@in_forked_processes
def _renew_lock() -> None:
    global _lock
    _lock = threading.Lock()


def carry_into_pools() -> None:
    """Have work run in the place that it was submitted from. Does nothing the second time."""
    global _is_on
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
            sink = sink_at_work.get()
            if here.get() is None and sink is None:
                return inner(self, fn, *args, **kwargs)
            carried = [variable.get() for variable in CARRIED]
            if sink is None:
                return inner(self, _run, carried, fn, *args, **kwargs)
            # The pool may start a thread now, which others will use after the sink.
            token = sink_at_work.set(None)
            try:
                return inner(self, _run, carried, fn, *args, **kwargs)
            finally:
                sink_at_work.reset(token)

        # Not its attributes: ddtrace keeps there what it needs to undo a patch of its own.
        update_wrapper(submit, inner, updated=())
        ThreadPoolExecutor.submit = submit  # type: ignore[method-assign,assignment]


def _run(carried: list[Any], fn: Callable[..., _T], /, *args: Any, **kwargs: Any) -> _T:
    tokens = [variable.set(value) for variable, value in zip(CARRIED, carried, strict=True)]
    try:
        return fn(*args, **kwargs)
    finally:
        for variable, token in zip(CARRIED, tokens, strict=True):
            variable.reset(token)

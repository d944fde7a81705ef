"""Carries the work context into threads.

A thread begins in an empty context, so what a plain thread logs would belong to no session.
Therefore ``Thread.start`` is patched, once per process: it records the work context of the code
that starts the thread, and the thread runs in it, as with OpenTelemetry's instrumentation of
threads. Only a thread that is started from within a session runs differently. ``run`` is replaced
on the thread itself, and only until it is called, since a subclass (such as ``Timer``) has its own.

Some threads work for every session, whichever needs them first. The threads of thread pools run
each job in the work context in which it was submitted (:mod:`~pipecat_dd.conversation.pools`);
those of loggers and exporters belong to no session at all.
"""

import threading
from typing import Final

from pipecat_dd import _guard
from pipecat_dd._forks import in_forked_processes
from pipecat_dd._private import peek
from pipecat_dd.conversation.context import CARRIED, by_thread, carried, run_at
from pipecat_dd.conversation.pools import carry_into_thread_pools

PRIVATE: dict[str, str] = {
    "Thread._target": "whose a thread is: of a pool, a logger or an exporter, or of the bot",
}
"""The private attributes of other code that this module uses, and why."""

_SHARED: Final = (
    "anyio.",
    "asgiref.",
    "concurrent.futures.",
    "ddtrace.",
    "grpc.",
    "logging.handlers.",
    "loguru._handler.",
    "multiprocessing.",
    "opentelemetry.",
    "pipecat_dd.",
    "sentry_sdk.",
)
"""The packages whose threads work for all sessions, whichever session caused them to start."""

_lock = threading.Lock()
_is_on = False


@in_forked_processes
def _renew_lock() -> None:
    global _lock
    _lock = threading.Lock()


def carry_into_threads() -> None:
    """Run threads in the work context in which they are started. A second call does nothing."""
    global _is_on
    if _is_on:
        return
    with _lock:
        if _is_on:
            return
        _is_on = True
        inner = threading.Thread.start

        def start(self: threading.Thread) -> None:
            has_run = False
            with _guard.instrumentation.guarded():
                has_run = _carry(self)
            try:
                inner(self)
            except BaseException:
                if has_run:
                    self.__dict__.pop("run", None)
                raise

        start.__doc__, start.__qualname__ = inner.__doc__, inner.__qualname__
        threading.Thread.start = start  # type: ignore[method-assign]


def _carry(thread: threading.Thread) -> bool:
    """Have a thread run in the current work context.

    Returns:
        Whether it will.
    """
    try:
        is_new = thread.ident is None
    except AssertionError:  # not initialised; starting it will raise the error
        return False
    if not is_new or "run" in thread.__dict__ or _is_shared(thread):
        return False
    values = carried()
    if values is None:
        return False
    values[CARRIED.index(by_thread)] = True
    run = thread.run

    def run_there() -> None:
        thread.__dict__.pop("run", None)
        # Set for good in the thread's own context: an uncaught exception is reported after its run.
        for variable, value in zip(CARRIED, values, strict=True):
            variable.set(value)
        run_at(values, run)

    thread.__dict__["run"] = run_there
    return True


def _is_shared(thread: threading.Thread) -> bool:
    kind = type(thread)
    if kind.__module__ == "multiprocessing.dummy":
        # A thread of a thread pool of multiprocessing, which has been imported by now.
        carry_into_thread_pools()
        return True
    target = peek(thread, "_target")  # gone once it has run
    modules = (kind.__module__, getattr(target, "__module__", None) or "")
    return any(f"{module}.".startswith(_SHARED) for module in modules)

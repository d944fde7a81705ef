"""Closes and sends what is still open when the process ends.

Open conversations are closed just before ddtrace shuts its tracer down, which sends all finished
spans. ddtrace shuts down in its own handler of SIGTERM and in its exit function, so that signal
handlers of the bot or of other libraries keep working, and ours does not replace them.

An interpreter that ends normally (``sys.exit``, an exception in ``main``, Ctrl-C) runs its exit
functions, ours before ddtrace's. A child process of `multiprocessing` runs only the finalizers of
`multiprocessing`, and so not ddtrace's exit function: there we send the spans ourselves.
"""

import asyncio
import atexit
import contextlib
import contextvars
import os
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

from pipecat_dd import _ddtrace, _guard
from pipecat_dd._forks import in_forked_processes
from pipecat_dd.conversation.context import leave_all
from pipecat_dd.conversation.conversation import Conversation
from pipecat_dd.conversation.live_sessions import forget_all
from pipecat_dd.export import active
from pipecat_dd.export.spans import passing

SEND_WITHIN_SECS = 2.0
"""How long the end of a child of `multiprocessing` waits for spans to be sent. It takes that long
only if the Agent does not answer."""

_NEVER_SECS = 10 * 365 * 24 * 3600.0

_conversations: "weakref.WeakSet[Conversation]" = weakref.WeakSet()
_exit_functions: list[Callable[[], None]] = []
_prepared = False
_ended = False
_prepared_child: int | None = None


def close_at_exit(conversation: Conversation) -> None:
    """Close a conversation when the process ends, if it has not ended by then."""
    _conversations.add(conversation)
    _prepare()
    with _guard.instrumentation.guarded():
        _prepare_child()


def close_with_loop(conversation: Conversation) -> Callable[[], None]:
    """Close a conversation when the running event loop is shut down or closed before it ends.

    ``asyncio.run`` cancels every task when ``main`` raises or exits, the tasks of the processors
    included. No task is left then to pass on the frame that Pipecat waits for when it cleans up,
    and Pipecat may wait forever. So the conversation is closed at the moment of the cancellation.

    A loop may also be closed without cancelling its tasks. It drops its scheduled calls then. So
    an object that only a scheduled call refers to is deleted together with the loop, and its
    finalizer closes the conversation.

    Returns:
        A function that calls this off.
    """
    loop = asyncio.get_running_loop()
    # Task and call have empty contexts, since they are not the bot's work. create_task gets no
    # context and no name: a user's task factory may not accept them.
    coroutine = _close_when_cancelled(conversation)
    try:
        sentinel = contextvars.Context().run(loop.create_task, coroutine)
    except BaseException:
        coroutine.close()
        raise
    with contextlib.suppress(AttributeError):
        sentinel.set_name("pipecat_dd::sentinel")
    # Else asyncio would log that the task was destroyed while it was pending.
    with contextlib.suppress(AttributeError):
        sentinel._log_destroy_pending = False  # type: ignore[attr-defined]
    anchor = _Anchor()
    finalizer = weakref.finalize(anchor, _close, conversation, "exited")
    finalizer.atexit = False
    # A weak reference: a strong one would keep the anchor alive when the loop is gone.
    call = weakref.ref(
        loop.call_later(_NEVER_SECS, anchor.do_nothing, context=contextvars.Context())
    )

    def call_off() -> None:
        finalizer.detach()
        if not loop.is_closed():
            sentinel.cancel()
            if (pending := call()) is not None:
                pending.cancel()

    return call_off


async def _close_when_cancelled(conversation: Conversation) -> None:
    try:
        await asyncio.get_running_loop().create_future()
    except asyncio.CancelledError:
        _close(conversation, "exited")
        raise


class _Anchor:
    """An object that only an event loop refers to, and that is deleted together with it."""

    def do_nothing(self) -> None:
        """Do nothing, in ten years: until then the loop refers to the object."""


def run_at_exit(function: Callable[[], None]) -> None:
    """Call a function when the process ends, after all conversations are closed.

    Args:
        function: Sends what is left to send. It may take two seconds.
    """
    _exit_functions.append(function)
    _prepare()


def _prepare() -> None:
    global _prepared
    if _prepared:
        return
    _prepared = True
    # Exit functions run in reverse order: ddtrace's, registered when it was imported, runs next.
    atexit.register(_at_exit)
    in_forked_processes(_after_fork)
    with _guard.instrumentation.guarded():
        _ddtrace.before_shutdown(_before_shutdown)
    if threading.current_thread() is threading.main_thread():
        with _guard.instrumentation.guarded():
            _prepare_signal()


def _at_exit() -> None:
    global _ended
    _ended = True
    _close_all("exited")


def _before_shutdown(own: bool) -> None:
    # ddtrace shuts down by itself only on a signal and in its exit function, which runs after ours.
    if not _ended:
        _close_all("terminated" if own else "exited")
    passing.send_finished()


def _prepare_signal() -> None:
    """Handle SIGTERM if nothing else does: ddtrace does not if it was imported in a thread."""
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        return

    def terminate(number: int, frame: Any) -> None:
        _close_all("terminated")
        with _guard.instrumentation.guarded():
            _ddtrace.flush(SEND_WITHIN_SECS)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    signal.signal(signal.SIGTERM, terminate)


def _prepare_child() -> None:
    """Close and send at the end of a child process of `multiprocessing`; once in each."""
    global _prepared_child
    if _prepared_child == os.getpid():
        return
    _prepared_child = os.getpid()
    multiprocessing = sys.modules.get("multiprocessing.process")
    if multiprocessing is None or multiprocessing.parent_process() is None:
        return
    from multiprocessing import util

    def end() -> None:
        _close_all("exited")
        with _guard.instrumentation.guarded():
            _ddtrace.flush(SEND_WITHIN_SECS)

    util.Finalize(None, end, exitpriority=0)


def _close_all(reason: str) -> None:
    for conversation in _open_conversations():
        _close(conversation, reason)
    for function in _exit_functions:
        with _guard.conversation.guarded():
            function()


def _open_conversations() -> list[Conversation]:
    while True:
        # RuntimeError: another thread has begun a conversation during the iteration.
        with contextlib.suppress(RuntimeError):
            return list(_conversations)


def _close(conversation: Conversation, reason: str) -> None:
    with _guard.conversation.guarded():
        conversation.set_end_reason(reason)
        conversation.end(time.time_ns())


def _after_fork() -> None:
    """Forget the parent's sessions: the parent ends them and sends their data."""
    with _guard.instrumentation.guarded():
        for conversation in _open_conversations():
            conversation.abandon()
        _conversations.clear()
        forget_all()
        active.forget_all()
        leave_all()

"""At the process's end: what is open is closed with what happened, and sent.

Nobody's handler of a signal is in our way, nor we in anyone's: what is open is closed just before
ddtrace's tracer is shut down, which sends what is finished then. ddtrace does that in its own
handler of SIGTERM, whoever calls that last, and in its exit function. Whoever handles the signal
otherwise ends the bot, or exits.

An interpreter that ends in order (``sys.exit``, an exception in ``main``, Ctrl-C) runs its exit
functions, ours before ddtrace's. A forked process of `multiprocessing` runs no exit functions but
its own, ddtrace's neither: there we send, too.
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
"""How long a process of `multiprocessing`, which waits for nothing of ddtrace's, is held up by
sending at its end; so long only where the Agent does not answer."""

_NEVER_SECS = 10 * 365 * 24 * 3600.0

_conversations: "weakref.WeakSet[Conversation]" = weakref.WeakSet()
_last: list[Callable[[], None]] = []
_prepared = False
_ended = False
_prepared_child: int | None = None


def close_at_exit(conversation: Conversation) -> None:
    """Close a conversation when the process ends, if it has not ended by then.

    Args:
        conversation: The conversation.
    """
    _conversations.add(conversation)
    _prepare()
    with _guard.instrumentation.guarded():
        _prepare_child()


def close_with_loop(conversation: Conversation) -> Callable[[], None]:
    """Close a conversation when the running event loop is shut down or closed under it.

    ``asyncio.run`` cancels every task when ``main`` raises or exits, those of the processors too:
    nothing is left then to pass on the frame that Pipecat waits for to clean up, and it may wait
    for ever. So the conversation is closed at the moment of the cancellation.

    A loop that is closed drops what it was to call later. So something that only such a call
    holds on to is gone with the loop, at once, whatever still ran in it.

    Args:
        conversation: The conversation.

    Returns:
        What calls it off.
    """
    loop = asyncio.get_running_loop()
    # In contexts of their own: they stand for the loop, and for no work of the bot's. A task
    # factory of the user's may not take one, nor a name.
    outlives = _outlive(conversation)
    try:
        sentinel = contextvars.Context().run(loop.create_task, outlives)
    except BaseException:
        outlives.close()
        raise
    with contextlib.suppress(AttributeError):
        sentinel.set_name("pipecat_dd::sentinel")
    # asyncio says so of its own; the bot's log has no need of a complaint about ours.
    with contextlib.suppress(AttributeError):
        sentinel._log_destroy_pending = False  # type: ignore[attr-defined]
    held = _HeldLoop()
    gone = weakref.finalize(held, _close, conversation, "exited")
    gone.atexit = False
    # Not held here: what held the call would hold on to the rest.
    call = weakref.ref(loop.call_later(_NEVER_SECS, held.stay, context=contextvars.Context()))

    def call_off() -> None:
        gone.detach()
        if not loop.is_closed():
            sentinel.cancel()
            if (pending := call()) is not None:
                pending.cancel()

    return call_off


async def _outlive(conversation: Conversation) -> None:
    try:
        await asyncio.get_running_loop().create_future()
    except asyncio.CancelledError:
        _close(conversation, "exited")
        raise


class _HeldLoop:
    """Held by an event loop, and by nothing else."""

    def stay(self) -> None:
        """Do nothing, ten years from now."""


def do_last(function: Callable[[], None]) -> None:
    """Call a function when the process ends, after all conversations are closed.

    Args:
        function: Sends what is left of something. It may take two seconds.
    """
    _last.append(function)
    _prepare()


def _prepare() -> None:
    global _prepared
    if _prepared:
        return
    _prepared = True
    # Exit functions run in reverse order: ddtrace's, registered when it was imported, is next.
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
    # Of ddtrace's own accord only a signal does so, but for its exit function, which comes later.
    if not _ended:
        _close_all("terminated" if own else "exited")
    passing.send_finished()


def _prepare_signal() -> None:
    """Handle SIGTERM where nobody does: ddtrace does not if it was imported in a thread."""
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
    """Close and send at the end of a process that `multiprocessing` has made; once in each."""
    global _prepared_child
    if _prepared_child == os.getpid():
        return
    _prepared_child = os.getpid()
    made_by = sys.modules.get("multiprocessing.process")
    if made_by is None or made_by.parent_process() is None:
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
    for function in _last:
        with _guard.conversation.guarded():
            function()


def _open_conversations() -> list[Conversation]:
    while True:
        # Another thread may begin one meanwhile.
        with contextlib.suppress(RuntimeError):
            return list(_conversations)


def _close(conversation: Conversation, reason: str) -> None:
    with _guard.conversation.guarded():
        conversation.set_end_reason(reason)
        conversation.end(time.time_ns())


def _after_fork() -> None:
    """Forget the parent's sessions: they are not this process's to end, nor to write for."""
    with _guard.instrumentation.guarded():
        for conversation in _open_conversations():
            conversation.abandon()
        _conversations.clear()
        forget_all()
        active.forget_all()
        leave_all()

"""At the process's end: what is open is closed with what happened, and sent.

An interpreter that ends in order (``sys.exit``, an exception in ``main``, Ctrl-C) runs its exit
functions; ours comes before ddtrace's, which sends what is left. A process that is told to
terminate runs none: ddtrace has a handler for SIGTERM that sends, and ours comes before it. A
handler of the user's own is never replaced: whoever handles the signal ends the bot, or exits.
"""

import atexit
import os
import signal
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

from pipecat_dd import _guard
from pipecat_dd.knowing.conversation import Conversation
from pipecat_dd.knowing.place import here
from pipecat_dd.knowing.session import forget_all

_conversations: "weakref.WeakSet[Conversation]" = weakref.WeakSet()
_last: list[Callable[[], None]] = []
_prepared = False


def close_at_exit(conversation: Conversation) -> None:
    """Close a conversation when the process ends, if it has not ended by then.

    Args:
        conversation: The conversation.
    """
    _conversations.add(conversation)
    _prepare()


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
    atexit.register(_close_all, "exited")
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_after_fork)
    if threading.current_thread() is threading.main_thread():
        with _guard.hearing.guarded():
            _prepare_signal()


def _prepare_signal() -> None:
    before = signal.getsignal(signal.SIGTERM)
    is_ddtraces = getattr(before, "__module__", "").startswith("ddtrace")
    if before is not signal.SIG_DFL and not is_ddtraces:
        return

    def terminate(number: int, frame: Any) -> None:
        _close_all("terminated")
        if callable(before):
            before(number, frame)
        else:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    signal.signal(signal.SIGTERM, terminate)


def _close_all(reason: str) -> None:
    for conversation in list(_conversations):
        with _guard.knowing.guarded():
            conversation.is_ending(reason)
            conversation.ends(time.time_ns())
    for function in _last:
        with _guard.knowing.guarded():
            function()


def _after_fork() -> None:
    """Forget the parent's sessions: they are not this process's to end, nor to write for."""
    with _guard.hearing.guarded():
        for conversation in list(_conversations):
            conversation.abandon()
        _conversations.clear()
        forget_all()
        here.set(None)

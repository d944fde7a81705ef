"""ddtrace at the process's end."""

import contextlib
import functools
import sys
import threading
from collections.abc import Callable
from typing import Any

from pipecat_dd._ddtrace.public import tracer


def before_shutdown(callback: Callable[[bool], None]) -> None:
    """Call a function before the tracer is shut down; spans finished by then are still sent.

    ddtrace shuts its tracer down in its SIGTERM handler, in its exit function, and when the user
    calls for it. So no signal handler needs to be replaced.

    Args:
        callback: Its argument is whether ddtrace itself, rather than the user, shuts it down.
    """
    inner = tracer.shutdown

    @functools.wraps(inner)
    def shutdown(*args: Any, **kwargs: Any) -> None:
        with contextlib.suppress(Exception):
            callback(sys._getframe(1).f_code.co_name == "_atexit")
        inner(*args, **kwargs)

    tracer.shutdown = shutdown  # type: ignore[method-assign]


def flush(timeout_secs: float) -> None:
    """Send the finished spans, and wait for that, but not for an Agent that does not answer.

    Args:
        timeout_secs: How long to wait at most.
    """

    def send() -> None:
        with contextlib.suppress(Exception):
            tracer.flush()  # type: ignore[no-untyped-call]

    sending = threading.Thread(target=send, name="pipecat_dd::flush", daemon=True)
    sending.start()
    sending.join(timeout_secs)

"""ddtrace at the process's end."""

import contextlib
import functools
import sys
import threading
from collections.abc import Callable
from typing import Any

from pipecat_dd._ddtrace.public import tracer


def before_shutdown(callback: Callable[[bool], None]) -> None:
    """Have something done before the tracer is shut down: what is finished by then is still sent.

    ddtrace shuts its tracer down in its handler of SIGTERM, whoever calls that, in its exit
    function, and where the user asks for it. So nobody's handler of a signal need be replaced.

    Args:
        callback: Told whether ddtrace itself shuts the tracer down.
    """
    inner = tracer.shutdown

    @functools.wraps(inner)
    def shutdown(*args: Any, **kwargs: Any) -> None:
        with contextlib.suppress(Exception):
            callback(sys._getframe(1).f_code.co_name == "_atexit")
        inner(*args, **kwargs)

    tracer.shutdown = shutdown  # type: ignore[method-assign]


def flush(timeout_secs: float) -> None:
    """Send what is finished, and wait for that, but not for an Agent that does not answer.

    Args:
        timeout_secs: How long to wait.
    """

    def send() -> None:
        with contextlib.suppress(Exception):
            tracer.flush()  # type: ignore[no-untyped-call]

    sending = threading.Thread(target=send, name="pipecat_dd::flush", daemon=True)
    sending.start()
    sending.join(timeout_secs)

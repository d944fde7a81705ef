"""What blocks the event loop's thread on our behalf: found as it is called, not by the clock.

A call that waits is noted where it is made in a thread that runs an event loop, with a function
of this package somewhere above it on the stack. How loaded the machine is changes nothing in that.
"""

import asyncio
import concurrent.futures
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pipecat_dd

OURS = str(Path(pipecat_dd.__file__).parent)

_AUDITED = {
    "socket.connect",
    "socket.getaddrinfo",
    "socket.gethostbyname",
    "socket.sendmsg",
    "socket.sendto",
    "subprocess.Popen",
    "os.system",
    "os.fork",
}
_WAITS: tuple[tuple[Any, str], ...] = (
    (time, "sleep"),
    (threading.Event, "wait"),
    (threading.Condition, "wait"),
    (threading.Thread, "join"),
    (queue.Queue, "get"),
    (concurrent.futures.Future, "result"),
)

_watched: list[list[str]] = []
_is_hooked = False


@contextmanager
def watching() -> Iterator[list[str]]:
    """Note what blocks, as long as the block is entered: what was called, and by whom of us."""
    global _is_hooked
    if not _is_hooked:
        _is_hooked = True
        sys.addaudithook(_audit)  # for good: there is no way to remove one
    found: list[str] = []
    _watched.append(found)
    originals = [(owner, name, getattr(owner, name)) for owner, name in _waits()]
    for owner, name, original in originals:
        setattr(owner, name, _noting(f"{getattr(owner, '__name__', owner)}.{name}", original))
    try:
        yield found
    finally:
        for owner, name, original in originals:
            setattr(owner, name, original)
        _watched.remove(found)


def _waits() -> Iterator[tuple[Any, str]]:
    from ddtrace.trace import tracer

    yield from _WAITS
    for name in ("flush", "shutdown"):
        yield type(tracer), name
    writer: Any = tracer._span_aggregator.writer
    for name in ("flush_queue", "stop"):
        yield type(writer), name


def _noting(what: str, original: Callable[..., Any]) -> Callable[..., Any]:
    def noted(*args: Any, **kwargs: Any) -> Any:
        _note(what)
        return original(*args, **kwargs)

    return noted


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if _watched and event in _AUDITED:
        _note(event)


def _note(what: str) -> None:
    if asyncio._get_running_loop() is None:
        return
    frame = sys._getframe(2)
    while frame is not None:
        code = frame.f_code
        if code.co_filename.startswith(OURS):
            for found in _watched:
                found.append(f"{what} by {Path(code.co_filename).name}:{code.co_qualname}")
            return
        frame = frame.f_back  # type: ignore[assignment]

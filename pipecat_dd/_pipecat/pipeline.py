"""A pipeline: what it is made of, who runs it, and the queues of its observers."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator, Set
from types import FrameType
from typing import Any, Final

from pipecat.observers.base_observer import FrameProcessed, FramePushed

from pipecat_dd._pipecat.services import is_a
from pipecat_dd._private import peek

_COMPOUND = "pipecat.pipeline."


_MAX_CALLERS: Final = 24
_PROXIES: Final = frozenset({"WorkerObserver", "TaskObserver"})
_WORKERS: Final = frozenset({"PipelineWorker", "PipelineTask"})
"""The names of Pipecat's classes, the second those before 1.3."""
_RUN: Final = _WORKERS | {"WorkerRunner", "PipelineRunner"}


def is_compound(processor: Any) -> bool:
    """Whether a processor is one of Pipecat's own that only hold others, or their ends.

    A user's subclass of one is not: it may do work of its own.

    Args:
        processor: The processor.
    """
    return type(processor).__module__.startswith(_COMPOUND)


def walk(processor: Any) -> Iterator[Any]:
    """Yield a processor and all that it holds, in the pipeline's order.

    Args:
        processor: The outermost.
    """
    yield processor
    for inner in getattr(processor, "processors", None) or ():
        yield from walk(inner)


def having_behind(outermost: Any, is_wanted: Callable[[Any], bool]) -> set[int]:
    """Return which processors have one of a kind behind them, downstream.

    Args:
        outermost: The pipeline that holds them.
        is_wanted: Whether a processor is of that kind.

    Returns:
        Their ids, as of :func:`id`.
    """
    found: set[int] = set()

    def look(processor: Any, behind: bool) -> bool:
        """Return whether it is one, or holds one."""
        held = getattr(processor, "processors", None) or ()
        has = is_wanted(processor)
        if behind or has:
            found.add(id(processor))
        if is_a(processor, "ParallelPipeline", "SyncParallelPipeline"):
            # What is in one branch is not behind what is in another.
            return sum(look(inner, behind) for inner in held) > 0 or has
        for inner in reversed(held):
            has = look(inner, behind or has) or has
        return has

    look(outermost, False)
    return found


def outermost(processor: Any) -> Any:
    """Return the outermost pipeline that a processor runs in, as far as that is known.

    Args:
        processor: A processor that has been set up. From Pipecat 1.8 on it leads to its
            worker; before, the first to be heard of is the outermost itself.
    """
    try:
        return processor.pipeline_worker.pipeline
    except Exception:
        return processor


def worker_of(processor: Any) -> Any:
    """Return the worker that runs a processor's pipeline, or None where it is not known."""
    try:
        return processor.pipeline_worker
    except Exception:
        return None


def runner_of(worker: Any) -> Any:
    """Return the runner that a worker was added to, or None where it is not known.

    Before Pipecat 1.3 a worker does not know it.
    """
    try:
        return worker.worker_runner
    except Exception:
        return None


def is_run(found: Any) -> bool:
    """Whether an object is a worker of Pipecat's, or a runner, whose ``run`` holds a call."""
    return any(kind.__name__ in _RUN for kind in type(found).__mro__)


def calling() -> tuple[Any, Any]:
    """Return who calls an observer: Pipecat's proxy for a worker's observers, and the worker.

    Each is None where it is not on the stack.
    """
    proxy = worker = None
    frame: FrameType | None = sys._getframe(1)
    for _ in range(_MAX_CALLERS):
        if frame is None or worker is not None:
            break
        is_pipecats = str(frame.f_globals.get("__name__")).startswith(_COMPOUND)
        if is_pipecats and "self" in frame.f_code.co_varnames[:1]:
            found = frame.f_locals.get("self")
            classes = {kind.__name__ for kind in type(found).__mro__}
            if not classes.isdisjoint(_PROXIES):
                proxy = found
            elif not classes.isdisjoint(_WORKERS):
                worker = found
        frame = frame.f_back
    return proxy, worker


def proxy_of(processor: Any) -> Any:
    """Return Pipecat's proxy for the observers of a processor's worker, or None if unknown."""
    setup = peek(processor, "_setup")
    return getattr(setup, "observer", None) or peek(processor, "_observer")


def conversation_id(worker: Any) -> str | None:
    """Return the ``conversation_id`` that a worker was given, if it was."""
    found = peek(worker, "_conversation_id")
    return str(found) if found else None


def is_users(processor: Any) -> bool:
    """Whether a processor's class is the user's own rather than Pipecat's."""
    return type(processor).__module__.partition(".")[0] != "pipecat"


def runs_in_pushers_task(processor: Any) -> bool:
    """Whether a processor works in the task of whoever pushes to it (direct mode)."""
    return bool(peek(processor, "_enable_direct_mode", True))


def spare_events(
    processor: Any,
    observer: Any,
    heard: Set[int],
    admits: Callable[[type, int], bool] = lambda kind, waiting: True,
) -> bool:
    """Have an observer's queue take only what is not heard elsewhere.

    Pipecat queues every push and every visit for every observer, and wakes its task for it;
    that is most of what an observer costs. What we hear in the processors themselves need not
    be queued too.

    Args:
        processor: A processor of the pipeline, which leads to the observers.
        observer: The observer.
        heard: The ids, as of :func:`id`, of the processors that are heard themselves.
        admits: Whether an event about a frame of that class is still queued where so many
            wait. It must not raise.

    Returns:
        Whether that could be arranged; if not, all events come, and cost what they cost.
    """
    try:
        queue = peek(proxy_of(processor), "_proxies")[observer].queue
        put: Callable[[Any], Awaitable[None]] = queue.put
        # Awaited for nothing some hundred times a second; a coroutine each time costs more.
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
    except Exception:
        return False

    def spare_put(event: Any) -> Awaitable[None]:
        kind = type(event)
        if kind is FrameProcessed:
            if id(event.processor) in heard:
                return done
        elif kind is not FramePushed:
            return put(event)
        elif id(event.source) in heard:
            return done
        return put(event) if admits(type(event.frame), queue.qsize()) else done

    queue.put = spare_put
    return True


def event_time_ns(source: Any, timestamp_ns: int, now_ns: int) -> int:
    """Return when something happened that an observer's queue brought late.

    Args:
        source: The processor it happened in.
        timestamp_ns: Its time on the pipeline's clock; 0 before the clock was started.
        now_ns: Now, in nanoseconds since the epoch.
    """
    try:
        elapsed_ns = source.get_clock().get_time() - timestamp_ns
    except Exception:
        return now_ns
    return now_ns - elapsed_ns if timestamp_ns and elapsed_ns > 0 else now_ns

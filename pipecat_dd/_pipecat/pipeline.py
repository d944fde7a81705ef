"""Looks into a pipeline: its processors, and the worker that runs it."""

import inspect
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, Final

from pipecat_dd._pipecat.services import is_a
from pipecat_dd._private import peek

_COMPOUND = "pipecat.pipeline."


_MAX_CALLERS: Final = 24
_PROXIES: Final = frozenset({"WorkerObserver", "TaskObserver"})
_WORKERS: Final = frozenset({"PipelineWorker", "PipelineTask"})
"""The names of Pipecat's classes; in each pair the second is the name before 1.3."""
_RUN: Final = _WORKERS | {"WorkerRunner", "PipelineRunner"}


def is_compound(processor: Any) -> bool:
    """Whether a processor of Pipecat's only holds others, or is an end of one that does.

    A user's subclass of one does not count, since it may do work of its own.
    """
    return type(processor).__module__.startswith(_COMPOUND)


def walk(processor: Any) -> Iterator[Any]:
    """Yield a processor and all processors within it, in the pipeline's order."""
    yield processor
    for inner in getattr(processor, "processors", None) or ():
        yield from walk(inner)


def having_behind(outermost: Any, is_wanted: Callable[[Any], bool]) -> set[int]:
    """Return the processors that have one of a certain kind downstream.

    Args:
        outermost: The pipeline that holds them.
        is_wanted: Whether a processor is of that kind.

    Returns:
        The ids, as of :func:`id`, of these processors and of those of that kind themselves.
    """
    found: set[int] = set()

    def look(processor: Any, behind: bool) -> bool:
        """Return whether a processor is of that kind, or holds one that is."""
        held = getattr(processor, "processors", None) or ()
        has = is_wanted(processor)
        if behind or has:
            found.add(id(processor))
        if is_a(processor, "ParallelPipeline", "SyncParallelPipeline"):
            # No branch is downstream of another.
            return sum(look(inner, behind) for inner in held) > 0 or has
        for inner in reversed(held):
            has = look(inner, behind or has) or has
        return has

    look(outermost, False)
    return found


def outermost(processor: Any) -> Any:
    """Return the outermost pipeline of a processor, or the processor itself if unknown.

    Args:
        processor: A processor that has been set up. From Pipecat 1.8 on it has a reference to its
            worker; before, the first one reported is the outermost pipeline itself.
    """
    try:
        return processor.pipeline_worker.pipeline
    except Exception:
        return processor


def worker_of(processor: Any) -> Any:
    """Return the worker that runs a processor's pipeline, or None if unknown."""
    try:
        return processor.pipeline_worker
    except Exception:
        return None


def runner_of(worker: Any) -> Any:
    """Return the runner to which a worker was added, or None if unknown.

    It is unknown before Pipecat 1.3.
    """
    try:
        return worker.worker_runner
    except Exception:
        return None


def is_run(found: Any) -> bool:
    """Whether an object is a Pipecat worker or runner, whose ``run`` lasts for a whole call."""
    return any(kind.__name__ in _RUN for kind in type(found).__mro__)


def calling() -> tuple[Any, Any]:
    """Return the callers of an observer: Pipecat's proxy for a worker's observers, and the worker.

    Each is None if it is not on the stack.
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


def conversation_id(worker: Any) -> str | None:
    """Return a worker's ``conversation_id``; None if it has none."""
    found = peek(worker, "_conversation_id")
    return str(found) if found else None


def is_users(processor: Any) -> bool:
    """Whether a processor's class is the user's own rather than Pipecat's."""
    return type(processor).__module__.partition(".")[0] != "pipecat"


def runs_in_pushers_task(processor: Any) -> bool:
    """Whether a processor runs in the task of the processor that pushes to it (direct mode)."""
    return bool(peek(processor, "_enable_direct_mode", True))


def has_frame_parameters(method: Any, *defaults: Any) -> bool:
    """Whether a processor's method takes a frame and its direction and nothing else.

    So do Pipecat's own ``process_frame`` and ``push_frame``; a user's may take more.

    Args:
        method: The method, bound to its processor.
        *defaults: What its last parameters are if they are not given.
    """
    function = getattr(method, "__func__", None)
    code = getattr(function, "__code__", None)
    return (
        code is not None
        and code.co_varnames[1 : code.co_argcount] == ("frame", "direction")
        and not code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS)
        and not code.co_kwonlyargcount
        and not code.co_posonlyargcount
        and (getattr(function, "__defaults__", None) or ()) == defaults
    )


def event_time_ns(source: Any, timestamp_ns: int, now_ns: int) -> int:
    """Return the time of a queued event, in nanoseconds since the epoch.

    Args:
        source: The processor in which it happened.
        timestamp_ns: When, on the pipeline's clock; 0 before the clock has started.
        now_ns: The present time, in nanoseconds since the epoch.
    """
    try:
        elapsed_ns = source.get_clock().get_time() - timestamp_ns
    except Exception:
        return now_ns
    return now_ns - elapsed_ns if timestamp_ns and elapsed_ns > 0 else now_ns

"""Looks into a worker: the ends of its pipeline, its observers, and its runner's other workers."""

from collections.abc import Callable, Iterator
from typing import Any

from pipecat_dd._private import peek

IDLE_TIMEOUT_DETECTED = "_idle_timeout_detected"
"""The method of a worker that acts on an idle timeout."""


def source_of(outermost: Any) -> Any:
    """Return the first processor of a worker's pipeline, where upstream frames end, or None."""
    return _end_of(outermost, 0, "PipelineSource")


def sink_of(outermost: Any) -> Any:
    """Return the last processor of a worker's pipeline, where downstream frames end, or None."""
    return _end_of(outermost, -1, "PipelineSink")


def _end_of(outermost: Any, place: int, class_name: str) -> Any:
    processors = getattr(outermost, "processors", None)
    end = processors[place] if processors else None
    return end if type(end).__name__ == class_name else None


def worker_behind(outermost: Any) -> Any:
    """Return the worker that runs a pipeline, or None if unknown.

    Args:
        outermost: The worker's pipeline. Before Pipecat 1.3 it has no reference to its worker, but
            its last processor calls the worker.
    """
    try:
        return outermost.pipeline_worker
    except Exception:
        found = getattr(peek(sink_of(outermost), "_downstream_push_frame"), "__self__", None)
        return found if is_worker(found) else None


def is_worker(value: Any) -> bool:
    """Whether an object is a worker that runs a pipeline."""
    return any(kind.__name__ in ("PipelineWorker", "PipelineTask") for kind in type(value).__mro__)


def was_cancelled(worker: Any) -> bool:
    """Whether a worker was cancelled; one that has not started yet pushes no frame for that."""
    return bool(peek(worker, "_cancelled", False))


def cancels_when_idle(worker: Any) -> bool:
    """Whether a worker cancels its pipeline by itself after a long silence."""
    return bool(peek(worker, "_cancel_on_idle_timeout", False))


def idle_timeout_detector(worker: Any) -> Callable[..., Any] | None:
    """Return the method of a worker that acts on an idle timeout, or None."""
    found: Callable[..., Any] | None = peek(worker, IDLE_TIMEOUT_DETECTED)
    return found


def brings_down(worker: Any, error: Any) -> bool:
    """Whether a worker ends or cancels its pipeline for an error that has reached it.

    Args:
        worker: The worker.
        error: The ``ErrorFrame``.
    """
    # Read from __dict__, since reading the attribute may emit a deprecation warning.
    if error.__dict__.get("fatal", False):
        return True
    if getattr(error.__dict__.get("processor"), "is_usable", True):
        return False
    policy = getattr(peek(worker, "_processor_unusable_policy"), "value", None)
    return policy in ("end", "cancel")


def is_observed_by(worker: Any, kind: type) -> bool:
    """Whether a worker has an observer of a class."""
    observers = peek(peek(worker, "_observer"), "_observers") or ()
    return any(isinstance(observer, kind) or observer is kind for observer in list(observers))


def has_removed(worker: Any, observer: Any) -> bool:
    """Whether an observer was removed (``remove_observer``) from a worker that goes on."""
    proxies = peek(peek(worker, "_observer"), "_proxies")
    return isinstance(proxies, dict) and observer not in proxies


def observer_tasks(worker: Any) -> Iterator[Any]:
    """Yield the tasks in which Pipecat calls a worker's observers, each in its own."""
    proxies = peek(peek(worker, "_observer"), "_proxies")
    for proxy in list(proxies.values()) if isinstance(proxies, dict) else ():
        if (task := getattr(proxy, "task", None)) is not None:
            yield task


def beside(worker: Any) -> Iterator[Any]:
    """Yield the other workers of a worker's runner, with or without a pipeline."""
    yield from (one for one in workers_of(peek(worker, "worker_runner")) if one is not worker)


def workers_of(runner: Any) -> Iterator[Any]:
    """Yield the workers of a runner, with or without a pipeline."""
    entries = peek(runner, "_entries")
    for entry in list(entries.values()) if isinstance(entries, dict) else ():
        worker = getattr(entry, "worker", None)
        if worker is not None:
            yield worker

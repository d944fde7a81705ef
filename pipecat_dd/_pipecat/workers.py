"""A worker, which runs a pipeline: its ends, its observers, and the others of its runner."""

from collections.abc import Callable, Iterator
from typing import Any

from pipecat_dd._private import peek

IDLE_TIMEOUT_DETECTED = "_idle_timeout_detected"
"""The method of a worker that acts on an idle timeout."""


def source_of(outermost: Any) -> Any:
    """Return the first of a worker's pipeline, by which what goes upstream comes out, or None."""
    return _end_of(outermost, 0, "PipelineSource")


def sink_of(outermost: Any) -> Any:
    """Return the last of a worker's pipeline, by which what goes downstream comes out, or None."""
    return _end_of(outermost, -1, "PipelineSink")


def _end_of(outermost: Any, place: int, class_name: str) -> Any:
    processors = getattr(outermost, "processors", None)
    end = processors[place] if processors else None
    return end if type(end).__name__ == class_name else None


def worker_behind(outermost: Any) -> Any:
    """Return the worker that runs a pipeline, or None where it is not known.

    Args:
        outermost: The worker's pipeline. Before Pipecat 1.3 it does not lead to its worker, but
            hands on to it what comes out at its end.
    """
    try:
        return outermost.pipeline_worker
    except Exception:
        found = getattr(peek(sink_of(outermost), "_downstream_push_frame"), "__self__", None)
        return found if is_worker(found) else None


def is_worker(value: Any) -> bool:
    """Whether something is a worker that runs a pipeline."""
    return any(kind.__name__ in ("PipelineWorker", "PipelineTask") for kind in type(value).__mro__)


def was_cancelled(worker: Any) -> bool:
    """Whether a worker was told to cancel: one that has not started yet pushes no frame for it."""
    return bool(peek(worker, "_cancelled", False))


def cancels_when_idle(worker: Any) -> bool:
    """Whether a worker cancels its pipeline of itself where nobody has spoken for long."""
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
    # As it stands there: reading it by its name may warn of its age.
    if error.__dict__.get("fatal", False):
        return True
    if getattr(error.__dict__.get("processor"), "is_usable", True):
        return False
    policy = getattr(peek(worker, "_processor_unusable_policy"), "value", None)
    return policy in ("end", "cancel")


def is_observed_by(worker: Any, kind: type) -> bool:
    """Whether a worker has an observer of a class.

    Args:
        worker: The worker.
        kind: The observer's class.
    """
    observers = peek(peek(worker, "_observer"), "_observers") or ()
    return any(isinstance(observer, kind) or observer is kind for observer in list(observers))


def has_removed(worker: Any, observer: Any) -> bool:
    """Whether a worker that goes on has let go of an observer (``remove_observer``).

    Args:
        worker: The worker.
        observer: The observer.
    """
    proxies = peek(peek(worker, "_observer"), "_proxies")
    return isinstance(proxies, dict) and observer not in proxies


def beside(worker: Any) -> Iterator[Any]:
    """Yield the other workers of a worker's runner, with a pipeline or without.

    Args:
        worker: The worker.
    """
    entries = peek(peek(worker, "worker_runner"), "_entries")
    for entry in list(entries.values()) if isinstance(entries, dict) else ():
        other = getattr(entry, "worker", None)
        if other is not None and other is not worker:
            yield other

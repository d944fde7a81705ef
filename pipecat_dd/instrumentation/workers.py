"""Patches both ends of each worker's pipeline, to see which frames come out and what ends it.

``process_frame`` is replaced on the instances of the pipeline's first and last processor, which
do nothing themselves and pass every frame on. A frame that reaches the last one has passed through
the whole pipeline, and the worker acts on an error that reaches the first one.
"""

import time
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

from loguru import logger

from pipecat_dd import _guard, _pipecat
from pipecat_dd.conversation.conversation import Conversation
from pipecat_dd.conversation.model import Phase, Session
from pipecat_dd.conversation.pipelines import IDLE, Pipeline
from pipecat_dd.instrumentation.failures import failure_of
from pipecat_dd.instrumentation.flows import find_flows
from pipecat_dd.instrumentation.frame_traits import FrameTraitsTable
from pipecat_dd.instrumentation.patches import Patches

Method = Callable[..., Awaitable[Any]]

UNOBSERVED_SECS = 5.0
"""How long after a pipeline's start the conversation's other workers must be observed, too."""


_observed: "weakref.WeakKeyDictionary[Any, weakref.ref[Session]]" = weakref.WeakKeyDictionary()
"""The session that records each worker's pipeline or processor."""


def claim(outermost: Any, session: Session) -> Session | None:
    """Let a session record a worker's pipeline, unless another session does.

    Args:
        outermost: The pipeline, or a processor of it.
        session: The session.

    Returns:
        The running session that records the pipeline already; None if there is none.
    """
    held = _observed.get(outermost)
    other = held() if held is not None else None
    if other is None or other is session or other.phase is Phase.ENDED:
        _observed[outermost] = weakref.ref(session)
        return None
    return other


class Workers:
    """Patches the workers of one session, and removes the patches at its end."""

    def __init__(self, conversation: Conversation, table: FrameTraitsTable) -> None:
        """Prepare to patch; nothing is patched yet.

        Args:
            conversation: The conversation in which the workers take part.
            table: Knows what each class of frame means.
        """
        self._conversation = conversation
        self._table = table
        self._replaced = Patches()
        self._pipelines: dict[int, Pipeline] = {}
        self._workers: list[weakref.ref[Any]] = []
        self._is_said = False
        self.is_on = True

    def meet(self, outermost: Any) -> Pipeline:
        """Return our record of a worker's pipeline; the first call adds it to the session.

        Args:
            outermost: The worker's own pipeline, which holds all others.
        """
        pipeline = self._pipelines.get(id(outermost))
        if pipeline is None:
            worker = _pipecat.worker_behind(outermost)
            held = weakref.ref(worker) if worker is not None else lambda: None
            pipeline = Pipeline(
                str(getattr(worker, "name", "") or ""),
                was_cancelled=lambda: _pipecat.was_cancelled(held()),
            )
            self._pipelines[id(outermost)] = pipeline
            self._conversation.pipelines.add(pipeline)
            if worker is not None:
                self._workers.append(weakref.ref(worker))
                with _guard.instrumentation.guarded():
                    self._replaced.patch(worker, "cancel", self._giving_up(worker, pipeline))
                with _guard.instrumentation.guarded():
                    find_flows(worker, pipeline, self._conversation.flows, self._replaced)
        return pipeline

    def of(self, processor: Any) -> Pipeline | None:
        """Return the pipeline that a processor is part of; None if unknown."""
        return self._pipelines.get(id(_pipecat.outermost(processor)))

    def listen(self, outermost: Any) -> Pipeline:
        """Patch both ends of a worker's pipeline.

        Args:
            outermost: The worker's own pipeline, which holds all others.
        """
        pipeline = self.meet(outermost)
        worker = _pipecat.worker_behind(outermost)
        source, sink = _pipecat.source_of(outermost), _pipecat.sink_of(outermost)
        with _guard.instrumentation.guarded():
            if sink is not None:
                coming = self._coming_out(sink.process_frame, pipeline)
                self._replaced.patch(sink, "process_frame", coming)
                pipeline.is_end_observed = True
        with _guard.instrumentation.guarded():
            if source is not None and worker is not None:
                coming = self._coming_back(source.process_frame, pipeline, worker)
                self._replaced.patch(source, "process_frame", coming)
        with _guard.instrumentation.guarded():
            detector = _pipecat.idle_timeout_detector(worker)
            if detector is not None:
                idling = self._idling(detector, pipeline, worker)
                self._replaced.patch(worker, _pipecat.IDLE_TIMEOUT_DETECTED, idling)
        with _guard.instrumentation.guarded():
            if any(True for _ in _pipecat.beside(worker)):
                self._conversation.pipelines.are_several = True
        return pipeline

    def remove(self) -> None:
        """Remove all patches."""
        self.is_on = False
        self._replaced.undo()

    # The patches

    def _coming_out(self, inner: Method, pipeline: Pipeline) -> Method:
        known, find = self._table.cached, self._table.find

        def process_frame(frame: Any, *args: Any, **kwargs: Any) -> Awaitable[Any]:
            if self.is_on:
                try:
                    kind = type(frame)
                    purpose = (known.get(kind) or find(kind)).purpose
                    if purpose is not None and _goes_down(args, kwargs):
                        pipeline.come_out(purpose, time.time_ns())
                except Exception as error:
                    _guard.instrumentation.failed(error)
            return inner(frame, *args, **kwargs)

        return process_frame

    def _coming_back(self, inner: Method, pipeline: Pipeline, worker: Any) -> Method:
        error_frame = _pipecat.frame_class("ErrorFrame") or ()
        held = weakref.ref(worker)

        def process_frame(frame: Any, *args: Any, **kwargs: Any) -> Awaitable[Any]:
            if self.is_on and isinstance(frame, error_frame):
                with _guard.instrumentation.guarded():
                    if not _goes_down(args, kwargs) and _pipecat.brings_down(held(), frame):
                        pipeline.fail(failure_of(frame), time.time_ns())
            return inner(frame, *args, **kwargs)

        return process_frame

    def _giving_up(self, worker: Any, pipeline: Pipeline) -> Method:
        inner: Method = worker.cancel

        def cancel(*args: Any, **kwargs: Any) -> Awaitable[Any]:
            if self.is_on:
                pipeline.is_given_up = True
            return inner(*args, **kwargs)

        return cancel

    def _idling(self, inner: Method, pipeline: Pipeline, worker: Any) -> Method:
        held = weakref.ref(worker)

        def detected(*args: Any, **kwargs: Any) -> Awaitable[Any]:
            if self.is_on:
                with _guard.instrumentation.guarded():
                    # Recorded first, as the frame that cancels the pipeline may come out at once.
                    if _pipecat.cancels_when_idle(held()):
                        pipeline.ask(IDLE, time.time_ns())
            return inner(*args, **kwargs)

        return detected

    # Workers that are not observed

    def report_unobserved(self, kind: type) -> None:
        """Log, once, which of the conversation's workers are not observed.

        Args:
            kind: The class of our observer.
        """
        if self._is_said:
            return
        with _guard.instrumentation.guarded():
            names = dict.fromkeys(
                str(other.name)
                for held in self._workers
                for other in _pipecat.beside(held())
                if _pipecat.is_worker(other) and not _pipecat.is_observed_by(other, kind)
            )
            if names:
                self._is_said = True
                several = len(names) > 1
                logger.warning(
                    f"pipecat_dd: {'workers' if several else 'worker'} {', '.join(names)} of this "
                    f"conversation {'are' if several else 'is'} not observed: call "
                    f"add_observer(observer) on {'each' if several else 'it'}, with the observer "
                    "of the others, before it runs"
                )


def _goes_down(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    direction = args[0] if args else kwargs.get("direction", _pipecat.DOWNSTREAM)
    return direction is _pipecat.DOWNSTREAM

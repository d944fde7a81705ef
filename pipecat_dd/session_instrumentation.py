"""Connects the instrumentation of one session's workers to its exporters."""

import asyncio
import contextvars
import time
import weakref
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from pipecat.transports.base_transport import BaseTransport

from pipecat_dd import _ddtrace, _guard, _pipecat
from pipecat_dd._exit import close_at_exit, close_with_loop
from pipecat_dd.conversation import stack_lookup
from pipecat_dd.conversation.ambient import AmbientContext, ObserverBinding, RunContext
from pipecat_dd.conversation.call_stack import context_of
from pipecat_dd.conversation.context import current
from pipecat_dd.conversation.conversation import Conversation
from pipecat_dd.conversation.live_sessions import register, unregister
from pipecat_dd.conversation.model import Phase, Role, Session
from pipecat_dd.conversation.turn import Timer
from pipecat_dd.export import active
from pipecat_dd.export.destinations import destinations
from pipecat_dd.export.fan_out import FanOut
from pipecat_dd.export.notices import report_once
from pipecat_dd.export.spans.beside import notice_tracing
from pipecat_dd.export.spans.tree import SpanTree
from pipecat_dd.instrumentation.backlog import Backlog
from pipecat_dd.instrumentation.blocked_loop import watch_loop
from pipecat_dd.instrumentation.dispatcher import FrameDispatcher
from pipecat_dd.instrumentation.frame_tracker import FrameTracker
from pipecat_dd.instrumentation.frame_traits import FrameTraitsTable
from pipecat_dd.instrumentation.patches import Patches
from pipecat_dd.instrumentation.pipeline import PipelineInstrumentation
from pipecat_dd.instrumentation.service_events import ServiceEventInstrumentation
from pipecat_dd.instrumentation.transports import TransportInstrumentation
from pipecat_dd.instrumentation.workers import UNOBSERVED_SECS
from pipecat_dd.names import tags
from pipecat_dd.settings import Settings


class Callers:
    """The workers that call an observer, and Pipecat's proxies of their observers; held weakly."""

    def __init__(self) -> None:
        self._held: dict[int, weakref.ref[Any]] = {}

    def __bool__(self) -> bool:
        return bool(self._held)

    def have(self, *callers: Any) -> bool:
        """Whether any of these callers is known.

        Args:
            *callers: Workers or proxies; None if unknown.
        """
        for caller in callers:
            held = self._held.get(id(caller))
            if held is not None and caller is not None and held() is caller:
                return True
        return False

    def add(self, *callers: Any) -> None:
        """Add callers.

        Args:
            *callers: Workers or proxies; None, if unknown, is skipped.
        """
        for caller in callers:
            if caller is not None and not self.have(caller):
                self._held[id(caller)] = weakref.ref(caller, partial(self._forget, id(caller)))

    def update(self, others: "Callers") -> None:
        """Add all of another's callers."""
        self.add(*others.known())

    def known(self) -> list[Any]:
        """Return the callers that still exist."""
        found = (held() for held in list(self._held.values()))
        return [caller for caller in found if caller is not None]

    def _forget(self, key: int, _: Any) -> None:
        held = self._held.get(key)
        if held is not None and held() is None:
            del self._held[key]


class SessionInstrumentation:
    """Instruments the workers of one conversation; a single runner runs them.

    Attributes:
        runtime: The session, its conversation and its span tree.
        traits: What each class of frame means.
        dispatcher: Dispatches each frame to its handler.
        pipelines: Patches the workers' processors.
        binding: Binds the session to the code that created the observer; None if that failed.
        callers: The workers that call the observer for this session.
        set_up_count: How many workers have set up the observer.
        cleaned_up_count: How many have cleaned it up.
    """

    def __init__(self, session_id: str, settings: Settings, observer: Any) -> None:
        """Begin a session.

        Args:
            session_id: As log lines and spans carry it.
            settings: The observer's settings.
            observer: Held weakly.
        """
        session = Session(
            id=session_id,
            name=settings.name,
            tags=settings.tags,
            capture_content=settings.capture_content,
        )
        session.reporter = report_once
        tree = SpanTree(session, settings.parent, _ddtrace.activated(), settings.trace_scope)
        conversation = Conversation(
            session,
            FanOut(tree, destinations(session, tree, settings)),
            _start_timer,
            settings.turn_end_timeout_secs,
            settings.frame_spans,
            settings.slow_frame_ms,
            participant_names=settings.participant_names,
            phone_hash_key=settings.phone_hash_key,
            blocked_ms=settings.blocked_ms,
        )
        self._observer = weakref.ref(observer)
        self._spared = Patches()
        # Instances of a user's subclass count as ours, too.
        kinds = type(observer).__mro__
        self._kind = next(k for k in kinds if k.__module__ == "pipecat_dd.observer")
        self._patience: Timer | None = None
        self.runtime = active.SessionRuntime(session, conversation, tree)
        self.traits = FrameTraitsTable()
        self.dispatcher = FrameDispatcher(conversation)
        tracker = FrameTracker(conversation, self.dispatcher, self.traits, _ddtrace.set_aside)
        self.pipelines = PipelineInstrumentation(
            conversation,
            self.dispatcher,
            self.traits,
            tracker,
            ServiceEventInstrumentation(conversation, _ddtrace.set_aside),
        )
        self.binding: ObserverBinding | None = None
        self._transports = TransportInstrumentation(
            conversation, _ddtrace.set_aside, _ddtrace.traces_messages
        )
        self._given: Sequence[BaseTransport] = settings.transports
        if settings.phone_hash_key is not None:
            with _guard.instrumentation.guarded():
                self._transports.calls = _pipecat.calls_here()
        self.callers = Callers()
        self._runner: weakref.ref[Any] | None = None
        self._has_input = False
        self._workers: set[int] = set()
        self.set_up_count = 0
        self.cleaned_up_count = 0
        self._let_loop_end: Callable[[], None] | None = None
        # An observer that is dropped before it ran must not leave a session that seems to go on.
        self._abandons = weakref.finalize(observer, _abandon, session)
        self._abandons.atexit = False
        active.register(self.runtime)
        register(session)
        close_at_exit(conversation)

    @property
    def session(self) -> Session:
        """The session."""
        return self.runtime.session

    @property
    def is_over(self) -> bool:
        """Whether the session has ended."""
        return self.session.phase is Phase.ENDED

    def admits(self, worker: Any) -> bool:
        """Whether a worker is part of this conversation.

        It is if the same runner runs it. But two workers that each have an input of their own
        serve two callers, and so two conversations.

        Args:
            worker: None if unknown.
        """
        if self.is_over:
            return False
        if not self.callers:
            return True
        runner = _pipecat.runner_of(worker)
        if runner is None or self._runner is None or self._runner() is not runner:
            return False
        return not (self._has_input and _has_input(worker))

    def bind(self, proxy: Any, worker: Any) -> None:
        """Make a worker part of this conversation.

        Args:
            proxy: Pipecat's proxy of the worker's observers; None if unknown.
            worker: None if unknown.
        """
        is_known = self.callers.have(worker)
        self.callers.add(proxy, worker)
        if worker is None or is_known:
            return
        self._has_input = self._has_input or _has_input(worker)
        stack_lookup.register(self.session, worker)
        runner = _pipecat.runner_of(worker)
        if runner is not None:
            self._runner = weakref.ref(runner)
            # A worker without a pipeline (one that only takes jobs) never calls us.
            beside = (one for one in _pipecat.beside(worker) if not _pipecat.is_worker(one))
            for one in (runner, *beside):
                stack_lookup.register(self.session, one)

    def abandon(self) -> None:
        """Record nothing, since another observer records this conversation."""
        self._abandons()

    def set_up(self, worker: Any) -> None:
        """Begin in the context that the tasks of a worker's processors inherit.

        Args:
            worker: None if unknown.
        """
        self.set_up_count += 1
        if worker is not None:
            self.pipelines.workers.meet(worker.pipeline)
            with _guard.instrumentation.guarded():
                self.pipelines.events.listen_to_worker(worker)
        self._bind_here()
        with _guard.instrumentation.guarded():
            self._bind_observers_of(worker)
        self._run(time.time_ns())

    def _bind_observers_of(self, worker: Any) -> None:
        """Bind the tasks of a worker's observers, which were made before ours was called."""
        for task in _pipecat.observer_tasks(worker):
            context = context_of(task)
            if context is not None:
                context.run(current.set, RunContext(self.session))

    def _bind_here(self) -> None:
        work = current.get()
        if isinstance(work, AmbientContext):
            work.meet(self.binding)
            resolved = work.resolve() if work.session is self.session else None
            if resolved is not None and resolved.session is self.session:
                return  # bound already, and released in time
        current.set(RunContext(self.session))

    def record_setup(self, data: Any) -> None:
        """Record how long a processor's set-up took.

        Args:
            data: Pipecat's event, with times on the monotonic clock.
        """
        offset_ns = time.time_ns() - time.monotonic_ns()
        self.runtime.conversation.record_setup(
            data.processor.name, data.started_at_ns + offset_ns, data.finished_at_ns + offset_ns
        )

    def start(self) -> None:
        """Record a pipeline's start: the StartFrame has passed through all of it."""
        self.runtime.conversation.start(time.time_ns())
        self.pipelines.events.listen_again()
        self._patience = self._patience or _start_timer(UNOBSERVED_SECS, self._look_around)

    def instrument(self, processor: Any, worker: Any) -> None:
        """Instrument a processor; with the first one, its whole pipeline.

        Args:
            processor: The processor.
            worker: The worker that runs it; None if unknown.
        """
        if self.is_over:
            return
        outermost = _pipecat.outermost(processor)
        is_within = outermost is processor or self.pipelines.has_installed(outermost)
        if self.pipelines.is_on and is_within:
            self.pipelines.patch(processor)
            self._listen([processor])
            return
        # Before Pipecat 1.8, and if the observer was added late, setup() was not called.
        self._run(time.time_ns())
        self.pipelines.install(outermost)
        self.pipelines.patch(processor)
        backlog = Backlog(self.traits, self.runtime.conversation.count_dropped)
        observer = self._observer()
        if observer is not None:
            covered = self.pipelines.covered_ids
            undo = _pipecat.spare_events(processor, observer, covered, backlog.admits)
            if undo is not None:
                self._spared.add(undo)
        self._listen(self.pipelines.instances)
        root = self.session.root
        root.attributes[tags.PIPECAT_VERSION] = _pipecat.pipecat_version()
        notice_tracing(worker, captures=self.session.capture_content)
        if worker is not None:
            self._workers.add(id(worker))
            with _guard.instrumentation.guarded():
                self.pipelines.events.listen_to_worker(worker)
        root.set(tags.CONVERSATION_ID, _pipecat.conversation_id(worker))
        root.set(tags.TRANSPORT, _pipecat.transport_of(self.pipelines.instances))

    def _look_around(self) -> None:
        """Log which of the conversation's workers are not observed, if any."""
        patience, self._patience = self._patience, None
        if patience is not None:
            patience.cancel()
        if self.session.phase is not Phase.RUNNING:
            return

        def look() -> None:
            current.set(RunContext(self.session))
            self.pipelines.workers.report_unobserved(self._kind)

        contextvars.copy_context().run(look)

    def clean_up(self, *, is_removed: bool = False) -> bool:
        """Clean up for one worker; with the last one, end the session.

        Args:
            is_removed: Whether the worker goes on without the observer.

        Returns:
            Whether the session has ended.
        """
        self.cleaned_up_count += 1
        with _guard.instrumentation.guarded():
            if not isinstance(current.get(), (AmbientContext, RunContext)):
                # The processors' clean-up and the worker's last log lines follow, and may have no
                # other link to the session.
                current.set(RunContext(self.session))
            # A worker that was running already when it got the observer has not set it up; before
            # Pipecat 1.8 no worker does.
            if self.cleaned_up_count < max(self.set_up_count, len(self._workers)):
                self.runtime.conversation.continue_without()
                return False
        # Each step is guarded by itself, so that one failure leaves nothing else undone.
        with _guard.instrumentation.guarded():
            self._look_around()
        with _guard.conversation.guarded():
            if is_removed:
                self.runtime.conversation.set_end_reason("removed")
        with _guard.conversation.guarded():
            self.runtime.conversation.end(time.time_ns())
        with _guard.instrumentation.guarded():
            if self.binding is not None:
                self.binding.release()
        with _guard.instrumentation.guarded():
            if self._let_loop_end is not None:
                self._let_loop_end()
        with _guard.instrumentation.guarded():
            self._spared.undo()
        with _guard.instrumentation.guarded():
            self.pipelines.remove()
        with _guard.instrumentation.guarded():
            self._transports.remove()
        self._abandons.detach()
        return True

    def _run(self, at_ns: int) -> None:
        found = _ddtrace.activated()
        if found is not None:
            self.runtime.tree.hide(found)
        self.runtime.conversation.begin(at_ns)
        if self.binding is not None:
            with _guard.instrumentation.guarded():
                self.binding.rebind(self._is_run_by)
        if self._let_loop_end is None:
            with _guard.instrumentation.guarded():
                self._let_loop_end = close_with_loop(self.runtime.conversation)
        with _guard.event_loop.guarded():
            watch_loop(self.runtime.conversation.blocking)
        for transport in self._given:
            with _guard.instrumentation.guarded():
                self._transports.listen(transport)

    def _is_run_by(self, found: Any) -> bool:
        runner = None if self._runner is None else self._runner()
        known = runner is None or found is runner or self.callers.have(found)
        return known and _pipecat.is_run(found)

    def _listen(self, processors: Iterable[Any]) -> None:
        self._transports.find(processors)


def _has_input(worker: Any) -> bool:
    pipeline = getattr(worker, "pipeline", None)
    return pipeline is not None and any(
        _pipecat.role_of(processor) is Role.INPUT for processor in _pipecat.walk(pipeline)
    )


def _abandon(session: Session) -> None:
    if session.phase is Phase.MADE:
        session.phase = Phase.ENDED
        session.is_void = True
        unregister(session)


def _start_timer(secs: float, callback: Callable[[], None]) -> Timer:
    def run() -> None:
        with _guard.conversation.guarded():
            callback()

    # In an empty context: a timer must neither keep a frame's work context alive nor act in it.
    loop = asyncio.get_running_loop()
    return loop.call_later(secs, run, context=contextvars.Context())

"""Patches the dispatch of events of services, strategies and workers.

``_call_event_handler`` and ``_run_handler`` are replaced on the *instances* that have events to
record: services, aggregators, workers, and objects that belong to a processor, such as a strategy.
As for a transport (:mod:`~pipecat_dd.instrumentation.transports`), the event's work context is set
at the dispatch and inherited by its handlers, which run as they would without us.

A processor dispatches four events of its own for each frame. Where nothing handles them they are
answered on the spot, which costs less than dispatching them and makes up for some of what we cost.
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

from pipecat_dd import _guard, _pipecat
from pipecat_dd.conversation.connections import REFUSED
from pipecat_dd.conversation.context import WorkContext, current
from pipecat_dd.conversation.conversation import Conversation
from pipecat_dd.conversation.failure import Failure
from pipecat_dd.conversation.model import AttributeValue, Phase, Processor
from pipecat_dd.conversation.service_events import (
    COMPLETION_TIMEOUT,
    EventSource,
    ServiceEvent,
)
from pipecat_dd.instrumentation.event_facts import (
    BETWEEN_WORKERS,
    CONNECTED,
    DISCONNECTED,
    NOT_RECORDED,
    STOP_TIMEOUT,
    USABLE_CHANGED,
    USER_IDLE,
    facts_of,
    timed_out,
)
from pipecat_dd.instrumentation.handlers import SetAside, dispatch_within, reporting_failures
from pipecat_dd.instrumentation.patches import Patches, is_replaced
from pipecat_dd.instrumentation.rulings import reading_rulings
from pipecat_dd.names import tags

SLOW_SECS = 1.0
"""How long a connection takes to be made before that is recorded although no handler takes it."""

Method = Callable[..., Awaitable[Any]]


class ServiceEventDispatch(WorkContext):
    """The work context of an event: of its dispatch and of all its handlers.

    Attributes:
        event: The event.
        instance: What dispatches it.
    """

    __slots__ = ("event", "instance")

    def __init__(
        self, conversation: Conversation, event: ServiceEvent, source: EventSource, instance: Any
    ) -> None:
        super().__init__(conversation.session, source.processor, bound=event.stage)
        self.event = event
        self.instance = instance


class ServiceEventInstrumentation:
    """Patches what dispatches events in one session, and removes the patches at its end."""

    def __init__(self, conversation: Conversation, set_aside: SetAside) -> None:
        """Prepare to patch; nothing is patched yet.

        Args:
            conversation: Gets the events.
            set_aside: Called before an event from outside the session is dispatched: makes the
                active span, which is not the session's, inactive.
        """
        self._conversation = conversation
        self._set_aside = set_aside
        self._replaced = Patches()
        self._known: set[int] = set()
        self._turn_deciders: list[tuple[Any, Processor | None]] = []
        self._done: asyncio.Future[None] | None = None

    def listen(self, instance: Any, processor: Processor | None) -> None:
        """Patch a processor that has events to record, and the objects that belong to it.

        Args:
            instance: Pipecat's processor.
            processor: Our record of it; None for one that only holds others.
        """
        if id(instance) not in self._known:
            self._known.add(id(instance))
            events = _pipecat.own_events(instance) - NOT_RECORDED
            if processor is None or processor.service is None:
                events -= {USABLE_CHANGED}
            self._patch(instance, EventSource(str(instance.name), processor), events)
            self._time_connecting(instance)
            if _pipecat.is_a(instance, "LLMUserAggregator", "UserTurnProcessor"):
                self._turn_deciders.append((instance, processor))
        self._listen_to_attached(instance, processor)

    def listen_again(self) -> None:
        """Patch the strategies that have taken the place of others."""
        for instance, processor in self._turn_deciders:
            with _guard.instrumentation.guarded():
                self._listen_to_attached(instance, processor)

    def listen_to_worker(self, worker: Any) -> None:
        """Patch a worker, and the others of its conversation that have no pipeline.

        Args:
            worker: Pipecat's worker; None if unknown.
        """
        if worker is None:
            return
        for one in (worker, *(w for w in _pipecat.beside(worker) if not _pipecat.is_worker(w))):
            # One without a pipeline may work for another session of the same runner.
            if id(one) not in self._known and not is_replaced(one, _pipecat.CALL_EVENT_HANDLER):
                self._known.add(id(one))
                name = str(getattr(one, "name", "") or "")
                events = _pipecat.own_events(one) - NOT_RECORDED
                self._patch(one, EventSource(name, worker=name or None), events, failing=True)

    def remove(self) -> None:
        """Remove all patches."""
        self._replaced.undo()
        self._known.clear()
        self._turn_deciders.clear()

    def _listen_to_attached(self, instance: Any, processor: Processor | None) -> None:
        for found, owner in _pipecat.attached(instance):
            if id(found) in self._known:
                continue
            self._known.add(id(found))
            if _pipecat.is_turn_analyzer(found):
                reading = reading_rulings(
                    found,
                    self._conversation,
                    ends_by_silence=_pipecat.is_a(owner, "TurnAnalyzerUserTurnStopStrategy"),
                )
                self._replaced.patch(found, _pipecat.ANALYZE_END_OF_TURN, reading)
                continue
            # What its owner reports, too, the owner only passes on.
            events = (
                _pipecat.own_events(found) - NOT_RECORDED - _pipecat.all_events(instance)
            ) - _pipecat.all_events(owner)
            name = str(getattr(found, "name", type(found).__name__))
            self._patch(found, EventSource(name, processor), events, failing=True)
            self._time_connecting(found)

    def _patch(
        self, instance: Any, source: EventSource, events: frozenset[str], *, failing: bool = False
    ) -> None:
        caller, runner = _pipecat.event_caller(instance), _pipecat.handler_runner(instance)
        if caller is None or runner is None:
            return
        patch = self._replaced.patch
        if events:
            caller = self._dispatching(instance, source, events, caller)
            handling = self._handling(instance, source, runner, failing)
            patch(instance, _pipecat.RUN_HANDLER, handling)
        of_frames = _pipecat.frame_events(instance)
        if of_frames:
            caller = self._answering(of_frames, caller)
        if of_frames or events:
            patch(instance, _pipecat.CALL_EVENT_HANDLER, caller)

    def _time_connecting(self, instance: Any) -> None:
        connecting = _pipecat.connecting_method(instance)
        if connecting is None:
            return
        inner: Method = connecting
        name, connections = str(instance.name), self._conversation.service_events.connections

        async def connect(*args: Any, **kwargs: Any) -> Any:
            with _guard.instrumentation.guarded():
                connections.begin(name, time.time_ns())
            try:
                return await inner(*args, **kwargs)
            finally:
                with _guard.instrumentation.guarded():
                    connections.finish(name, time.time_ns())

        self._replaced.patch(instance, _pipecat.CONNECT_WEBSOCKET, connect)

    # The patches

    def _dispatching(
        self, instance: Any, source: EventSource, events: frozenset[str], inner: Method
    ) -> Method:
        async def dispatch(event_name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            work = self._begins(instance, source, event_name, args)
            if work is None:
                return await inner(event_name, *args, **kwargs)
            return await dispatch_within(
                work,
                self._set_aside,
                lambda: self._settles(work.event),
                inner,
                event_name,
                args,
                kwargs,
            )

        def _call_event_handler(event_name: str, *args: Any, **kwargs: Any) -> Awaitable[Any]:
            if event_name in events:
                return dispatch(event_name, args, kwargs)
            return inner(event_name, *args, **kwargs)

        return _call_event_handler

    def _answering(self, of_frames: dict[str, Any], inner: Method) -> Method:
        """Answer events of frames that nothing handles on the spot.

        Args:
            of_frames: The events, by name.
            inner: Dispatches all others.
        """
        done = self._done
        if done is None:
            done = self._done = _pipecat.finished()

        def _call_event_handler(event_name: str, *args: Any, **kwargs: Any) -> Awaitable[Any]:
            try:
                # Nearly all that are dispatched are of frames.
                if not of_frames[event_name].handlers:
                    return done
            except KeyError:
                pass
            return inner(event_name, *args, **kwargs)

        return _call_event_handler

    def _handling(self, instance: Any, source: EventSource, inner: Method, failing: bool) -> Method:
        def _run_handler(event_name: str, handler: Any, *args: Any, **kwargs: Any) -> Any:
            # Runs in the context of the dispatch, before the handler has a task.
            work = current.get()
            if not isinstance(work, ServiceEventDispatch) or work.instance is not instance:
                return inner(event_name, handler, *args, **kwargs)
            event = work.event
            event.pending += 1
            if failing:
                with _guard.instrumentation.guarded():
                    handler = reporting_failures(
                        handler, (instance, *args), kwargs, self._failed(source, event_name, work)
                    )

            async def run() -> Any:
                try:
                    return await inner(event_name, handler, *args, **kwargs)
                finally:
                    self._settles(event)

            return run()

        return _run_handler

    def _failed(
        self, source: EventSource, event_name: str, work: WorkContext
    ) -> Callable[[Exception], None]:
        def failed(error: Exception) -> None:
            with _guard.conversation.guarded():
                self._conversation.record_error(
                    source.processor, work, Failure.of(error), time.time_ns(), event_name
                )

        return failed

    # The events

    def _begins(
        self, instance: Any, source: EventSource, name: str, args: tuple[Any, ...]
    ) -> ServiceEventDispatch | None:
        conversation = self._conversation
        if conversation.session.phase is not Phase.RUNNING or _guard.instrumentation.off:
            return None
        try:
            before = current.get()
            if before is not None and before.session not in (None, conversation.session):
                return None  # of another session, with which this one shares the strategy
            at_ns = time.time_ns()
            facts, failure = facts_of(name, args)
            facts[tags.EVENT_HANDLER_COUNT] = _pipecat.handler_count(instance, name)
            is_handled = _pipecat.has_users_handler(instance, name)
            if name in (CONNECTED, DISCONNECTED, REFUSED):
                failure = self._connection(instance, source, name, args, at_ns, facts)
                if failure is None and not is_handled and not _is_notable(facts):
                    return None
            elif name in BETWEEN_WORKERS:
                if not is_handled and not conversation.pipelines.are_several:
                    return None
            elif name == USABLE_CHANGED:
                if not is_handled and not (args and args[0]):
                    return None  # the error that made it unusable says so
            elif name == USER_IDLE:
                conversation.service_events.note_idle()
            elif name == STOP_TIMEOUT:
                conversation.user.rulings.time_out(at_ns)
            elif name == COMPLETION_TIMEOUT and source.processor is not None:
                # Services report it while they handle the exception.
                failure = timed_out(sys.exc_info()[1])
                response = source.processor.stage
                if response is not None and response.is_open:
                    conversation.errors.note_timeout(response, failure)
            event = conversation.service_events.begin(name, source, at_ns, facts, failure)
            if event is None:
                return None
            return ServiceEventDispatch(conversation, event, source, instance)
        except Exception as error:
            _guard.instrumentation.failed(error)
            return None

    def _connection(
        self,
        instance: Any,
        source: EventSource,
        name: str,
        args: tuple[Any, ...],
        at_ns: int,
        facts: dict[str, AttributeValue],
    ) -> Failure | None:
        """Record what became of a connection; return what went wrong, if anything did."""
        connections = self._conversation.service_events.connections
        if name == CONNECTED:
            facts.update(connections.make(source.name, at_ns))
            return None
        # Services report while they handle the exception.
        raised = sys.exc_info()[1]
        error = raised if isinstance(raised, Exception) else None
        if name == REFUSED:
            facts.update(connections.refuse(source.name, at_ns))
            text = str(args[0]) if args else "the connection failed"
            # An exception that the report does not quote is an older one.
            error = error if error is not None and (str(error) or "\n") in text else None
            return _failure(error, "ConnectionError", self._masked(text))
        if _pipecat.is_losing_connection(instance) and connections.lose(source.name, at_ns):
            message = self._masked(str(error)) if error is not None else "the connection was lost"
            return _failure(error, "ConnectionLost", message)
        return None

    def _masked(self, text: str) -> str:
        return self._conversation.participants.numbers.masked(text)

    def _settles(self, event: ServiceEvent) -> None:
        with _guard.conversation.guarded():
            self._conversation.service_events.settle(event, time.time_ns())


def _is_notable(facts: dict[str, AttributeValue]) -> bool:
    """Whether a connection that was made, or closed on purpose, is worth recording."""
    waited = facts.get(tags.CONNECTION_WAIT_SECONDS, 0)
    return tags.CONNECTION_LOST_SECONDS in facts or (
        isinstance(waited, (int, float)) and waited >= SLOW_SECS
    )


def _failure(error: Exception | None, kind: str, message: str) -> Failure:
    return Failure(kind, message) if error is None else Failure.of(error, message=message)

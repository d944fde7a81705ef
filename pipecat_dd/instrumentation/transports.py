"""Patches the dispatch of a transport's events.

``_call_event_handler`` and ``_run_handler`` are replaced on each transport *instance*. The first
dispatches an event to the user's handlers, each in a task of its own; the second runs in that
task. The event's work context is set at the dispatch, so that all handlers inherit it, whatever
context the event comes from: SmallWebRTC dispatches in the context of the web request that made
the connection, long before there is an observer.

The user's handlers run as they would without us: as often, in the same order and with the same
arguments. Their exceptions reach Pipecat, which logs them as always.
"""

import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from loguru import logger

from pipecat_dd import _guard, _pipecat
from pipecat_dd.conversation.context import WorkContext, current
from pipecat_dd.conversation.conversation import Conversation
from pipecat_dd.conversation.failure import Failure
from pipecat_dd.conversation.model import Participant, Phase
from pipecat_dd.conversation.participants import Event, Transport
from pipecat_dd.instrumentation.beneath import patch_beneath
from pipecat_dd.instrumentation.events import BURST_EVENTS, Effect, EventContents
from pipecat_dd.instrumentation.handlers import SetAside, dispatch_within, reporting_failures
from pipecat_dd.instrumentation.patches import Patches
from pipecat_dd.instrumentation.readers import Reader, reader_of, stream_stopped
from pipecat_dd.instrumentation.requests import patch_requests
from pipecat_dd.names import tags

TRACED_MESSAGES = (
    "pipecat_dd: ddtrace creates a span for each websocket message of this bot (a telephone call "
    "has 100 a second). Set DD_TRACE_WEBSOCKET_MESSAGES_ENABLED=false to turn that off"
)

Method = Callable[..., Awaitable[Any]]


class EventDispatch(WorkContext):
    """The work context of a transport's event: of its dispatch and of all its handlers.

    Attributes:
        event: The event.
        transport: The transport that dispatches it.
    """

    __slots__ = ("event", "transport")

    def __init__(self, conversation: Conversation, event: Event, transport: Any) -> None:
        super().__init__(conversation.session, bound=event.stage, participant=event.participant)
        self.event = event
        self.transport = transport


class TransportInstrumentation:
    """Patches the transports of one session, and removes the patches at its end.

    Attributes:
        calls: The telephone calls known where the observer was created.
    """

    _said_traced = False

    def __init__(
        self,
        conversation: Conversation,
        set_aside: SetAside,
        traces_messages: Callable[[Any], bool] = lambda websocket: False,
    ) -> None:
        """Prepare to patch; nothing is patched yet.

        Args:
            conversation: Gets the events.
            set_aside: Called before an event from outside the session is dispatched: makes the
                active span, which is not the session's, inactive.
            traces_messages: Whether ddtrace makes a span of each message of a websocket.
        """
        self._conversation = conversation
        self._set_aside = set_aside
        self._traces_messages = traces_messages
        self._listening: dict[int, Any] = {}
        self.calls: tuple[_pipecat.KnownCall, ...] = ()
        self._replaced = Patches()

    def find(self, processors: Iterable[Any]) -> None:
        """Patch the transports whose inputs or outputs are among the processors."""
        for processor in processors:
            with _guard.instrumentation.guarded():
                transport = _pipecat.transport_behind(processor)
                if transport is not None:
                    self.listen(transport)

    def listen(self, transport: Any) -> None:
        """Patch a transport, unless it is patched already."""
        if id(transport) in self._listening:
            return
        self._listening[id(transport)] = transport
        dispatcher = _TransportInstrumentation(self._conversation, transport, self._set_aside)
        dispatcher.reader.calls = self.calls
        alone = dispatcher.reader.is_for_one and len(self._listening) == 1
        self._conversation.participants.can_be_several = not alone
        caller, runner = _pipecat.event_caller(transport), _pipecat.handler_runner(transport)
        if caller is not None:
            self._replaced.patch(
                transport, _pipecat.CALL_EVENT_HANDLER, dispatcher.dispatching(caller)
            )
        if runner is not None:
            self._replaced.patch(transport, _pipecat.RUN_HANDLER, dispatcher.handling(runner))
        call = _pipecat.call_of(transport)
        if call is not None:
            serializer = _pipecat.serializer_of(transport)
            self._replaced.patch(serializer, "deserialize", dispatcher.deserializing(serializer))
        with _guard.instrumentation.guarded():
            patch_requests(transport, self._conversation, self._replaced)
            patch_beneath(transport, self._conversation, self._replaced)
        with _guard.instrumentation.guarded():
            self._conversation.participants.set_call(_pipecat.call_id_of(transport))
        with _guard.instrumentation.guarded():
            dispatcher.read_present()
        websocket = _pipecat.websocket_of(transport)
        if not TransportInstrumentation._said_traced and self._traces_messages(websocket):
            TransportInstrumentation._said_traced = True
            logger.warning(TRACED_MESSAGES)

    def remove(self) -> None:
        """Remove all patches."""
        self._replaced.undo()
        self._listening.clear()


class _TransportInstrumentation:
    """Patches one transport."""

    def __init__(self, conversation: Conversation, transport: Any, set_aside: SetAside) -> None:
        self._conversation = conversation
        self._people = conversation.participants
        self._transport = transport
        self._set_aside = set_aside
        self.reader: Reader = reader_of(transport)
        self._as_told = Transport(transport.name, type(transport).__name__)

    # The patches

    def dispatching(self, inner: Method) -> Method:
        async def _call_event_handler(event_name: str, *args: Any, **kwargs: Any) -> Any:
            work = self._begins(event_name, args)
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

        return _call_event_handler

    def handling(self, inner: Method) -> Method:
        def _run_handler(
            event_name: str, handler: Any, *args: Any, **kwargs: Any
        ) -> Awaitable[Any]:
            # Runs in the context of the dispatch, before the handler has a task.
            work = current.get()
            if not isinstance(work, EventDispatch) or work.transport is not self._transport:
                return inner(event_name, handler, *args, **kwargs)
            event = work.event
            event.pending += 1
            noted = self._reporting_failures(event, handler, args, kwargs)

            async def run() -> Any:
                try:
                    return await inner(event_name, noted, *args, **kwargs)
                finally:
                    self._settles(event)

            return run()

        return _run_handler

    def deserializing(self, serializer: Any) -> Callable[..., Awaitable[Any]]:
        inner = serializer.deserialize

        def deserialize(data: Any, *args: Any, **kwargs: Any) -> Awaitable[Any]:
            with _guard.instrumentation.guarded():
                reason = stream_stopped(data)
                call = _pipecat.call_of(self._transport) if reason is not None else None
                if reason is not None and call is not None:
                    self._people.leave(call[1], time.time_ns(), self._as_told, reason)
            return inner(data, *args, **kwargs)  # type: ignore[no-any-return]

        return deserialize

    # The events

    def read_present(self) -> None:
        """Record the participants who are present already, if the observer was added late."""
        for who in self.reader.there():
            self._people.join(who, time.time_ns(), self._as_told)

    def _begins(self, event_name: str, args: tuple[Any, ...]) -> EventDispatch | None:
        if self._conversation.session.phase is not Phase.RUNNING or _guard.instrumentation.off:
            return None
        try:
            if not _pipecat.has_event(self._transport, event_name):
                return None
            at_ns = time.time_ns()
            said = self.reader.read(event_name, args)
            participant = self._apply(said, at_ns)
            if said.tone is not None:
                self._people.keypad.announce(said.tone, at_ns)
                said.facts[tags.DTMF_TONE] = self._people.permitted_key(said.tone, at_ns)
            handlers = _pipecat.handler_count(self._transport, event_name)
            if handlers == 0 and event_name in BURST_EVENTS:
                self._people.count_in_burst(event_name, at_ns, participant, said.facts)
                return None
            said.facts[tags.EVENT_HANDLER_COUNT] = handlers
            failure = None
            if said.error is not None:
                failure = Failure("TransportError", self._people.numbers.masked(said.error))
            event = self._people.begin_event(event_name, at_ns, participant, said.facts, failure)
            return EventDispatch(self._conversation, event, self._transport)
        except Exception as error:
            _guard.instrumentation.failed(error)
            return None

    def _apply(self, said: EventContents, at_ns: int) -> Participant | None:
        """Record who joined, changed or left; return the participant the event is about."""
        people, who = self._people, said.who
        if said.number is not None and said.name:
            people.set_number(said.name, said.number, self._as_told)
        if said.effect is Effect.ENTERS:
            for other in said.room:
                people.join(other, at_ns, self._as_told)
            return None
        if who is None or said.effect is Effect.NONE:
            return people.named(said.name)
        if said.effect is Effect.LEAVES:
            people.leave(who.key, at_ns, self._as_told, said.reason)
            self.reader.forget(who.key)
        elif said.effect is Effect.UPDATED:
            people.update(who, self._as_told)
        elif said.effect is Effect.JOINS or people.known(who.key) is None:
            if self.reader.is_for_one:
                people.leave_all_but(who.key, at_ns, self._as_told)
            people.join(who, at_ns, self._as_told)
        return people.named(who.key)

    def _settles(self, event: Event) -> None:
        with _guard.instrumentation.guarded():
            self._people.settle_event(event, time.time_ns())

    def _reporting_failures(self, event: Event, handler: Any, args: Any, kwargs: Any) -> Any:
        def failed(error: Exception) -> None:
            with _guard.instrumentation.guarded():
                self._people.fail_event(event, Failure.of(error))

        return reporting_failures(handler, (self._transport, *args), kwargs, failed)

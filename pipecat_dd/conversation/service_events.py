"""Events of services, strategies and workers: a connection lost, a mute, a wake phrase, a job.

An event has a stage from its dispatch until the last of the user's handlers returns. It stands
where it happened: in the turn, else in the session. Events that come many at once are taken
together.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from pipecat_dd.conversation.connections import Connections
from pipecat_dd.conversation.failure import Failure
from pipecat_dd.conversation.model import AttributeValue, Kind, Processor, Stage
from pipecat_dd.conversation.participants import EventBurst
from pipecat_dd.conversation.stages import Stages
from pipecat_dd.conversation.turn import StartTimer, Timer
from pipecat_dd.names import tags

COMPLETION_TIMEOUT = "on_completion_timeout"
"""The event of a model that did not complete its response in time."""

FREQUENT_COUNT = 10
FREQUENT_NS = 10_000_000_000
"""An event of one kind and source is frequent if it came so often within so many nanoseconds."""

BURST_SECS = 10.0
"""How long frequent events are collected before one stage reports all of them."""

MAX_SOURCES = 1_000
"""How many kinds and sources are remembered."""


@dataclass(frozen=True, slots=True)
class EventSource:
    """What dispatches events.

    Attributes:
        name: Its name, which no other source has.
        processor: The processor that it is, or hangs off; None for a worker.
        worker: The worker's name; None for a processor.
    """

    name: str
    processor: Processor | None = None
    worker: str | None = None


@dataclass(slots=True, eq=False)
class ServiceEvent:
    """An event, from its dispatch on.

    Attributes:
        stage: Its stage.
        pending: How many of its handlers have not returned; the dispatch counts as one.
    """

    stage: Stage
    pending: int = 1


class ServiceEvents:
    """Records the events of one session.

    Attributes:
        connections: The connections of the services.
    """

    def __init__(self, stages: Stages, start_timer: StartTimer) -> None:
        """Record events.

        Args:
            stages: Opens and closes stages.
            start_timer: Runs a callback after a number of seconds.
        """
        self._stages = stages
        self._start_timer = start_timer
        self.connections = Connections(stages.session.root)
        self._recent: dict[tuple[str, str], deque[int]] = {}
        self._bursts: dict[tuple[str, str], tuple[EventSource, EventBurst, Failure | None]] = {}
        self._timer: Timer | None = None

    def begin(
        self,
        name: str,
        source: EventSource,
        at_ns: int,
        facts: Mapping[str, AttributeValue],
        failure: Failure | None = None,
    ) -> ServiceEvent | None:
        """Begin an event: it is being dispatched.

        Args:
            name: The event's name.
            source: What dispatches it.
            at_ns: When.
            facts: Attributes of the event.
            failure: What went wrong, if the event reports a failure.

        Returns:
            The event; None for one of many, which is only counted.
        """
        if self._is_frequent(name, source, at_ns):
            self._count(name, source, at_ns, facts, failure)
            return None
        stage = self._open(name, source, at_ns)
        stage.attributes.update(facts)
        stage.attributes[tags.EVENT_COUNT] = 1
        if failure is not None:
            stage.fail(failure)
        return ServiceEvent(stage)

    def settle(self, event: ServiceEvent, at_ns: int) -> None:
        """Record that one of an event's handlers, or its dispatch, has returned."""
        event.pending -= 1
        if event.pending == 0:
            self._stages.close(event.stage, at_ns)

    def note_idle(self) -> None:
        """Record that the user has been idle."""
        self._stages.session.root.add(tags.SESSION_IDLE_COUNT, 1)

    def end(self, at_ns: int) -> None:
        """Record that the session ends."""
        self._close_bursts()
        self.connections.end(at_ns)

    def _is_frequent(self, name: str, source: EventSource, at_ns: int) -> bool:
        key = (source.name, name)
        times = self._recent.get(key)
        if times is None:
            if len(self._recent) >= MAX_SOURCES:
                del self._recent[next(iter(self._recent))]
            times = self._recent[key] = deque(maxlen=FREQUENT_COUNT)
        is_frequent = len(times) == FREQUENT_COUNT and at_ns - times[0] < FREQUENT_NS
        times.append(at_ns)
        return is_frequent

    def _count(
        self,
        name: str,
        source: EventSource,
        at_ns: int,
        facts: Mapping[str, AttributeValue],
        failure: Failure | None,
    ) -> None:
        # Of numbers a burst has the sum, which says nothing of handlers.
        facts = {key: value for key, value in facts.items() if key != tags.EVENT_HANDLER_COUNT}
        found = self._bursts.get((source.name, name))
        if found is not None:
            found[1].add(at_ns, facts)
            return
        burst = EventBurst(name, None, at_ns, at_ns, facts)
        self._bursts[source.name, name] = source, burst, failure
        if self._timer is None:
            self._timer = self._start_timer(BURST_SECS, self._close_bursts)

    def _close_bursts(self) -> None:
        """Report the bursts of events that were collected."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        bursts, self._bursts = self._bursts, {}
        for source, burst, failure in bursts.values():
            stage = self._open(burst.name, source, burst.start_ns)
            stage.attributes.update(burst.facts)
            stage.attributes[tags.EVENT_COUNT] = burst.count
            if failure is not None:
                stage.fail(failure)
            self._stages.close(stage, burst.last_ns)

    def _open(self, name: str, source: EventSource, at_ns: int) -> Stage:
        session, processor = self._stages.session, source.processor
        around = session.stage
        stage = self._stages.open(
            Kind.SERVICE_EVENT,
            name,
            at_ns,
            # A burst may have begun before the turn that goes on now.
            parent=around if at_ns >= around.start_ns else session.root,
            processor=processor,
            aside=True,
        )
        stage.set(tags.WORKER_NAME, source.worker)
        if processor is not None and processor.service is not None:
            stage.set(tags.GEN_AI_PROVIDER_NAME, processor.service().provider or None)
        return stage

"""Who is there: who came and left, and what happened to whom.

A participant is there from joining to leaving; one who comes back is there anew, with a stage of
its own. What the transport tells of somebody (a message, a key, an error) is an event: a stage
too, part of the participant's, which lasts until the last of the user's handlers has returned.

Whose work is it? The one an event is about, in its handlers; the one a frame names, while the
frame is worked on; else the only one there; else nobody's. Nothing here guesses among several:
no id is better than somebody else's.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

from pipecat_dd.conversation.failure import Failure
from pipecat_dd.conversation.model import AttributeValue, Kind, Participant, Stage
from pipecat_dd.conversation.stages import Stages
from pipecat_dd.conversation.telephone import DtmfPrivacy, PhoneNumbers
from pipecat_dd.conversation.turn import StartTimer, Timer
from pipecat_dd.names import tags

REMEMBERED = 1_000
"""How many of those who have left are remembered: a late event or frame may still name one."""

KEY_EVENT = "on_dtmf_event"
"""The event of a pressed key, as transports call it that have one."""

LEFT_OUT = "[left out]"
"""What stands for a key that may not be told."""

BURST_SECS = 1.0
"""How long events that come in floods are gathered before they are told of, in one."""


UNKNOWN = Participant("")
"""Somebody who was named, but is nobody we know: not the only one there by any means."""


@dataclass(frozen=True, slots=True)
class Transport:
    """A transport by which participants come.

    Attributes:
        name: Its name, unlike any other's.
        class_name: Its class.
    """

    name: str
    class_name: str


@dataclass(frozen=True, slots=True)
class Who:
    """A participant as a transport tells of one.

    Attributes:
        key: What the transport calls the participant.
        name: The name that is shown.
        role: The participant's part in it.
        number: A telephone number, where the transport gives one by itself.
        facts: What else belongs on the participant's span.
    """

    key: str
    name: str | None = None
    role: str | None = None
    number: str | None = None
    facts: Mapping[str, AttributeValue] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Event:
    """An event of a transport, from its dispatch on.

    Attributes:
        stage: Its stage.
        participant: Whom it is about, where it is about one.
        pending: How many of those who handle it have not returned; the dispatch counts.
    """

    stage: Stage
    participant: Participant | None
    pending: int = 1


@dataclass(slots=True)
class EventBurst:
    """Events of one kind about one participant, which nobody handles."""

    name: str
    participant: Participant | None
    start_ns: int
    last_ns: int
    facts: dict[str, AttributeValue]
    count: int = 1

    def add(self, at_ns: int, facts: Mapping[str, AttributeValue]) -> None:
        """Add one: numbers are summed, text is kept where it is the same of all."""
        self.count += 1
        self.last_ns = max(self.last_ns, at_ns)
        for name in set(self.facts) | set(facts):
            mine, other = self.facts.get(name), facts.get(name)
            if _is_number(mine) and _is_number(other):
                self.facts[name] = mine + other  # type: ignore[operator]
            elif mine != other:
                self.facts.pop(name, None)


class Participants:
    """Follows who is there.

    Attributes:
        only: The only one there; None where nobody is, or several are.
        can_be_several: Whether several may be there at once. Where not, nothing that names
            somebody says more than who is there.
    """

    def __init__(
        self,
        stages: Stages,
        start_timer: StartTimer,
        *,
        names: bool = True,
        numbers: PhoneNumbers | None = None,
    ) -> None:
        """Follow who is there.

        Args:
            stages: Opens and closes stages.
            start_timer: Runs a callback after so many seconds.
            names: Whether names may be told.
            numbers: Keeps telephone numbers back.
        """
        self._stages = stages
        self._start_timer = start_timer
        self._names = names
        self.numbers = numbers or PhoneNumbers()
        self.keypad = DtmfPrivacy()
        self._there: dict[tuple[str, str], Participant] = {}
        self._by_key: dict[str, Participant] = {}
        self._left: OrderedDict[str, Participant] = OrderedDict()
        self._ids: set[str] = set()
        self._hashes: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._forgotten = 0
        self._bursts: dict[tuple[str, Participant | None], EventBurst] = {}
        self._timer: Timer | None = None
        self.only: Participant | None = None
        self.can_be_several = True

    # Coming and going

    @property
    def present(self) -> tuple[Participant, ...]:
        """Who is there at this moment, in the order they came."""
        return tuple(self._there.values())

    @property
    def count(self) -> int:
        """How many there have been, each counted once however often they came back.

        One who comes back after a thousand others have left is another.
        """
        return len(self._ids) + self._forgotten

    def join(self, who: Who, at_ns: int, transport: Transport) -> Participant:
        """Somebody is there; nothing but what is newly known of them if they were already.

        Args:
            who: Who.
            at_ns: Since when.
            transport: The transport they came by.
        """
        place = (transport.name, who.key)
        participant = self._there.get(place)
        if participant is not None:
            self._describe(participant, who)
            return participant
        kind = transport.class_name
        participant = Participant(self.numbers.id_of(who.key), transport=kind, is_there=True)
        participant.stage = self._stages.open(
            Kind.PARTICIPANT, kind, at_ns, parent=self._stages.session.root
        )
        participant.stage.assign_participant(participant.id)
        participant.stage.set(tags.PARTICIPANT_PHONE_HASH, self._hashes.pop(place, None))
        self._describe(participant, who)
        self._there[place] = self._by_key[who.key] = participant
        self._left.pop(who.key, None)
        self._ids.add(participant.id)
        self._stages.unassign_others(participant.id)
        self._count_heads()
        return participant

    def update(self, who: Who, transport: Transport) -> None:
        """More is known of somebody.

        Args:
            who: Who, and what is known.
            transport: The transport they came by.
        """
        participant = self._there.get((transport.name, who.key))
        if participant is not None:
            self._describe(participant, who)

    def set_number(self, key: str, number: str, transport: Transport) -> None:
        """Somebody's telephone number is known, who is there or is still to come.

        Args:
            key: What the transport calls them.
            number: The number.
            transport: The transport they come by.
        """
        hashed = self.numbers.hash_of(number)
        if hashed is None:
            return
        place = (transport.name, key)
        participant = self._there.get(place)
        if participant is not None and participant.stage is not None:
            participant.stage.set(tags.PARTICIPANT_PHONE_HASH, hashed)
            return
        self._hashes[place] = hashed
        if len(self._hashes) > REMEMBERED:
            self._hashes.popitem(last=False)

    def leave(self, key: str, at_ns: int, transport: Transport, reason: str) -> None:
        """Somebody is gone; nothing if they were not there.

        Args:
            key: What the transport calls them.
            at_ns: Since when.
            transport: The transport they came by.
            reason: Why, as far as the transport tells.
        """
        self._leaves((transport.name, key), at_ns, reason)

    def leave_all_but(self, key: str, at_ns: int, transport: Transport) -> None:
        """Whoever else came by a transport for one is gone, since it has another now.

        Args:
            key: What the transport calls the one it has now.
            at_ns: Since when.
            transport: The transport.
        """
        for place in list(self._there):
            if place[0] == transport.name and place[1] != key:
                self._leaves(place, at_ns, "replaced")

    def known(self, name: str | None) -> Participant | None:
        """Return the participant of that name or id, there or gone; None if there was none.

        Args:
            name: What the transport calls them, or the id that is shown.
        """
        if not name:
            return None
        found = self._by_key.get(name) or self._left.get(name)
        if found is None and name in self._ids:
            found = next((p for p in self._there.values() if p.id == name), None)
        return found

    def named(self, name: str | None) -> Participant | None:
        """Return whom a name means: :data:`UNKNOWN` if nobody we know; None if it is empty."""
        return (self.known(name) or UNKNOWN) if name else None

    def named_by(self, attribute: str, name: object) -> Participant | None:
        """Return whom a frame names.

        Args:
            attribute: The attribute by which it does.
            name: That attribute's value.
        """
        if not name or not isinstance(name, str):
            return None
        # Transports give tracks names in it (`microphone`), if they do not name participants.
        return self.known(name) if attribute == "transport_source" else self.named(name)

    def end(self, at_ns: int) -> None:
        """The session ends: whoever is there leaves with it."""
        self._close_bursts()
        for place in list(self._there):
            self._leaves(place, at_ns, "session_end")
        root = self._stages.session.root
        root.attributes[tags.SESSION_PARTICIPANT_COUNT] = self.count
        if self.count == 1:
            root.assign_participant(next(iter(self._ids)))

    def _describe(self, participant: Participant, who: Who) -> None:
        number = who.number or who.name
        hashed = self.numbers.hash_of(number) or self.numbers.hash_of(who.key)
        name = None if self.numbers.found_in(who.name) else who.name
        if self._names:
            participant.name = name or participant.name
        participant.role = who.role or participant.role
        stage = participant.stage
        if stage is not None and stage.is_open:
            stage.set(tags.PARTICIPANT_NAME, participant.name)
            stage.set(tags.PARTICIPANT_ROLE, participant.role)
            stage.set(tags.PARTICIPANT_PHONE_HASH, hashed)
            stage.attributes.update(who.facts)

    def _leaves(self, place: tuple[str, str], at_ns: int, reason: str) -> None:
        participant = self._there.pop(place, None)
        if participant is None:
            return
        key = place[1]
        if self._by_key.get(key) is participant:
            del self._by_key[key]
        self._left[key] = participant
        if len(self._left) > REMEMBERED:
            _, forgotten = self._left.popitem(last=False)
            is_back = any(other.id == forgotten.id for other in self._there.values())
            if forgotten.id in self._ids and not is_back:
                self._ids.discard(forgotten.id)
                self._forgotten += 1
        participant.is_there = False
        self._count_heads()
        stage = participant.stage
        if stage is not None:
            stage.attributes[tags.PARTICIPANT_LEAVE_REASON] = self.numbers.masked(reason)
            self._stages.close(stage, at_ns)

    def _count_heads(self) -> None:
        self.only = next(iter(self._there.values())) if len(self._there) == 1 else None

    # Events

    def begin_event(
        self,
        name: str,
        at_ns: int,
        participant: Participant | None,
        facts: Mapping[str, AttributeValue],
        failure: Failure | None = None,
    ) -> Event:
        """An event is dispatched.

        Args:
            name: Its name.
            at_ns: When.
            participant: Whom it is about: :data:`UNKNOWN` for somebody we do not know; None
                where it is about no one in particular.
            facts: What it says about itself.
            failure: What went wrong, where that is what it tells.
        """
        stage = self._open_event(name, at_ns, participant)
        stage.attributes.update(facts)
        stage.attributes[tags.EVENT_COUNT] = 1
        if failure is not None:
            stage.fail(failure)
        return Event(stage, participant)

    def permitted_key(self, tone: str, at_ns: int) -> str:
        """Return what may be told of a key that was pressed.

        Args:
            tone: The key.
            at_ns: When it was pressed.
        """
        if self._stages.session.capture_content:
            return tone
        return self.keypad.permitted(tone, at_ns) or LEFT_OUT

    def press_key(self, tone: str, at_ns: int) -> None:
        """A frame says that a key was pressed; nothing if an event has said so already.

        Args:
            tone: The key.
            at_ns: When.
        """
        if not self.keypad.is_repeated(tone, at_ns):
            facts: dict[str, AttributeValue] = {tags.DTMF_TONE: self.permitted_key(tone, at_ns)}
            event = self.begin_event(KEY_EVENT, at_ns, self.only, facts)
            self.settle_event(event, at_ns)

    def fail_event(self, event: Event, failure: Failure) -> None:
        """One of those who handle an event failed.

        Args:
            event: The event.
            failure: What went wrong.
        """
        self._stages.session.root.add(tags.SESSION_ERROR_COUNT, 1)
        event.stage.fail(failure)

    def settle_event(self, event: Event, at_ns: int) -> None:
        """One of those who handle an event has returned, or its dispatch has.

        Args:
            event: The event.
            at_ns: When.
        """
        event.pending -= 1
        if event.pending == 0:
            self._stages.close(event.stage, at_ns)

    def count_in_burst(
        self,
        name: str,
        at_ns: int,
        participant: Participant | None,
        facts: Mapping[str, AttributeValue],
    ) -> None:
        """An event came of which many come, and which nobody handles.

        Args:
            name: Its name.
            at_ns: When.
            participant: Whom it is about.
            facts: What it says about itself.
        """
        burst = self._bursts.get((name, participant))
        if burst is not None:
            burst.add(at_ns, facts)
            return
        self._bursts[name, participant] = EventBurst(name, participant, at_ns, at_ns, dict(facts))
        if self._timer is None:
            self._timer = self._start_timer(BURST_SECS, self._close_bursts)

    def _close_bursts(self) -> None:
        """Tell of the events that were gathered."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        floods, self._bursts = self._bursts, {}
        for burst in floods.values():
            stage = self._open_event(burst.name, burst.start_ns, burst.participant)
            stage.attributes.update(burst.facts)
            stage.attributes[tags.EVENT_COUNT] = burst.count
            self._stages.close(stage, burst.last_ns)

    def _open_event(self, name: str, at_ns: int, participant: Participant | None) -> Stage:
        parent = participant.stage if participant is not None else None
        stage = self._stages.open(
            Kind.PARTICIPANT_EVENT, name, at_ns, parent=parent or self._stages.session.root
        )
        if participant is not None:
            stage.assign_participant(participant.id or None)
        return stage


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)

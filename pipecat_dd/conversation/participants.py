"""The participants: who joined and left, and the events about them.

A participant's stage lasts from joining to leaving; a participant who comes back gets a new one.
What the transport reports about a participant (a message, a key, an error) is an event. It has a
stage, too, inside the participant's; that lasts until the last of the user's handlers returns.

Work is attributed to a participant by these rules, in this order: in the handlers of an event, the
one the event is about; while a frame is processed, the one the frame names; otherwise the only one
present. With several present nothing is guessed: no id is better than a wrong one.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipecat_dd.conversation.failure import Failure
from pipecat_dd.conversation.model import AttributeValue, Kind, Participant, Stage
from pipecat_dd.conversation.stages import Stages
from pipecat_dd.conversation.telephone import DtmfPrivacy, PhoneNumbers
from pipecat_dd.conversation.turn import StartTimer, Timer
from pipecat_dd.names import tags

REMEMBERED = 1_000
"""How many participants who left are remembered: a late event or frame may still name one."""

KEY_EVENT = "on_dtmf_event"
"""The event of a pressed key. All transports that have such an event call it this."""

MAX_KEYS = 64
"""How many of the keys that the bot sends at once are reported, at most."""

LEFT_OUT = "[left out]"
"""Stands for a key that may not be reported."""

BURST_SECS = 1.0
"""How long a burst of events is collected before one stage reports all of them."""


UNKNOWN = Participant("")
"""A participant who was named but whom we do not know, so certainly not the only one present."""


@dataclass(frozen=True, slots=True)
class Transport:
    """A transport that participants join by.

    Attributes:
        name: A name that no other transport has.
        class_name: Its class.
    """

    name: str
    class_name: str


@dataclass(frozen=True, slots=True)
class Who:
    """A participant as a transport reports them.

    Attributes:
        key: The transport's name for the participant.
        name: The display name.
        role: The participant's role (``owner``, ``guest``).
        number: A telephone number, if the transport reports it separately.
        facts: Further attributes for the participant's span.
    """

    key: str
    name: str | None = None
    role: str | None = None
    number: str | None = None
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Event:
    """An event of a transport, from its dispatch on.

    Attributes:
        stage: Its stage.
        participant: The participant it is about, if any.
        pending: How many of its handlers have not returned; the dispatch counts as one.
    """

    stage: Stage
    participant: Participant | None
    pending: int = 1


@dataclass(slots=True)
class EventBurst:
    """Frequent events of one kind about one participant, which have no handler."""

    name: str
    participant: Participant | None
    start_ns: int
    last_ns: int
    facts: dict[str, AttributeValue]
    count: int = 1

    def add(self, at_ns: int, facts: Mapping[str, AttributeValue]) -> None:
        """Add an event: numbers are summed; text is kept if it is the same for all events."""
        self.count += 1
        self.last_ns = max(self.last_ns, at_ns)
        for name in set(self.facts) | set(facts):
            mine, other = self.facts.get(name), facts.get(name)
            if _is_number(mine) and _is_number(other):
                self.facts[name] = mine + other  # type: ignore[operator]
            elif mine != other:
                self.facts.pop(name, None)


class Participants:
    """Follows who is present.

    Attributes:
        only: The only participant present; None if there are none or several.
        can_be_several: Whether several may be present at once. If not, what a frame or an event
            names adds nothing to knowing who is present.
    """

    def __init__(
        self,
        stages: Stages,
        start_timer: StartTimer,
        *,
        names: bool = True,
        numbers: PhoneNumbers | None = None,
    ) -> None:
        """Follow who is present.

        Args:
            stages: Opens and closes stages.
            start_timer: Runs a callback after a number of seconds.
            names: Whether names may be sent.
            numbers: Hides telephone numbers.
        """
        self._stages = stages
        self._start_timer = start_timer
        self._names = names
        self.numbers = numbers or PhoneNumbers()
        self.keypad = DtmfPrivacy()
        self.bot_keypad = DtmfPrivacy()
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

    # Joining and leaving

    @property
    def present(self) -> tuple[Participant, ...]:
        """The participants who are present, in the order in which they joined."""
        return tuple(self._there.values())

    @property
    def count(self) -> int:
        """How many participants there have been; one who comes back is counted once.

        A participant who comes back after a thousand others have left is counted again.
        """
        return len(self._ids) + self._forgotten

    def join(self, who: Who, at_ns: int, transport: Transport) -> Participant:
        """Record that a participant is present; if already known, add only what is new.

        Args:
            who: The participant.
            at_ns: When they joined.
            transport: The transport they joined by.
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
        """Record what has become known about a participant; ignored if they are not present.

        Args:
            who: The participant and what is known.
            transport: The transport they joined by.
        """
        participant = self._there.get((transport.name, who.key))
        if participant is not None:
            self._describe(participant, who)

    def set_number(self, key: str, number: str, transport: Transport) -> None:
        """Record a participant's telephone number, before or after they join.

        Args:
            key: The transport's name for the participant.
            number: The telephone number.
            transport: The transport they join by.
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

    def set_call(self, call_id: str | None) -> None:
        """Record the telephony provider's id of the call, on the session.

        Args:
            call_id: The id; None if there is no call, or its id is unknown.
        """
        if call_id and not self.numbers.found_in(call_id):
            self._stages.session.root.attributes.setdefault(tags.TELEPHONY_CALL_ID, call_id)

    def leave(self, key: str, at_ns: int, transport: Transport, reason: str) -> None:
        """Record that a participant has left; ignored if they were not present.

        Args:
            key: The transport's name for the participant.
            at_ns: When they left.
            transport: The transport they joined by.
            reason: Why they left, as the transport reports it.
        """
        self._leaves((transport.name, key), at_ns, reason)

    def leave_all_but(self, key: str, at_ns: int, transport: Transport) -> None:
        """Record that a one-to-one transport has a new participant: all others have left.

        Args:
            key: The transport's name for the new participant.
            at_ns: When the others left.
            transport: The transport.
        """
        for place in list(self._there):
            if place[0] == transport.name and place[1] != key:
                self._leaves(place, at_ns, "replaced")

    def known(self, name: str | None) -> Participant | None:
        """Return a participant, present or past; None if there was none by that name or id.

        Args:
            name: The transport's name for them, or their id.
        """
        if not name:
            return None
        found = self._by_key.get(name) or self._left.get(name)
        if found is None and name in self._ids:
            found = next((p for p in self._there.values() if p.id == name), None)
        return found

    def named(self, name: str | None) -> Participant | None:
        """Return the participant of a name: :data:`UNKNOWN` if not known; None for no name."""
        return (self.known(name) or UNKNOWN) if name else None

    def named_by(self, attribute: str, name: object) -> Participant | None:
        """Return the participant that a frame names.

        Args:
            attribute: The frame's attribute that holds the name.
            name: The value of that attribute.
        """
        if not name or not isinstance(name, str):
            return None
        # Transports that do not name participants in this attribute name tracks (`microphone`).
        return self.known(name) if attribute == "transport_source" else self.named(name)

    def end(self, at_ns: int) -> None:
        """Record that the session ends, and that all participants leave with it."""
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
            stage.attributes.update(who.attributes)

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
        """Begin an event: it is being dispatched.

        Args:
            name: The event's name.
            at_ns: When it was dispatched.
            participant: The participant it is about: :data:`UNKNOWN` for one we do not know; None
                if it is about no particular participant.
            facts: Attributes of the event.
            failure: What went wrong, if the event reports a failure.
        """
        stage = self._open_event(name, at_ns, participant)
        stage.attributes.update(facts)
        stage.attributes[tags.EVENT_COUNT] = 1
        if failure is not None:
            stage.fail(failure)
        return Event(stage, participant)

    def begin_request(
        self,
        name: str,
        at_ns: int,
        to: str | None,
        facts: Mapping[str, AttributeValue] | None = None,
    ) -> Event:
        """Begin what the bot asks the transport to do with a participant's call.

        Args:
            name: The name of what it asks for.
            at_ns: When it asked.
            to: The transport's name for the participant; None for the only one there.
            facts: Attributes of the request.
        """
        participant = self.named(to) if to else self.only
        return self.begin_event(name, at_ns, participant, facts or {})

    def send_keys(self, name: str, keys: Sequence[str], at_ns: int, to: str | None) -> Event:
        """Begin a request of the bot's to press keys. Several at once are left out like a PIN.

        Args:
            name: The name of the request.
            keys: The keys.
            at_ns: When it asked.
            to: The transport's name for the participant; None for the only one there.
        """
        permitted = [self.bot_keypad.permitted(key, at_ns) for key in keys]
        may_tell = self._stages.session.capture_content or (len(keys) == 1 and permitted[0])
        told = "".join(keys)[:MAX_KEYS] if may_tell else LEFT_OUT
        event = self.begin_request(name, at_ns, to, {tags.DTMF_TONE: told})
        event.stage.attributes[tags.EVENT_COUNT] = max(1, len(keys))
        return event

    def permitted_key(self, tone: str, at_ns: int) -> str:
        """Return what may be reported of a pressed key: the key, or :data:`LEFT_OUT`."""
        if self._stages.session.capture_content:
            return tone
        return self.keypad.permitted(tone, at_ns) or LEFT_OUT

    def press_key(self, tone: str, at_ns: int) -> None:
        """Record a frame for a pressed key; ignored if an event has reported it already."""
        if not self.keypad.is_repeated(tone, at_ns):
            facts: dict[str, AttributeValue] = {tags.DTMF_TONE: self.permitted_key(tone, at_ns)}
            event = self.begin_event(KEY_EVENT, at_ns, self.only, facts)
            self.settle_event(event, at_ns)

    def fail_event(self, event: Event, failure: Failure) -> None:
        """Record that one of an event's handlers failed."""
        self._stages.session.root.add(tags.SESSION_ERROR_COUNT, 1)
        event.stage.fail(failure)

    def settle_event(self, event: Event, at_ns: int) -> None:
        """Record that one of an event's handlers, or its dispatch, has returned."""
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
        """Count an event in a burst: one of a frequent kind, which has no handler.

        Args:
            name: The event's name.
            at_ns: When it came.
            participant: The participant it is about, if any.
            facts: Attributes of the event.
        """
        burst = self._bursts.get((name, participant))
        if burst is not None:
            burst.add(at_ns, facts)
            return
        self._bursts[name, participant] = EventBurst(name, participant, at_ns, at_ns, dict(facts))
        if self._timer is None:
            self._timer = self._start_timer(BURST_SECS, self._close_bursts)

    def _close_bursts(self) -> None:
        """Report the bursts of events that were collected."""
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

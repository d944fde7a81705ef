"""Who is there, by itself: no transport, no pipeline, a clock of its own."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pipecat_dd.conversation.model import Kind, Stage
from pipecat_dd.conversation.participants import UNKNOWN, Event, Transport, Who
from pipecat_dd.conversation.telephone import DtmfPrivacy, PhoneNumbers
from tests.conversation.talk import SECOND, Talk

KEYS = ("ann", "ben", "cem")
ROOMS = (Transport("Daily#0", "DailyTransport"), Transport("Daily#1", "DailyTransport"))

who = st.sampled_from(KEYS)
room = st.sampled_from(ROOMS)


class ComingAndGoing(RuleBasedStateMachine):
    """Participants come, go and come back in two rooms, while things happen to them."""

    def __init__(self) -> None:
        super().__init__()
        self.talk = Talk()
        self.people = self.talk.talk.participants
        self.there: dict[tuple[str, str], Any] = {}
        self.presences = 0
        self.ever: set[str] = set()
        self.events: list[Event] = []
        self.event_count = 0
        self.work: list[tuple[Stage, set[str]]] = []

    @rule(key=who, room=room)
    def joins(self, key: str, room: Transport) -> None:
        self.presences += (room.name, key) not in self.there
        self.there[room.name, key] = self.people.join(Who(key), self.talk.ns, room)
        self.ever.add(key)
        for _, could_be in self.work:
            could_be.add(key)

    @rule(key=who, room=room)
    def leaves(self, key: str, room: Transport) -> None:
        self.people.leave(key, self.talk.ns, room, "leftCall")
        self.there.pop((room.name, key), None)

    @rule(key=who, room=room)
    def replaces(self, key: str, room: Transport) -> None:
        self.people.leave_all_but(key, self.talk.ns, room)
        self.there = {p: v for p, v in self.there.items() if p[0] != room.name or p[1] == key}

    @rule(key=who)
    def event(self, key: str) -> None:
        participant = self.people.named(key)
        assert (participant is UNKNOWN) is (key not in self.ever)
        self.events.append(self.people.begin_event("on_x", self.talk.ns, participant, {}))
        self.event_count += 1

    @precondition(lambda self: self.events)
    @rule(data=st.data())
    def handled(self, data: st.DataObject) -> None:
        event = data.draw(st.sampled_from(self.events))
        self.events.remove(event)
        self.people.settle_event(event, self.talk.ns)

    @rule(key=who, times=st.integers(1, 5))
    def flood(self, key: str, times: int) -> None:
        for _ in range(times):
            self.people.count_in_burst("on_y", self.talk.ns, self.people.named(key), {"size": 2})
        self.event_count += times

    @rule()
    def work_begins(self) -> None:
        names = {p.id for p in self.there.values()} if len(self.there) == 1 else {"a", "b"}
        parent = self.talk.session.root
        stage = self.talk.talk._stages.open(Kind.STARTUP, "any", self.talk.ns, parent=parent)
        self.work.append((stage, names))

    @precondition(lambda self: self.work)
    @rule()
    def work_ends(self) -> None:
        stage, could_be = self.work.pop()
        self.talk.talk._stages.close(stage, self.talk.ns)
        expected = next(iter(could_be)) if len(could_be) == 1 else None
        assert stage.participant_id == expected

    @rule(secs=st.floats(0, 3))
    def time_passes(self, secs: float) -> None:
        self.talk.wait(secs)

    @invariant()
    def knows_who_is_there(self) -> None:
        assert set(self.people.present) == set(self.there.values())
        assert all(participant.is_there for participant in self.people.present)
        alone = next(iter(self.there.values())) if len(self.there) == 1 else None
        assert self.people.only is alone
        assert self.people.count == len(self.ever)

    def teardown(self) -> None:
        self.talk.ends()
        assert not self.talk.listener.open - {self.talk.session.root}
        told = self.talk.all(Kind.PARTICIPANT)
        assert len(told) == self.presences
        for stage in told:
            assert stage.end_ns is not None
            assert stage.end_ns >= stage.start_ns
            assert stage.attributes["participant.leave_reason"] in (
                "leftCall",
                "replaced",
                "session_end",
            )
        events = self.talk.all(Kind.PARTICIPANT_EVENT)
        assert sum(int(stage.attributes["event.count"]) for stage in events) == self.event_count
        for stage in events:
            if stage.resource == "on_y":
                assert stage.attributes["size"] == 2 * int(stage.attributes["event.count"])
                assert stage.end_ns is not None
                assert stage.end_ns - stage.start_ns <= SECOND
            parent = stage.parent
            assert parent is not None
            assert parent.kind is Kind.SESSION or parent.participant_id == stage.participant_id
        root = self.talk.session.root
        assert root.participant_id == (next(iter(self.ever)) if len(self.ever) == 1 else None)


ComingAndGoing.TestCase.settings = settings(max_examples=150, deadline=None)
TestComingAndGoing = ComingAndGoing.TestCase


def test_those_who_left_are_forgotten_in_the_end() -> None:
    people = Talk().talk.participants
    for number in range(5_000):
        people.join(Who(f"p{number}"), SECOND, ROOMS[0])
        people.leave(f"p{number}", SECOND, ROOMS[0], "leftCall")
    assert people.known("p4999") is not None
    assert people.known("p0") is None
    assert people.count == 5_000


@given(st.text(alphabet="0123456789", min_size=7, max_size=15), st.binary(min_size=16))
def test_a_number_is_found_however_it_is_written_and_never_shown(digits: str, key: bytes) -> None:
    spaced = " ".join(digits[i : i + 3] for i in range(0, len(digits), 3))
    written = (digits, f"+{digits}", f"sip:+{digits}@example.com", f"sip_{digits}", spaced)
    for numbers in (PhoneNumbers(key), PhoneNumbers()):
        assert {numbers.found_in(text) for text in written} == {digits}
        ids = {numbers.id_of(text) for text in written}
        assert len(ids) == 1
        assert digits not in ids.pop()
    assert len({PhoneNumbers(key).hash_of(text) for text in written}) == 1
    assert PhoneNumbers().hash_of(digits) is None
    assert PhoneNumbers(key).hash_of(digits) != PhoneNumbers(b"another key of 16").hash_of(digits)
    assert digits not in PhoneNumbers().masked(f"no route to +{digits}.")


@given(st.uuids())
def test_ids_and_names_are_no_numbers(id_: Any) -> None:
    numbers = PhoneNumbers()
    call = f"CA{id_.hex}"
    for text in (str(id_), call, "Maria", "R2D2", "Room 101", "", "Agent 007", "v3:abc-123"):
        assert numbers.found_in(text) is None, text
        assert numbers.id_of(text) == text


def test_one_key_is_a_choice_and_several_in_a_row_are_a_secret() -> None:
    keypad = DtmfPrivacy()
    keys = [("1", 0), ("4", 1), ("2", 2), ("#", 3), ("9", 60), ("*", 61), ("3", 120)]
    told = [keypad.permitted(tone, secs * SECOND) for tone, secs in keys]
    assert told == ["1", None, None, "#", "9", "*", "3"]

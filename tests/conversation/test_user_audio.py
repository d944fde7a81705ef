"""The user's audio: which pieces came late, on whose speech that is, and whose never came."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipecat_dd.conversation.audio_source import AudioSource
from pipecat_dd.conversation.model import Stage
from pipecat_dd.conversation.participants import Transport, Who
from pipecat_dd.conversation.user_audio import UserAudio
from tests.conversation.talk import Talk

MS = 1_000_000
PIECE_MS = 20
TRANSPORT = Transport("t", "Transport")


def gaps_of(arrivals_ms: list[float], piece_ms: float = PIECE_MS) -> list[float]:
    source = AudioSource()
    for at_ms in arrivals_ms:
        source.arrive(int((1_000 + at_ms) * MS), int(piece_ms * MS))
    return [(end_ns - start_ns) / MS for start_ns, end_ns in source.gaps]


def steady(secs: float, start_ms: float = 0, every_ms: float = PIECE_MS) -> list[float]:
    return [start_ms + i * every_ms for i in range(int(secs * 1_000 / every_ms))]


@pytest.mark.parametrize("cut_ms", [100, 400, 900])
def test_a_cut_is_a_gap_whether_the_pieces_come_late_or_never(cut_ms: int) -> None:
    before, after = steady(2.0), steady(2.0, 2_000 + cut_ms)
    assert gaps_of(before + after) == [cut_ms]
    late = [2_000.0 + cut_ms] * (cut_ms // PIECE_MS)
    assert gaps_of(before + late + after) == [cut_ms]


@settings(deadline=None)
@given(st.lists(st.floats(0, 40), min_size=200, max_size=200))
def test_jitter_is_no_gap(delays_ms: list[float]) -> None:
    arrivals = [at + late for at, late in zip(steady(4.0), delays_ms, strict=True)]
    assert not gaps_of(sorted(arrivals))


@pytest.mark.parametrize("batch", [5, 10, 25])
def test_pieces_that_come_in_batches_are_not_late(batch: int) -> None:
    arrivals = [at // (batch * PIECE_MS) * (batch * PIECE_MS) for at in steady(4.0)]
    assert not gaps_of(arrivals)


@pytest.mark.parametrize("early_ms", [500, 3_000])
def test_a_gap_after_audio_that_came_early_is_as_long_as_it_is(early_ms: int) -> None:
    buffered = [0.0] * (early_ms // PIECE_MS)
    assert gaps_of(buffered + steady(2.5) + steady(1.0, 2_900)) == [pytest.approx(400, abs=1)]


def test_each_of_two_stalls_is_a_gap_although_the_first_is_caught_up() -> None:
    first = steady(2.0) + [2_400.0] * 20 + steady(2.4, 2_400)
    second = [5_100.0] * 15 + steady(1.0, 5_100)
    assert gaps_of(first + second) == [400, pytest.approx(300, abs=1)]


@pytest.mark.parametrize("between_secs", [0.1, 0.2, 0.3, 0.5])
def test_a_stall_soon_after_another_is_as_long_as_it_is(between_secs: float) -> None:
    first = steady(2.0) + [2_400.0] * 20 + steady(between_secs, 2_400)
    again = 2_400 + between_secs * 1_000 + 300
    assert gaps_of(first + [again] * 15 + steady(1.0, again)) == [400, pytest.approx(300, abs=21)]


@pytest.mark.parametrize("late_ms", [30, 75])
def test_a_late_piece_makes_no_later_gap_shorter(late_ms: int) -> None:
    first = [*steady(2.0), 2_000.0 + late_ms, *steady(0.18, 2_020 + late_ms // 20 * 20)]
    assert gaps_of(sorted(first) + steady(1.0, first[-1] + 420)) == [pytest.approx(400, abs=21)]


def test_a_slow_clock_of_the_senders_is_no_gap() -> None:
    assert not gaps_of(steady(60.0, every_ms=20.2))


# On the user's speech


class Heard(Talk):
    """A conversation whose audio arrives by the clock of the test."""

    def __init__(self) -> None:
        super().__init__()
        talk = self.talk
        self.audio = UserAudio(
            talk._stages, talk.participants, self._timer, lambda: self.ns, lambda: self.ns
        )
        talk.user_audio = talk.user._audio = self.audio
        self.audio.missing.is_expected = lambda: True
        self.audio.missing.start()
        self.missed: list[Stage] = []
        self.audio.missing.report = self.missed.append

    def joins(self, name: str) -> None:
        self.talk.participants.join(Who(name), self.ns, TRANSPORT)

    def sends(self, secs: float, *names: str | None) -> None:
        """Let audio come for so long."""
        sources = [self.audio.source((name,), name) for name in names or (None,)]
        for _ in range(round(secs * 50)):
            for source in sources:
                source.arrive(self.ns, PIECE_MS * MS)
                if self.audio.is_speaking:
                    source.add_level(self.ns, 100.0 * 3_276.8**2, 10, 100)
            self.wait(0.02)

    def starts(self) -> None:
        self.talk.user.start_speaking(self.ns, "vad")
        self.talk.user.start_turn(self.ns)

    def stops(self, before: float = 0.0) -> None:
        self.talk.user.stop_speaking(self.ns - int(before * 1e9))

    def speech(self) -> Stage:
        self.ends()
        return self.one("user_speech")


def gap_secs(speech: Stage) -> object:
    return speech.attributes.get("user_audio.gap_seconds")


def test_a_gap_is_on_the_speech_that_it_interrupted() -> None:
    heard = Heard()
    heard.sends(1.0)
    heard.wait(0.5)  # not within the speech
    heard.sends(1.0)
    heard.starts()
    heard.sends(1.0)
    heard.wait(0.4)
    heard.sends(0.5)
    heard.wait(0.2)
    heard.sends(0.5)
    heard.stops()
    heard.wait(0.3)
    heard.sends(1.0)
    speech = heard.speech()
    assert speech.attributes["user_audio.gap_count"] == 2
    assert gap_secs(speech) == pytest.approx(0.6)
    assert speech.attributes["user_audio.longest_gap_seconds"] == pytest.approx(0.4)
    assert speech.attributes["user_audio.gaps"] == "1.000+0.400 1.900+0.200"
    assert speech.attributes["user_audio.level_dbfs"] == -20.0
    assert speech.attributes["user_audio.clipped_fraction"] == 0.1


def test_of_many_gaps_the_first_have_a_place_and_all_are_counted() -> None:
    heard = Heard()
    heard.starts()
    for _ in range(50):
        heard.sends(0.3)
        heard.wait(0.1)
    heard.sends(0.3)
    heard.stops()
    speech = heard.speech()
    assert speech.attributes["user_audio.gap_count"] == 50
    places = str(speech.attributes["user_audio.gaps"]).split()
    assert len(places) == 20
    assert places[:2] == ["0.300+0.100", "0.700+0.100"]


@pytest.mark.parametrize("gone_secs", [1.5, 4.0])
def test_a_gap_in_which_the_speech_is_ended_is_measured_when_audio_comes_back(
    gone_secs: float,
) -> None:
    heard = Heard()
    heard.starts()
    heard.sends(2.0)
    heard.wait(1.0)
    heard.stops(before=0.2)  # as Pipecat does after a second without audio
    heard.wait(gone_secs - 1.0)
    heard.sends(0.1)
    heard.talk.user.start_speaking(heard.ns - 200 * MS, "vad")
    heard.sends(1.0)
    heard.stops()
    heard.ends()
    first, second = heard.all("user_speech")
    assert gap_secs(first) == pytest.approx(gone_secs)
    assert first.attributes["user_audio.gaps"] == f"2.000+{gone_secs:.3f}"
    assert "user_audio.gaps" not in second.attributes
    assert gap_secs(second) is None, "it is not on the next speech, too"
    assert second.attributes["user_audio.gap_count"] == 0


@pytest.mark.parametrize("answer_secs", [0.5, 4.0, None])
def test_a_client_that_sends_only_while_a_key_is_held_has_no_gaps(
    answer_secs: float | None,
) -> None:
    heard = Heard()
    for _ in range(3):
        heard.starts()
        heard.sends(2.0)
        heard.wait(1.0)
        heard.stops(before=0.2)
        heard.user_turn_ends()
        heard.wait(1.0)
        if answer_secs is None:
            heard.wait(5.0)
        else:
            heard.answers(answer_secs)
    heard.sends(1.0)
    heard.ends()
    assert [s.attributes["user_audio.gap_count"] for s in heard.all("user_speech")] == [0, 0, 0]


@pytest.mark.parametrize(
    ("began", "ended", "count"),
    [(1.0, 1.39, 0), (0.9, 1.35, 0), (1.05, 1.2, 1), (0.5, 0.9, 1)],
    ids=["all of it", "until just before", "earlier in the gap", "before the gap"],
)
def test_audio_that_a_blocked_loop_did_not_read_was_not_late(
    began: float, ended: float, count: int
) -> None:
    heard = Heard()
    stood = (heard.at(began), heard.at(ended))
    heard.audio.was_loop_blocked_between = lambda start_ns, end_ns: (
        start_ns < stood[1] and stood[0] < end_ns
    )
    heard.starts()
    heard.sends(1.0)
    heard.wait(0.4)
    heard.sends(1.0)
    heard.stops()
    assert heard.speech().attributes["user_audio.gap_count"] == count


def test_the_gaps_of_several_participants_are_never_mixed() -> None:
    heard = Heard()
    heard.joins("ann")
    heard.joins("bob")
    heard.sends(1.0, "ann", "bob")
    heard.starts()
    for _ in range(5):  # each is late in turn, for nobody knows whom
        heard.sends(0.4, "ann")
        heard.sends(0.4, "bob")
    heard.stops()
    facts = heard.speech().attributes
    assert not [name for name in facts if name.startswith("user_audio.")]


def test_the_only_one_who_sends_is_the_one_who_speaks() -> None:
    heard = Heard()
    heard.joins("ann")
    heard.joins("bob")
    heard.starts()
    heard.sends(1.0, "ann")
    heard.wait(0.3)
    heard.sends(1.0, "ann")
    heard.stops()
    assert gap_secs(heard.speech()) == pytest.approx(0.3)


# Audio that never comes


def test_a_participant_whose_audio_never_comes_is_reported_once() -> None:
    heard = Heard()
    heard.wait(3.0)
    heard.joins("ann")
    heard.wait(9.9)
    assert not heard.missed
    heard.wait(60.0)
    (event,) = heard.missed
    assert event.resource == "user_audio_missing"
    assert event.participant_id == "ann"
    assert event.start_ns == heard.at(13.0)
    heard.ends()
    assert heard.session.root.attributes["session.no_user_audio_count"] == 1


def test_several_without_audio_are_one_report_of_no_participant() -> None:
    heard = Heard()
    for name in ("ann", "bob", "eve"):
        heard.joins(name)
        heard.wait(1.0)
    heard.wait(60.0)
    (event,) = heard.missed
    assert event.participant_id is None


@pytest.mark.parametrize(
    "what", ["sent once", "another is heard", "left", "types", "text bot", "not started"]
)
def test_what_is_no_fault_is_not_reported(what: str) -> None:
    heard = Heard()
    if what == "text bot":
        heard.audio.missing.is_expected = lambda: False
    if what == "not started":
        heard.audio.missing._started_ns = 0
    heard.joins("ann")
    heard.wait(5.0)
    if what == "sent once":
        heard.sends(0.1)
    elif what == "another is heard":
        heard.sends(0.1, "bob")
    elif what == "types":
        heard.talk.user.note_message(heard.ns)
    elif what == "left":
        heard.talk.participants.leave("ann", heard.ns, TRANSPORT, "left")
    heard.wait(60.0)
    assert not heard.missed


def test_a_slow_start_is_waited_for() -> None:
    heard = Heard()
    heard.audio.missing._started_ns = 0
    heard.joins("ann")
    heard.wait(25.0)
    heard.audio.missing.start()
    heard.wait(9.0)
    assert not heard.missed
    heard.wait(20.0)
    assert len(heard.missed) == 1

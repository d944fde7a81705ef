"""What the user said, and where it belongs."""

import pytest

from pipecat_dd.conversation.model import Role, Service
from pipecat_dd.conversation.speech_segments import Cause
from tests.conversation.talk import Talk


def test_a_user_who_pauses_has_one_speech_and_one_transcription_for_each_stretch() -> None:
    talk = Talk()
    talk.user_speaks()
    talk.wait(0.3)
    talk.transcribed()
    talk.wait(0.2)
    talk.user_speaks(ruled=False)
    talk.wait(0.3)
    talk.transcribed()
    talk.user_turn_ends()
    talk.answers()
    talk.ends()
    turn = talk.one("turn")
    speeches, transcriptions = talk.all("user_speech"), talk.all("stt")
    assert len(speeches) == len(transcriptions) == 2
    assert {stage.parent for stage in (*speeches, *transcriptions)} == {turn}
    for transcription in transcriptions:
        waited = transcription.attributes["stt.finalization_seconds"]
        assert waited == pytest.approx(0.3, abs=0.01)


def test_a_transcription_that_comes_in_the_next_stretch_is_of_the_one_before() -> None:
    talk = Talk()
    talk.user_speaks()
    talk.wait(0.2)
    talk.talk.user.start_speaking(talk.ns, "vad")
    talk.wait(0.1)
    first = talk.transcribed()
    talk.wait(0.5)
    talk.talk.user.stop_speaking(talk.ns)
    second = talk.transcribed()
    talk.user_turn_ends()
    talk.ends()
    assert [first, second] == talk.all("stt")
    assert first.end_ns is not None
    assert second.start_ns < first.end_ns


def test_a_cough_is_speech_without_transcription() -> None:
    talk = Talk()
    talk.user_speaks(0.2, ruled=False)
    talk.wait(10)
    talk.ends()
    assert talk.one("user_speech").parent is talk.session.root
    assert not talk.all("stt")
    assert not talk.all("turn")


def test_a_cough_that_a_request_was_made_for_keeps_what_the_request_is_part_of() -> None:
    talk = Talk()
    talk.user_speaks(0.2, ruled=False)
    transcribing = talk.stt.stage
    assert transcribing is not None
    talk.listener.referred.add(transcribing)
    talk.ends()
    assert talk.all("stt") == [transcribing]


def test_what_comes_after_a_stretch_of_which_nothing_came_is_not_its_transcription() -> None:
    talk = Talk()
    user = talk.talk.user
    talk.user_speaks(0.2)
    user.end_segment(talk.stt, user.answer_count(talk.stt), talk.ns)
    talk.wait(20)
    talk.user_speaks(1.0)
    before = user.answer_count(talk.stt)
    talk.wait(0.1)
    talk.transcribed()
    user.end_segment(talk.stt, before, talk.ns)
    talk.ends()
    (stt,) = talk.all("stt")
    assert stt.start_ns == talk.all("user_speech")[1].start_ns
    assert stt.attributes["stt.finalization_seconds"] < 1


def test_a_cough_during_the_answer_belongs_to_its_turn() -> None:
    talk = Talk()
    talk.user_asks()
    talk.responds()
    talk.synthesizes()
    talk.speaks()
    talk.user_speaks(0.2, ruled=False)
    talk.wait(6)
    talk.falls_silent()
    talk.ends()
    assert talk.all("user_speech")[1].parent is talk.one("turn")


def test_speech_that_the_transcription_makes_a_turn_begins_it() -> None:
    talk = Talk()
    talk.wait(1)
    talk.user_speaks(ruled=False)
    talk.wait(0.3)
    talk.transcribed()
    talk.talk.user.start_turn(talk.ns)
    talk.user_turn_ends()
    talk.answers()
    talk.ends()
    turn = talk.one("turn")
    assert turn.start_ns == talk.at(1)
    assert talk.one("user_speech").parent is turn
    assert talk.one("stt").parent is turn


def test_without_a_detector_the_first_interim_transcription_is_where_it_begins() -> None:
    talk = Talk()
    talk.wait(1)
    talk.talk.user.note_interim(talk.stt, talk.ns)
    talk.talk.user.start_turn(talk.ns)
    talk.wait(1)
    talk.talk.user.note_interim(talk.stt, talk.ns)
    talk.transcribed()
    talk.user_turn_ends()
    talk.answers()
    talk.ends()
    turn, stt = talk.one("turn"), talk.one("stt")
    assert stt.parent is turn
    assert turn.start_ns == stt.start_ns == talk.at(1)
    assert stt.end_ns == talk.at(2)
    assert not talk.all("user_speech")


def test_several_transcriptions_of_one_stretch_are_one_stage() -> None:
    talk = Talk()
    talk.user_speaks()
    for _ in range(3):
        talk.wait(0.1)
        talk.transcribed()
    talk.user_turn_ends()
    talk.wait(0.1)
    talk.transcribed()
    last_ns = talk.ns
    talk.answers()
    talk.ends()
    assert talk.one("stt").end_ns == last_ns


def test_speech_announced_twice_is_heard_once() -> None:
    talk = Talk()
    for _ in range(2):
        talk.talk.user.start_speaking(talk.ns, "vad")
    talk.talk.user.start_turn(talk.ns)
    talk.wait(1)
    for _ in range(2):
        talk.talk.user.stop_speaking(talk.ns)
    talk.transcribed()
    talk.user_turn_ends()
    talk.ends()
    assert len(talk.all("user_speech")) == len(talk.all("stt")) == 1


def test_a_time_to_first_byte_that_comes_after_the_transcription_is_still_its_own() -> None:
    talk = Talk()
    talk.user_asks()
    talk.wait(2)
    talk.talk.record_figures("STT", {"metrics.ttfb": 0.2}, {})
    talk.answers()
    talk.ends()
    assert talk.one("stt").attributes["metrics.ttfb"] == 0.2


def test_an_interim_transcription_before_the_detector_is_sure_is_of_the_same_stretch() -> None:
    talk = Talk()
    talk.wait(1)
    began_ns = talk.ns
    talk.wait(0.15)
    talk.talk.user.note_interim(talk.stt, talk.ns)
    talk.talk.user.start_turn(talk.ns)
    talk.wait(0.05)
    talk.talk.user.start_speaking(began_ns, "vad")
    talk.wait(1)
    talk.talk.user.stop_speaking(talk.ns)
    talk.wait(0.2)
    talk.transcribed()
    talk.user_turn_ends()
    talk.answers()
    talk.ends()
    turn, speech, stt = talk.one("turn"), talk.one("user_speech"), talk.one("stt")
    assert turn.start_ns == speech.start_ns == stt.start_ns == began_ns
    assert speech.parent is stt.parent is turn


def test_a_user_whom_the_bot_prompted_and_who_went_on_is_ruled_from_their_last_silence() -> None:
    talk = Talk()
    talk.user_speaks()
    talk.transcribed()
    talk.wait(1)
    talk.answers(0.5)  # "Yes?", while the user's turn is still open
    talk.wait(1)
    talk.user_speaks(ruled=False)
    silent_ns = talk.ns
    talk.wait(0.3)
    talk.transcribed()
    talk.user_turn_ends()
    talk.ends()
    ruling = talk.one("end_of_turn")
    assert ruling.start_ns == silent_ns
    assert {stage.parent for stage in talk.all("user_speech")} == {talk.one("turn")}


def test_a_cough_while_the_bot_thinks_changes_nothing_about_the_wait() -> None:
    talk = Talk()
    talk.user_asks()
    talk.responds()
    talk.wait(0.2)
    talk.user_speaks(0.1, ruled=False)
    talk.wait(0.1)
    talk.synthesizes()
    talk.speaks()
    talk.ends()
    # From the end of the question: 0.3 until the ruling, and 0.4 since.
    latency = talk.one("turn").attributes["turn.user_bot_latency_seconds"]
    assert latency == pytest.approx(0.7, abs=0.01)


def test_a_streamed_cough_keeps_no_transcription_from_what_is_said_later() -> None:
    talk = Talk()
    talk.user_asks()
    talk.answers()
    talk.user_speaks(0.2)  # a cough that opened a turn, of which nothing comes
    talk.user_turn_ends()
    talk.wait(8)
    talk.user_speaks()
    talk.wait(0.2)
    stt = talk.transcribed()
    talk.user_turn_ends()
    talk.answers()
    talk.ends()
    assert stt.parent is talk.all("turn")[-1]
    assert stt.start_ns == talk.all("user_speech")[-1].start_ns
    assert len(talk.all("stt")) == 2


def test_an_interim_of_what_goes_on_is_not_of_the_cough_before_it() -> None:
    talk = Talk()
    talk.user_speaks(0.2, ruled=False)
    talk.wait(2)
    began_ns = talk.ns
    talk.talk.user.start_speaking(talk.ns, "vad")
    talk.wait(0.5)
    talk.talk.user.note_interim(talk.stt, talk.ns, 1)
    talk.talk.user.start_turn(talk.ns, Cause(1, is_words=True))
    talk.talk.user.stop_speaking(talk.ns)
    talk.transcribed()
    talk.user_turn_ends()
    talk.answers()
    talk.ends()
    turn = talk.one("turn")
    assert turn.start_ns == began_ns
    assert [stage.parent is turn for stage in talk.all("user_speech")] == [False, True]
    assert talk.one("stt").parent is turn


def test_a_transcription_is_sent_once_it_is_measured_and_not_only_with_its_turn() -> None:
    talk = Talk()
    talk.user_asks()
    talk.responds()
    talk.wait(1.5)
    assert not talk.all("stt")
    talk.talk.record_figures("STT", {"metrics.ttfb": 0.2}, {})
    assert talk.one("stt").attributes["metrics.ttfb"] == 0.2
    talk.ends()
    assert talk.one("stt").parent is talk.one("turn")


def test_words_may_follow_a_transcription_that_is_measured_at_once() -> None:
    talk = Talk()
    talk.user_asks()
    talk.talk.record_figures("STT", {"metrics.ttfb": 0.2}, {})
    talk.responds()
    talk.wait(0.5)
    assert not talk.all("stt")
    added = talk.transcribed()
    talk.wait(1.0)
    assert talk.all("stt") == [added]


def test_a_transcription_that_is_not_measured_is_sent_a_second_after_its_end() -> None:
    talk = Talk()
    talk.stt.service = lambda: Service("acme", "m1", first_byte_secs=0.0)
    talk.user_asks()
    talk.responds()
    talk.wait(1.0)
    assert talk.one("stt").end_ns == talk.at(1.4)


def test_a_transcription_whose_measurement_never_comes_is_sent_all_the_same() -> None:
    talk = Talk()
    talk.user_asks()
    talk.responds()
    talk.wait(3.1)
    assert "metrics.ttfb" not in talk.one("stt").attributes
    talk.talk.record_figures("STT", {"metrics.ttfb": 0.2}, {})
    talk.ends()
    assert len(talk.all("stt")) == 1


def test_words_may_follow_words_that_came_late() -> None:
    talk = Talk()
    talk.stt.service = lambda: Service("acme", "m1", first_byte_secs=0.0)
    talk.user_asks()
    talk.responds()
    for _ in range(3):
        talk.wait(0.8)
        talk.transcribed()
    last_ns = talk.ns
    assert not talk.all("stt")
    talk.wait(1.0)
    assert talk.one("stt").end_ns == last_ns
    talk.ends()
    assert len(talk.all("stt")) == 1


def test_words_may_follow_late_words_whose_measurement_comes_between() -> None:
    talk = Talk()
    talk.user_asks()
    talk.responds()
    talk.wait(0.8)
    talk.transcribed()
    talk.wait(0.5)
    talk.talk.record_figures("STT", {"metrics.ttfb": 0.2}, {})
    talk.wait(0.4)
    added = talk.transcribed()
    talk.wait(1.0)
    assert talk.all("stt") == [added]


def test_a_session_that_ends_with_no_event_loop_needs_no_timer_for_its_transcription() -> None:
    def no_loop(*_: object) -> None:
        raise RuntimeError("no running event loop")

    talk = Talk()
    talk.user_speaks()
    talk.transcribed()
    found = talk.talk.user.transcriptions
    ((_, segment),) = found.pending[talk.stt]
    found.begin(talk._processor("STT2", Role.STT), segment)  # its transcription never comes
    found._start_timer = no_loop  # type: ignore[assignment]
    talk.ends()
    assert [one.processor for one in talk.all("stt")] == [talk.stt]

"""A run of frames is sent soon after its last one, whether or not another frame comes."""

from tests.conversation.talk import SECOND, Talk


def passes(talk: Talk, count: int = 1, secs: float = 0.1) -> None:
    for _ in range(count):
        talk.talk.frames.passed(talk.tts or talk.llm, "TextFrame", None, talk.ns, talk.ns + 1_000)
        talk.wait(secs)


def test_a_run_ends_when_no_frame_has_come_for_a_second() -> None:
    talk = Talk()
    talk.user_asks()
    talk.responds()
    passes(talk, 5)
    last_ns = talk.ns - SECOND // 10 + 1_000
    talk.wait(0.8)
    assert not talk.all("frame")
    talk.wait(0.7)
    run = talk.one("frame")
    assert (run.attributes["frame.count"], run.end_ns) == (5, last_ns)
    talk.ends()
    assert run.parent is talk.one("turn")
    assert len(talk.all("frame")) == 1


def test_a_run_with_pauses_of_less_than_a_second_is_one() -> None:
    talk = Talk()
    passes(talk, 6, secs=0.95)
    talk.ends()
    assert talk.one("frame").attributes["frame.count"] == 6


def test_nothing_is_looked_for_when_no_run_is_in_progress() -> None:
    talk = Talk()
    passes(talk)
    talk.wait(3)
    assert not talk.alarms

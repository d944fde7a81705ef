"""Where turns begin and end, in the awkward cases as in the plain one."""

import pytest

from pipecat_dd import _guard
from pipecat_dd.conversation.model import Kind, Stage
from tests.conversation.talk import Talk


def outcomes(talk: Talk) -> list[object]:
    return [turn.attributes["turn.outcome"] for turn in talk.all("turn")]


def test_a_turn_ends_when_the_bot_fell_silent_and_is_told_after_the_timeout() -> None:
    talk = Talk(timeout_secs=2.5)
    talk.user_asks()
    talk.answers()
    silent_ns = talk.ns
    talk.wait(2.4)
    assert not talk.all("turn"), "the bot might go on"
    talk.wait(0.2)
    assert talk.one("turn").end_ns == silent_ns
    assert outcomes(talk) == ["answered"]


def test_a_turn_starts_where_the_speech_does_not_where_it_was_confirmed() -> None:
    talk = Talk()
    talk.wait(1)
    talk.user_asks()
    talk.answers()
    talk.ends()
    assert talk.one("turn").start_ns == talk.one("user_speech").start_ns == talk.at(1)


def test_a_slow_tool_never_ends_the_turn_before_the_answer() -> None:
    talk = Talk(timeout_secs=2.5)
    talk.user_asks()
    talk.responds()
    talk.talk.bot.tools_asked(talk.llm, talk.ns, ["call-1"])
    talk.talk.bot.tool_begins(talk.llm, talk.ns, "slow", "call-1")
    talk.response_ends()
    talk.wait(60)
    talk.talk.bot.tool_ends("call-1", talk.ns, "completed")
    talk.wait(1)
    talk.answers()
    talk.wait(3)
    turn = talk.one("turn")
    assert turn.attributes["turn.outcome"] == "answered"
    assert {stage.parent for stage in talk.all("llm")} == {turn}


def test_speech_that_the_model_answered_but_the_bot_has_not_begun_is_waited_for() -> None:
    talk = Talk(timeout_secs=0.5)
    talk.user_asks()
    talk.responds()
    talk.wait(0.2)
    talk.response_ends()
    talk.wait(3)  # a processor of the user's own works on the text
    talk.synthesizes()
    talk.speaks()
    talk.synthesized()
    talk.wait(1)
    talk.falls_silent()
    talk.wait(1)
    assert len(talk.all("turn")) == 1


def test_a_greeting_is_a_turn_of_the_bots() -> None:
    talk = Talk()
    talk.answers()
    talk.wait(3)
    turn = talk.one("turn")
    assert turn.resource == "bot"
    assert turn.attributes["turn.outcome"] == "answered"


def test_a_barge_in_interrupts_and_a_second_one_does_too() -> None:
    talk = Talk()
    talk.user_asks()
    for _ in range(2):
        talk.responds()
        talk.wait(0.3)
        talk.synthesizes()
        talk.speaks()
        talk.wait(0.5)
        talk.user_asks()
    talk.answers()
    talk.ends()
    assert outcomes(talk) == ["interrupted", "interrupted", "answered"]
    first, second, _ = talk.all("bot_speech")
    assert first.attributes["interrupted"] is True
    assert second.attributes["interrupted"] is True
    assert talk.one("session").attributes["session.interruption_count"] == 2


def test_the_users_turn_interrupts_nothing_when_the_bot_is_silent() -> None:
    talk = Talk()
    talk.user_asks()
    talk.answers()
    talk.wait(1)
    talk.user_asks()
    talk.answers()
    talk.ends()
    assert outcomes(talk) == ["answered", "answered"]


def test_a_user_who_goes_on_before_the_answer_was_not_answered() -> None:
    talk = Talk()
    talk.user_asks()
    talk.responds()
    talk.wait(0.1)
    talk.user_asks()
    talk.answers()
    talk.ends()
    assert outcomes(talk) == ["unanswered", "answered"]
    assert talk.all("llm")[0].attributes["interrupted"] is True
    assert "metrics.ttfb" not in talk.all("llm")[0].attributes, "no byte came"


def test_a_turn_that_goes_on_where_interruptions_are_off_was_not_interrupted() -> None:
    talk = Talk()
    talk.user_asks()
    talk.responds()
    talk.synthesizes()
    talk.speaks()
    talk.wait(0.5)
    talk.talk.user.start_speaking(talk.ns, "vad")
    talk.talk.user.start_turn(talk.ns)
    talk.wait(1)
    first = talk.one("turn")
    assert first.attributes["turn.was_interrupted"] is False
    talk.ends()


def test_a_message_that_interrupts_before_it_begins_its_turn_interrupts() -> None:
    talk = Talk()
    talk.user_asks()
    talk.responds()
    talk.synthesizes()
    talk.speaks()
    talk.wait(0.5)
    talk.interrupt()
    talk.wait(0.01)
    talk.talk.user.start_turn(talk.ns)
    talk.user_turn_ends()
    talk.answers()
    talk.ends()
    assert outcomes(talk) == ["interrupted", "answered"]


def test_an_interruption_of_the_bots_own_making_is_not_the_users() -> None:
    talk = Talk()
    talk.user_asks()
    talk.responds()
    talk.synthesizes()
    talk.speaks()
    talk.wait(0.5)
    talk.interrupt()
    talk.wait(5)
    assert talk.one("turn").attributes["turn.was_interrupted"] is False


def test_a_session_that_ends_in_mid_answer_ends_its_turn() -> None:
    talk = Talk()
    talk.user_asks()
    talk.responds()
    talk.synthesizes()
    talk.speaks()
    talk.wait(0.5)
    talk.ends()
    turn = talk.one("turn")
    assert turn.end_ns == talk.ns
    assert turn.attributes["turn.end_reason"] == "session_end"
    assert turn.attributes["turn.was_interrupted"] is False
    assert not talk.listener.open


def test_a_clean_end_completes_the_turn_where_the_bot_fell_silent() -> None:
    talk = Talk()
    talk.user_asks()
    talk.answers()
    silent_ns = talk.ns
    talk.wait(1)
    talk.ends()
    assert talk.one("turn").end_ns == silent_ns
    assert outcomes(talk) == ["answered"]


def test_text_without_a_voice_ends_the_turn_with_the_response() -> None:
    talk = Talk(voice=False)
    talk.talk.user.start_turn(talk.ns)
    talk.user_turn_ends()
    talk.responds()
    talk.wait(1)
    talk.response_ends()
    answered_ns = talk.ns
    talk.wait(3)
    turn = talk.one("turn")
    assert turn.end_ns == answered_ns
    assert turn.attributes["turn.outcome"] == "answered"


def test_the_wait_is_from_the_users_silence_to_the_bots_voice() -> None:
    talk = Talk()
    talk.user_speaks()
    talk.wait(0.3)
    talk.transcribed()
    talk.user_turn_ends()
    talk.answers()
    talk.ends()
    assert talk.one("turn").attributes["turn.user_bot_latency_seconds"] == pytest.approx(
        0.9, abs=0.01
    )


def test_a_turn_that_never_gets_an_answer_is_closed_with_the_session() -> None:
    talk = Talk()
    talk.user_asks()
    talk.wait(30)
    assert not talk.all("turn")
    talk.ends()
    assert outcomes(talk) == ["unanswered"]


def test_the_end_bears_being_told_twice() -> None:
    talk = Talk()
    talk.user_asks()
    talk.ends()
    talk.ends()
    assert len(talk.all("session")) == 1


def test_a_stage_that_cannot_be_told_does_not_keep_its_turn_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    talk = Talk()
    closed = talk.listener.on_close

    def closed_but_what_was_heard(stage: Stage) -> None:
        if stage.kind is Kind.STT:
            raise RuntimeError("failed to pack span")
        closed(stage)

    monkeypatch.setattr(talk.listener, "on_close", closed_but_what_was_heard)
    monkeypatch.setattr(_guard, "conversation", _guard.Part("a test's"))
    talk.user_asks()
    talk.answers()
    talk.wait(3)
    assert outcomes(talk) == ["answered"]
    assert _guard.conversation.failures == 1

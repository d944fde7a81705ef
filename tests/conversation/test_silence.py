"""Who spoke how long, and the silence in between, against a timeline drawn tick by tick."""

import math
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipecat_dd.conversation.model import Kind, Session, Stage
from pipecat_dd.conversation.participants import Transport, Who
from pipecat_dd.conversation.silence import Silence
from tests.conversation.talk import SECOND, Talk

LAST = 60
TRANSPORT = Transport("t", "Transport")

spans = st.lists(
    st.tuples(st.integers(0, LAST), st.integers(0, LAST)).map(lambda s: (min(s), max(s))),
    max_size=6,
)


def closed(kind: Kind, start: int, end: int, **attributes: str) -> Stage:
    session = Session("s", "bot")
    facts = {name.replace("__", "."): value for name, value in attributes.items()}
    return Stage(
        kind,
        session,
        session.root,
        "",
        start_ns=SECOND + start * SECOND,
        end_ns=SECOND + end * SECOND,
        attributes=dict(facts),
    )


@settings(deadline=None)
@given(spans, spans, spans, spans)
def test_each_second_is_the_users_the_bots_or_silent(
    user: list[tuple[int, int]],
    bot: list[tuple[int, int]],
    muted: list[tuple[int, int]],
    there: list[tuple[int, int]],
) -> None:
    silence = Silence()
    for kind, all_of in ((Kind.USER_SPEECH, user), (Kind.BOT_SPEECH, bot)):
        for start, end in all_of:
            silence.note_closed(closed(kind, start, end))
    for start, end in there:
        silence.note_opened(closed(Kind.PARTICIPANT, start, end))
        silence.note_closed(closed(Kind.PARTICIPANT, start, end))
    for start, end in muted:
        silence.mute(SECOND + start * SECOND)
        silence.unmute(SECOND + end * SECOND)
    silence.has_audio = True
    said = dict(silence.summary(SECOND, SECOND + LAST * SECOND))

    def ticks(all_of: list[tuple[int, int]]) -> set[int]:
        return {tick for start, end in all_of for tick in range(start, end)}

    first = min((start for start, _ in there), default=0)
    last = max((end for _, end in there), default=LAST)
    by_user, by_bot = ticks(user) - ticks(muted), ticks(bot)
    quiet = [tick not in by_user | by_bot for tick in range(first, last)]
    runs = "".join(" #"[is_quiet] for is_quiet in quiet).split()
    assert said["session.user_speech_seconds"] == len(by_user)
    assert said["session.bot_speech_seconds"] == len(by_bot)
    assert said["session.silence_seconds"] == sum(quiet)
    assert said.get("session.longest_silence_seconds", 0) == max(map(len, runs), default=0)
    later = min((tick for tick in by_bot if tick >= first), default=None)
    expected = None if later is None else later - first
    assert said.get("session.first_speech_seconds") == expected
    assert said.get("session.longest_silence_of") in (("user", "bot") if runs else (None,))
    assert said["session.longest_bot_silence_seconds"] in {0, *map(len, runs)}
    assert all(v >= 0 and math.isfinite(v) for v in said.values() if isinstance(v, float))


def story(*steps: Callable[[Talk], None]) -> dict[str, object]:
    talk = Talk()
    for step in steps:
        step(talk)
    talk.ends()
    return dict(talk.session.root.attributes)


def wait(secs: float) -> Callable[[Talk], None]:
    return lambda talk: talk.wait(secs)


def joins(talk: Talk) -> None:
    talk.talk.participants.join(Who("caller"), talk.ns, TRANSPORT)


def leaves(talk: Talk) -> None:
    talk.talk.participants.leave("caller", talk.ns, TRANSPORT, "hung_up")


def types(talk: Talk) -> None:
    talk.talk.user.note_message(talk.ns)


def pauses_and_goes_on(talk: Talk) -> None:
    talk.user_speaks(1.0)
    talk.wait(9.0)
    talk.user_speaks(1.0, ruled=False)
    talk.wait(0.2)
    talk.transcribed()
    talk.user_turn_ends()


def coughs(talk: Talk) -> None:
    talk.user_speaks(0.2, ruled=False)


def calls_a_tool(talk: Talk) -> None:
    talk.answers(1.0)
    stage = talk.responds()
    talk.wait(20.0)
    talk.responses.remove(stage)
    talk.talk.bot.end_response(stage, talk.ns)
    talk.answers(1.0)


ASKS, ANSWERS = Talk.user_asks, Talk.answers

SILENCES: dict[str, tuple[tuple[Callable[[Talk], None], ...], str, float]] = {
    "the answer is slow": ((joins, ASKS, wait(10.0), ANSWERS, wait(4.0)), "bot", 10.9),
    "the answer never comes": ((joins, ASKS, wait(30.0)), "bot", 30.3),
    "the user says hello again": ((joins, ASKS, wait(15.0), ASKS, ANSWERS), "bot", 15.3),
    "the user thinks": ((joins, ASKS, ANSWERS, wait(30.0), ASKS, ANSWERS), "user", 30.0),
    "the bot has to ask whether anybody is there": (
        (joins, ASKS, ANSWERS, wait(30.0), ANSWERS),
        "user",
        30.6,
    ),
    "the greeting is slow": ((joins, wait(8.0), ANSWERS, ASKS, ANSWERS), "bot", 8.6),
    "the user is to begin": ((joins, wait(8.0), ASKS, ANSWERS), "user", 8.0),
    "the user pauses in their turn": ((joins, pauses_and_goes_on, ANSWERS), "user", 9.0),
    "the user coughs meanwhile": (
        (joins, ASKS, ANSWERS, wait(9.0), coughs, wait(20.0)),
        "user",
        20,
    ),
    "the bot works on between two answers": ((joins, ASKS, calls_a_tool, wait(5.0)), "bot", 20.6),
    "what was typed is not answered": (
        (joins, ANSWERS, wait(1.0), types, wait(12.0)),
        "bot",
        13.0,
    ),
}


@pytest.mark.parametrize("name", SILENCES)
def test_a_silence_is_the_bots_if_it_owed_an_answer(name: str) -> None:
    steps, whose, secs = SILENCES[name]
    said = story(*steps)
    assert said["session.longest_silence_of"] == whose
    assert said["session.longest_silence_seconds"] == pytest.approx(secs, abs=0.01)
    if whose == "bot":
        assert said["session.longest_bot_silence_seconds"] == pytest.approx(secs, abs=0.01)


def test_a_user_who_thinks_does_not_hide_the_bots_silence() -> None:
    said = story(
        *(joins, ASKS, wait(10.0), ANSWERS, wait(40.0), ASKS, ANSWERS, wait(20.0), ASKS, ANSWERS)
    )
    assert said["session.longest_silence_of"] == "user"
    assert said["session.longest_silence_seconds"] == pytest.approx(40.0, abs=0.01)
    assert said["session.longest_bot_silence_seconds"] == pytest.approx(10.9, abs=0.01)


def test_a_bot_that_answers_at_once_has_no_long_silence() -> None:
    said = story(joins, wait(8.0), ASKS, ANSWERS, wait(30.0), leaves)
    assert said["session.longest_silence_of"] == "user"
    assert said["session.longest_bot_silence_seconds"] == pytest.approx(0.9, abs=0.01)


def test_an_hour_of_silences_is_summed_up_in_no_time() -> None:
    silence = Silence()
    for start in range(0, 20_000, 4):
        silence.note_closed(closed(Kind.TURN, start, start + 3, turn__outcome="answered"))
        silence.note_closed(closed(Kind.USER_SPEECH, start, start + 1))
        silence.note_closed(closed(Kind.BOT_SPEECH, start + 1, start + 3))
    before = time.process_time()
    said = dict(silence.summary(SECOND, SECOND + 20_000 * SECOND))
    assert said["session.longest_bot_silence_seconds"] == 0
    assert time.process_time() - before < 0.5


def test_the_first_speech_counts_from_the_first_join() -> None:
    said = story(wait(5.0), joins, wait(2.0), ANSWERS)
    assert said["session.first_speech_seconds"] == pytest.approx(2.6)
    said = story(wait(5.0), wait(2.0), ANSWERS)
    assert said["session.first_speech_seconds"] == pytest.approx(7.6), "no participant is reported"


def test_silence_ends_with_the_last_to_leave() -> None:
    said = story(joins, ASKS, ANSWERS, wait(3.0), leaves, wait(60.0))
    assert said["session.longest_silence_seconds"] == pytest.approx(3.0)


def test_a_session_without_audio_has_no_silence() -> None:
    talk = Talk(voice=False)
    talk.talk.user.note_message(talk.ns)
    talk.responds()
    talk.response_ends()
    talk.wait(10.0)
    talk.ends()
    names = [name for name in talk.session.root.attributes if "speech_seconds" in name]
    assert not names
    assert "session.silence_seconds" not in talk.session.root.attributes


def test_without_a_detector_it_is_not_known_how_long_the_user_spoke() -> None:
    talk = Talk()
    talk.transcribed()
    talk.talk.user.start_turn(talk.ns)
    talk.user_turn_ends()
    talk.answers(2.0)
    talk.ends()
    facts = talk.session.root.attributes
    assert facts["session.bot_speech_seconds"] == pytest.approx(2.0)
    assert "session.user_speech_seconds" not in facts
    assert "session.silence_seconds" not in facts

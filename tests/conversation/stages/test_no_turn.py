"""Speech that is no turn, and the turn that comes soon after: it begins at its own speech.

Every way in which Pipecat lets the user's speech pass: too few words, the user muted, no wake
phrase, a backchannel that was recognized as one. However soon the real turn comes, it is made of
the speech that it was opened for, and no two turns overlap.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from pipecat.frames import frames
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    Frame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    SystemFrame,
    TranscriptionFrame,
    TTSSpeakFrame,
    UserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.stt_service import STTService
from pipecat.turns.types import ProcessFrameResult
from pipecat.turns.user_mute import (
    AlwaysUserMuteStrategy,
    FirstSpeechUserMuteStrategy,
    MuteUntilFirstBotCompleteUserMuteStrategy,
)
from pipecat.turns.user_start import (
    BaseUserTurnStartStrategy,
    MinWordsUserTurnStartStrategy,
    TranscriptionUserTurnStartStrategy,
    WakePhraseUserTurnStartStrategy,
)
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies

from tests.support.agent import TestAgent
from tests.support.bot import RATE, START_SECS, Bot, Step
from tests.support.dialogue import (
    END,
    answered,
    ask,
    hold,
    pause,
    push,
    transcribed,
    until,
    user,
    user_begins,
    user_goes_on,
    user_stops,
)
from tests.support.shapes import Shaped, watching
from tests.support.spans import Span, Trace
from tests.support.versions import needs_pipecat

LONG = "It is a long story, and it takes its time, since there is so much to tell. " * 2

QUIET_SECS = 0.2
"""How soon after what was no turn the real one begins: far sooner than any window."""


# Bots


def opened_by(*start: BaseUserTurnStartStrategy, **user: Any) -> dict[str, Any]:
    """Return the options of a user aggregator whose turns these strategies open."""
    stop = SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=0.05)
    strategies = UserTurnStrategies(start=list(start) or None, stop=[stop])
    return {"user_turn_strategies": strategies, **user}


def by_three_words() -> dict[str, Any]:
    return opened_by(MinWordsUserTurnStartStrategy(min_words=3))


def muted_by(strategy: Callable[[], Any]) -> Callable[[], dict[str, Any]]:
    return lambda: opened_by(user_mute_strategies=[strategy()])


def by_the_wake_phrase() -> dict[str, Any]:
    wake = WakePhraseUserTurnStartStrategy(phrases=["hey robot"])
    return opened_by(wake, TranscriptionUserTurnStartStrategy())


class Loud(BaseUserTurnStartStrategy):
    """Opens a turn on audio of its own judgement, as Krisp's interruption prediction does."""

    async def process_frame(self, frame: Frame) -> ProcessFrameResult:
        if isinstance(frame, InputAudioRawFrame) and any(frame.audio):
            await self.trigger_user_turn_started()
            return ProcessFrameResult.STOP
        return ProcessFrameResult.CONTINUE


class Slow(BaseUserTurnStartStrategy):
    """Opens a turn some time after the words, in a task of its own, as one that asks a model."""

    async def process_frame(self, frame: Frame) -> ProcessFrameResult:
        if isinstance(frame, TranscriptionFrame) and len(frame.text.split()) > 2:
            self._task = asyncio.create_task(self._decide())
        return ProcessFrameResult.CONTINUE

    async def _decide(self) -> None:
        await asyncio.sleep(0.2)
        await self.trigger_user_turn_started()


class Heard(SystemFrame):
    """Something that is understood."""

    def __init__(self, text: str = "", *, interim: bool = False, backchannel: bool = False) -> None:
        super().__init__()
        self.text, self.interim, self.backchannel = text, interim, backchannel


class Ears(STTService):
    """Understands what it is told to."""

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        yield None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        if not isinstance(frame, Heard):
            await super().process_frame(frame, direction)
            return
        kind: Any = InterimTranscriptionFrame if frame.interim else TranscriptionFrame
        if frame.backchannel:
            kind = frames.UserBackchannelFrame
        await self.push_frame(kind(frame.text, "u", "now"))


def plain(bot: Shaped) -> list[FrameProcessor]:
    return [bot.make_stt(), bot.pair.user(), bot.make_llm(), bot.make_tts(), bot.output]


def with_ears(bot: Shaped) -> list[FrameProcessor]:
    return [Ears(), bot.pair.user(), bot.make_llm(), bot.make_tts(), bot.output]


# Steps


async def bot_begins(bot: Bot) -> None:
    """Have the bot begin a long speech; what the user says from here on began later."""
    await bot.push(TTSSpeakFrame(LONG))
    await bot.until(BotStartedSpeakingFrame)
    await asyncio.sleep(5 * START_SECS)


def words(text: str, **options: Any) -> Step:
    """Return a step: the ears understand something."""
    return push(Heard, text, **options)


UH_HUH = (user("Uh-huh", 0.1), transcribed(1))
ONLY_HEARD = (user_begins(), pause(0.1), user_stops)
"""Speech of which only the detector hears."""


async def held(
    agent: TestAgent,
    user: dict[str, Any],
    *steps: Step,
    shape: Callable[[Shaped], list[FrameProcessor]] = plain,
) -> Trace:
    """Hold a conversation in which the bot speaks first, and return its trace."""
    observer = watching()
    bot = Shaped(shape, observer, user=user)
    return await hold(agent, bot, observer, (bot_begins, *steps, END))


# Conversations that end with a turn of the user's own speech


def children(turn: Span, kind: str) -> list[Span]:
    return [child for child in turn.children if child.name == f"pipecat.{kind}"]


def check(trace: Trace, *, passed: int = 1, in_bots: int | None = None) -> None:
    """Check that the real turn is made of its own speech alone.

    Args:
        trace: The trace.
        passed: How many stretches of speech were no turn.
        in_bots: How many of them the bot's own turn has, if not all.
    """
    bots, users = trace.named("pipecat.turn")
    assert [bots.resource, users.resource] == ["bot", "user"]
    assert users["turn.outcome"] == "answered"
    (speech,) = children(users, "user_speech")
    assert speech is trace.named("pipecat.user_speech")[-1]
    assert users.start_ns == speech.start_ns
    (stt,) = children(users, "stt")
    assert stt.start_ns == speech.start_ns
    assert len(children(bots, "user_speech")) == (passed if in_bots is None else in_bots)
    assert len(trace.named("pipecat.user_speech")) == passed + 1
    (heard,) = children(users, "bot_speech")
    waited = (heard.start_ns - speech.end_ns) / 1e9
    assert users["turn.user_bot_latency_seconds"] == pytest.approx(waited, abs=0.001)


@dataclass(frozen=True)
class Conversation:
    """A conversation in which speech that is no turn comes before speech that is one.

    Attributes:
        name: What holds of it.
        user: Returns the options of the user aggregator: what opens turns, what mutes the user.
        steps: What happens once the bot speaks.
        passed: How many stretches of speech are no turn.
        in_bots: How many of them the bot's own turn has, if not all.
        shape: The processors.
    """

    name: str
    user: Callable[[], dict[str, Any]]
    steps: tuple[Step, ...]
    passed: int = 1
    in_bots: int | None = None
    shape: Callable[[Shaped], list[FrameProcessor]] = plain


ITS_OWN_VOICE = (
    *(user("It is a long story", 0.1), transcribed(1)),
    *(user("It is a long story", 0.1), transcribed(2)),
    answered(1),
    ask("I need an appointment"),
)

CONVERSATIONS = (
    Conversation(
        "a_backchannel_of_too_few_words",
        by_three_words,
        (
            *(user("Uh-huh"), transcribed(1), answered(1), pause(QUIET_SECS)),
            ask("I need an appointment"),
        ),
    ),
    Conversation("muted_always", muted_by(AlwaysUserMuteStrategy), ITS_OWN_VOICE, passed=2),
    Conversation("muted_at_first", muted_by(FirstSpeechUserMuteStrategy), ITS_OWN_VOICE, passed=2),
    Conversation(
        "muted_until_the_bot_has_spoken",
        muted_by(MuteUntilFirstBotCompleteUserMuteStrategy),
        ITS_OWN_VOICE,
        passed=2,
    ),
    Conversation(
        "talk_without_the_wake_phrase",
        by_the_wake_phrase,
        (
            *(answered(1), pause(5 * START_SECS)),
            *(user("What did he say", 0.1), transcribed(1)),
            *(user("I have no idea", 0.1), transcribed(2)),
            ask("Hey robot, what time is it?"),
        ),
        passed=2,
        in_bots=0,
    ),
    Conversation(
        "a_backchannel_before_a_turn_that_is_opened_on_the_audio",
        lambda: opened_by(Loud()),
        (
            *UH_HUH,
            *(user_begins("I need an appointment"), pause(0.05)),
            push(InputAudioRawFrame, b"\1\0" * (RATE // 10), RATE, 1),
            *(until(UserStartedSpeakingFrame), pause(0.1), user_stops, answered(2)),
        ),
    ),
    Conversation(
        "a_backchannel_before_a_strategy_that_decides_later",
        lambda: opened_by(Slow(), user_turn_stop_timeout=0.3),
        (*UH_HUH, ask("I need an appointment"), answered(2)),
    ),
    Conversation(
        "a_backchannel_that_is_known_as_one",
        lambda: opened_by(TranscriptionUserTurnStartStrategy()),
        (
            *(*ONLY_HEARD, until(VADUserStoppedSpeakingFrame), words("Uh-huh", backchannel=True)),
            *(*ONLY_HEARD, until(VADUserStoppedSpeakingFrame), words("I need an appointment")),
            answered(2),
        ),
        shape=with_ears,
    ),
)

NEEDS = {
    "a_backchannel_that_is_known_as_one": needs_pipecat(
        "1.14", "there are no frames for backchannels"
    )
}


@pytest.mark.parametrize(
    "conversation",
    [pytest.param(one, id=one.name, marks=NEEDS.get(one.name, ())) for one in CONVERSATIONS],
)
async def test_what_is_no_turn_is_in_no_later_one(
    agent: TestAgent, conversation: Conversation
) -> None:
    trace = await held(agent, conversation.user(), *conversation.steps, shape=conversation.shape)
    check(trace, passed=conversation.passed, in_bots=conversation.in_bots)


# Conversations that end otherwise


async def test_a_backchannel_right_before_a_barge_in_is_not_in_its_turn(agent: TestAgent) -> None:
    steps = (*UH_HUH, user("I need an appointment", 0.1), answered(2))
    trace = await held(agent, by_three_words(), *steps)

    check(trace)
    bots, users = trace.named("pipecat.turn")
    assert bots["turn.outcome"] == "interrupted"
    assert bots.end_ns == pytest.approx(users.start_ns, abs=1_000)


async def test_an_echo_whose_words_come_when_the_user_is_heard_again_is_in_no_turn(
    agent: TestAgent,
) -> None:
    """Pipecat takes such words for a turn of the user's; the echo was none."""
    user = opened_by(user_mute_strategies=[AlwaysUserMuteStrategy()])
    steps = (*ONLY_HEARD, answered(1), words("It is a long story"), answered(2))
    trace = await held(agent, user, *steps, shape=with_ears)

    bots, users = trace.named("pipecat.turn")
    (echo,) = trace.named("pipecat.user_speech")
    assert echo.parent is bots
    assert users.start_ns >= bots.end_ns - 1_000


async def test_who_speaks_on_when_they_are_heard_again_is_heard_from_there_on(
    agent: TestAgent,
) -> None:
    user = opened_by(user_mute_strategies=[AlwaysUserMuteStrategy()])
    begins = user_begins("But I need an appointment")
    steps = (begins, answered(1), user_goes_on(0.2), user_stops, answered(2))
    trace = await held(agent, user, *steps)

    bots, users = trace.named("pipecat.turn")
    (speech,) = trace.named("pipecat.user_speech")
    assert speech.parent is users
    assert users.start_ns == speech.start_ns >= bots.end_ns - 1_000
    assert speech.secs >= 0.1


@pytest.mark.parametrize("interims", [True, False])
async def test_without_a_detector_words_that_opened_no_turn_are_in_no_later_one(
    agent: TestAgent, interims: bool
) -> None:
    uh_huh: list[Step] = [words("Uh-huh"), transcribed(1), pause(QUIET_SECS)]
    appointment = [words("I need an appointment"), answered(2)]
    if interims:
        uh_huh.insert(0, words("Uh", interim=True))
        for text in ("I need an appointment", "I need", "I"):
            appointment = [words(text, interim=True), pause(0.05), *appointment]
    trace = await held(agent, by_three_words(), *uh_huh, *appointment, shape=with_ears)

    bots, users = trace.named("pipecat.turn")
    assert bots["turn.outcome"] == "interrupted"
    (passed,), (stt,) = children(bots, "stt"), children(users, "stt")
    assert passed.end_ns < stt.start_ns
    assert users.start_ns == stt.start_ns
    assert (stt.secs > 0.08) is interims


async def test_a_message_that_is_typed_after_a_backchannel_is_made_of_no_speech(
    agent: TestAgent,
) -> None:
    message = {"role": "user", "content": "I need an appointment"}
    typed = push(frames.LLMMessagesAppendFrame, [message], run_llm=True)
    trace = await held(agent, by_three_words(), *UH_HUH, answered(1), typed, answered(2))

    bots, users = trace.named("pipecat.turn")
    assert not children(users, "user_speech")
    assert len(children(bots, "user_speech")) == 1
    assert users.start_ns >= bots.end_ns - 1_000


@needs_pipecat("1.14", "there are no frames for backchannels")
async def test_the_bots_own_backchannel_is_no_turn_and_no_answer(agent: TestAgent) -> None:
    mm_hmm = push(frames.BotBackchannelFrame, "Mm-hmm.")
    observer = watching()
    steps = (
        *(mm_hmm, until(BotStoppedSpeakingFrame, 1)),  # with nobody's turn open
        *(user_begins("How are you?"), until(UserStartedSpeakingFrame)),
        *(mm_hmm, until(BotStoppedSpeakingFrame, 2)),
        *(user_goes_on(0.2), user_stops, answered(3), END),
    )
    trace = await hold(agent, Shaped(plain, observer, user=opened_by()), observer, steps)

    turn = trace.one("pipecat.turn")
    assert turn.resource == "user"
    assert turn["turn.outcome"] == "answered"
    first, second, answer = trace.named("pipecat.bot_speech")
    assert first.parent is trace.one("pipecat.session")
    assert second.parent is answer.parent is turn
    (speech,) = children(turn, "user_speech")
    assert second.start_ns < speech.end_ns < answer.start_ns
    waited = (answer.start_ns - speech.end_ns) / 1e9
    assert turn["turn.user_bot_latency_seconds"] == pytest.approx(waited, abs=0.001)
    assert turn["turn.wait.llm_seconds"] > 0.01

"""Speech that is no turn, and the turn that comes soon after: it begins at its own speech.

Every way in which Pipecat lets the user's speech pass: too few words, the user muted, no wake
phrase, a backchannel that was recognized as one. However soon the real turn comes, it is made of
the speech that it was opened for, and no two turns overlap.
"""

import asyncio
from collections.abc import AsyncGenerator
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
    VADUserStartedSpeakingFrame,
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

from pipecat_dd.cli.demo.provider import Say
from tests.stages.test_shapes import told
from tests.support.agent import TestAgent
from tests.support.bot import RATE, SILENCE, START_SECS, Bot
from tests.support.shapes import Shaped, watching
from tests.support.spans import Span, Trace
from tests.support.versions import needs_pipecat

LONG = "It is a long story, and it takes its time, since there is so much to tell. " * 2

QUIET_SECS = 0.2
"""How soon after what was no turn the real one begins: far sooner than any window."""


def opened_by(*start: BaseUserTurnStartStrategy, **user: Any) -> dict[str, Any]:
    stop = SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=0.05)
    strategies = UserTurnStrategies(start=list(start) or None, stop=[stop])
    return {"user_turn_strategies": strategies, **user}


def plain(bot: Shaped) -> list[FrameProcessor]:
    return [bot.make_stt(), bot.pair.user(), bot.make_llm(), bot.make_tts(), bot.output]


def a_storyteller(observer: Any, user: dict[str, Any], shape: Any = plain) -> Shaped:
    return Shaped(shape, observer, user=user, script=lambda messages, tools: Say("Fine."))


async def begins_to_speak(bot: Bot) -> None:
    await bot.push(TTSSpeakFrame(LONG))
    await bot.until(BotStartedSpeakingFrame)
    await asyncio.sleep(5 * START_SECS)


def children(turn: Span, kind: str) -> list[Span]:
    return [child for child in turn.children if child.name == f"pipecat.{kind}"]


def check(trace: Trace, *, passed: int = 1, in_bots: int | None = None) -> Span:
    """Check that the real turn is made of its own speech alone; return it.

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
    return users


async def test_a_backchannel_of_too_few_words_is_in_no_later_turn(agent: TestAgent) -> None:
    observer = watching()
    async with a_storyteller(
        observer, opened_by(MinWordsUserTurnStartStrategy(min_words=3))
    ) as bot:
        await begins_to_speak(bot)
        await bot.user_says("Uh-huh")
        await bot.until(TranscriptionFrame, 1)
        await bot.answered(1)
        await asyncio.sleep(QUIET_SECS)
        await bot.ask("I need an appointment")
        await bot.end()

    check(told(agent, observer))


async def test_a_backchannel_right_before_a_barge_in_is_not_in_its_turn(agent: TestAgent) -> None:
    observer = watching()
    async with a_storyteller(
        observer, opened_by(MinWordsUserTurnStartStrategy(min_words=3))
    ) as bot:
        await begins_to_speak(bot)
        await bot.user_says("Uh-huh", 0.1)
        await bot.until(TranscriptionFrame, 1)
        await bot.user_says("I need an appointment", 0.1)
        await bot.answered(2)
        await bot.end()

    trace = told(agent, observer)
    check(trace)
    bots, users = trace.named("pipecat.turn")
    assert bots["turn.outcome"] == "interrupted"
    assert bots.end_ns == pytest.approx(users.start_ns, abs=1_000)


@pytest.mark.parametrize(
    "strategy", [AlwaysUserMuteStrategy, FirstSpeechUserMuteStrategy, "until complete"]
)
async def test_what_is_heard_while_the_user_is_muted_is_in_no_later_turn(
    agent: TestAgent, strategy: Any
) -> None:
    if strategy == "until complete":
        strategy = MuteUntilFirstBotCompleteUserMuteStrategy
    observer = watching()
    async with a_storyteller(observer, opened_by(user_mute_strategies=[strategy()])) as bot:
        await begins_to_speak(bot)
        for times in (1, 2):
            await bot.user_says("It is a long story", 0.1)  # its own voice
            await bot.until(TranscriptionFrame, times)
        await bot.answered(1)
        await bot.ask("I need an appointment")
        await bot.end()

    check(told(agent, observer), passed=2)


async def test_an_echo_whose_words_come_when_the_user_is_heard_again_is_in_no_turn(
    agent: TestAgent,
) -> None:
    """Pipecat takes such words for a turn of the user's; the echo was none."""

    def shape(bot: Shaped) -> list[FrameProcessor]:
        return [Ears(), bot.pair.user(), bot.make_llm(), bot.make_tts(), bot.output]

    observer = watching()
    user = opened_by(user_mute_strategies=[AlwaysUserMuteStrategy()])
    async with a_storyteller(observer, user, shape) as bot:
        await begins_to_speak(bot)
        await bot.push(VADUserStartedSpeakingFrame(start_secs=START_SECS))
        await asyncio.sleep(0.1)
        await bot.push(VADUserStoppedSpeakingFrame(stop_secs=START_SECS))
        await bot.answered(1)
        await bot.push(Heard("It is a long story"))
        await bot.answered(2)
        await bot.end()

    trace = told(agent, observer)
    bots, users = trace.named("pipecat.turn")
    (echo,) = trace.named("pipecat.user_speech")
    assert echo.parent is bots
    assert users.start_ns >= bots.end_ns - 1_000


async def test_who_speaks_on_when_they_are_heard_again_is_heard_from_there_on(
    agent: TestAgent,
) -> None:
    observer = watching()
    async with a_storyteller(
        observer, opened_by(user_mute_strategies=[AlwaysUserMuteStrategy()])
    ) as bot:
        await begins_to_speak(bot)
        bot.provider.next_transcript = "But I need an appointment"
        await bot.push(VADUserStartedSpeakingFrame(start_secs=START_SECS))
        await bot.answered(1)
        for _ in range(10):
            await bot.push(InputAudioRawFrame(SILENCE, RATE, 1))
            await asyncio.sleep(0.02)
        await bot.push(VADUserStoppedSpeakingFrame(stop_secs=START_SECS))
        await bot.answered(2)
        await bot.end()

    trace = told(agent, observer)
    bots, users = trace.named("pipecat.turn")
    (speech,) = trace.named("pipecat.user_speech")
    assert speech.parent is users
    assert users.start_ns == speech.start_ns >= bots.end_ns - 1_000
    assert speech.secs >= 0.1


async def test_talk_without_the_wake_phrase_is_in_no_later_turn(agent: TestAgent) -> None:
    observer = watching()
    wake = WakePhraseUserTurnStartStrategy(phrases=["hey robot"])
    user = opened_by(wake, TranscriptionUserTurnStartStrategy())
    async with a_storyteller(observer, user) as bot:
        await begins_to_speak(bot)
        await bot.answered(1)
        await asyncio.sleep(5 * START_SECS)
        for times, text in enumerate(("What did he say", "I have no idea"), start=1):
            await bot.user_says(text, 0.1)
            await bot.until(TranscriptionFrame, times)
        await bot.ask("Hey robot, what time is it?")
        await bot.end()

    check(told(agent, observer), passed=2, in_bots=0)


class Loud(BaseUserTurnStartStrategy):
    """Opens a turn on audio of its own judgement, as Krisp's interruption prediction does."""

    async def process_frame(self, frame: Frame) -> ProcessFrameResult:
        if isinstance(frame, InputAudioRawFrame) and any(frame.audio):
            await self.trigger_user_turn_started()
            return ProcessFrameResult.STOP
        return ProcessFrameResult.CONTINUE


async def test_a_turn_that_is_opened_on_the_audio_is_made_of_the_speech_that_goes_on(
    agent: TestAgent,
) -> None:
    observer = watching()
    async with a_storyteller(observer, opened_by(Loud())) as bot:
        await begins_to_speak(bot)
        await bot.user_says("Uh-huh", 0.1)
        await bot.until(TranscriptionFrame, 1)
        bot.provider.next_transcript = "I need an appointment"
        await bot.push(VADUserStartedSpeakingFrame(start_secs=START_SECS))
        await asyncio.sleep(0.05)
        await bot.push(InputAudioRawFrame(b"\1\0" * (RATE // 10), RATE, 1))
        await bot.until(UserStartedSpeakingFrame)
        await asyncio.sleep(0.1)
        await bot.push(VADUserStoppedSpeakingFrame(stop_secs=START_SECS))
        await bot.answered(2)
        await bot.end()

    check(told(agent, observer))


class Slow(BaseUserTurnStartStrategy):
    """Opens a turn some time after the words, in a task of its own, as one that asks a model."""

    async def process_frame(self, frame: Frame) -> ProcessFrameResult:
        if isinstance(frame, TranscriptionFrame) and len(frame.text.split()) > 2:
            self._task = asyncio.create_task(self._decide())
        return ProcessFrameResult.CONTINUE

    async def _decide(self) -> None:
        await asyncio.sleep(0.2)
        await self.trigger_user_turn_started()


async def test_a_strategy_that_decides_later_opens_the_turn_for_the_last_words(
    agent: TestAgent,
) -> None:
    observer = watching()
    async with a_storyteller(observer, opened_by(Slow(), user_turn_stop_timeout=0.3)) as bot:
        await begins_to_speak(bot)
        await bot.user_says("Uh-huh", 0.1)
        await bot.until(TranscriptionFrame, 1)
        await bot.ask("I need an appointment")
        await bot.answered(2)
        await bot.end()

    check(told(agent, observer))


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


@pytest.mark.parametrize("interims", [True, False])
async def test_without_a_detector_words_that_opened_no_turn_are_in_no_later_one(
    agent: TestAgent, interims: bool
) -> None:
    def shape(bot: Shaped) -> list[FrameProcessor]:
        return [Ears(), bot.pair.user(), bot.make_llm(), bot.make_tts(), bot.output]

    observer = watching()
    user = opened_by(MinWordsUserTurnStartStrategy(min_words=3))
    async with a_storyteller(observer, user, shape) as bot:
        await begins_to_speak(bot)
        if interims:
            await bot.push(Heard("Uh", interim=True))
        await bot.push(Heard("Uh-huh"))
        await bot.until(TranscriptionFrame, 1)
        await asyncio.sleep(QUIET_SECS)
        words = ["I", "I need", "I need an appointment"]
        for text in words if interims else ():
            await bot.push(Heard(text, interim=True))
            await asyncio.sleep(0.05)
        await bot.push(Heard(words[-1]))
        await bot.answered(2)
        await bot.end()

    trace = told(agent, observer)
    bots, users = trace.named("pipecat.turn")
    assert bots["turn.outcome"] == "interrupted"
    (passed,), (stt,) = children(bots, "stt"), children(users, "stt")
    assert passed.end_ns < stt.start_ns
    assert users.start_ns == stt.start_ns
    assert (stt.secs > 0.08) is interims


@needs_pipecat("1.14", "there are no frames for backchannels")
async def test_a_backchannel_that_is_known_as_one_is_in_no_later_turn(agent: TestAgent) -> None:
    def shape(bot: Shaped) -> list[FrameProcessor]:
        return [Ears(), bot.pair.user(), bot.make_llm(), bot.make_tts(), bot.output]

    observer = watching()
    user = opened_by(TranscriptionUserTurnStartStrategy())
    async with a_storyteller(observer, user, shape) as bot:
        await begins_to_speak(bot)
        for text, is_one in (("Uh-huh", True), ("I need an appointment", False)):
            await bot.push(VADUserStartedSpeakingFrame(start_secs=START_SECS))
            await asyncio.sleep(0.1)
            await bot.push(VADUserStoppedSpeakingFrame(stop_secs=START_SECS))
            await bot.until(VADUserStoppedSpeakingFrame)
            await bot.push(Heard(text, backchannel=is_one))
        await bot.answered(2)
        await bot.end()

    check(told(agent, observer))


@needs_pipecat("1.14", "there are no frames for backchannels")
async def test_the_bots_own_backchannel_is_no_turn_and_no_answer(agent: TestAgent) -> None:
    observer = watching()
    async with a_storyteller(observer, opened_by()) as bot:
        await bot.push(frames.BotBackchannelFrame("Mm-hmm."))  # with nobody's turn open
        await bot.until(BotStoppedSpeakingFrame, 1)
        bot.provider.next_transcript = "How are you?"
        await bot.push(VADUserStartedSpeakingFrame(start_secs=START_SECS))
        await bot.until(UserStartedSpeakingFrame)
        await bot.push(frames.BotBackchannelFrame("Mm-hmm."))
        await bot.until(BotStoppedSpeakingFrame, 2)
        for _ in range(10):
            await bot.push(InputAudioRawFrame(SILENCE, RATE, 1))
            await asyncio.sleep(0.02)
        await bot.push(VADUserStoppedSpeakingFrame(stop_secs=START_SECS))
        await bot.answered(3)
        await bot.end()

    trace = told(agent, observer)
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


async def test_a_message_that_is_typed_after_a_backchannel_is_made_of_no_speech(
    agent: TestAgent,
) -> None:
    observer = watching()
    async with a_storyteller(
        observer, opened_by(MinWordsUserTurnStartStrategy(min_words=3))
    ) as bot:
        await begins_to_speak(bot)
        await bot.user_says("Uh-huh", 0.1)
        await bot.until(TranscriptionFrame, 1)
        await bot.answered(1)
        message = {"role": "user", "content": "I need an appointment"}
        await bot.push(frames.LLMMessagesAppendFrame([message], run_llm=True))
        await bot.answered(2)
        await bot.end()

    bots, users = told(agent, observer).named("pipecat.turn")
    assert not children(users, "user_speech")
    assert len(children(bots, "user_speech")) == 1
    assert users.start_ns >= bots.end_ns - 1_000

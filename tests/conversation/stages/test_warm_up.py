"""Speech that is synthesized with nobody to hear it is no turn."""

import asyncio
from typing import Any

from pipecat.frames.frames import (
    Frame,
    StartFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from pipecat_dd import DatadogObserver
from tests.support.agent import TestAgent
from tests.support.bot import Bot
from tests.support.shapes import Shaped, watching
from tests.support.spans import Trace


def told(agent: TestAgent, observer: DatadogObserver) -> Trace:
    trace = agent.session(observer.session_id)
    trace.check()
    return trace


def whole(agent: TestAgent, session_id: str) -> Trace | None:
    """Return a session's spans of all its traces, once the session's own is there."""
    spans = [s for s in agent.spans() if (s.get("meta") or {}).get("session_id") == session_id]
    is_over = any(span["name"] == "pipecat.session" for span in spans)
    return Trace(spans) if is_over else None


async def test_a_voice_that_is_warmed_up_is_no_turn(agent: TestAgent) -> None:
    observer = watching()
    async with Bot(observer) as bot:
        before = bot.provider.count("speech")
        async for _ in bot.tts.run_tts("Warm up.", "warm-1"):
            pass
        assert bot.provider.count("speech") == before + 1
        await bot.ask("How are you?")
        async for _ in bot.tts.run_tts("And again.", "warm-2"):
            pass
        await bot.end()

    trace = told(agent, observer)
    turn = trace.one("pipecat.turn")
    assert turn.resource == "user"
    tts = trace.one("pipecat.tts")
    assert tts.parent is turn
    assert trace.one("pipecat.session")["session.turn_count"] == 1


class Recorder(FrameProcessor):
    """Has the voice say something before anything else, and keeps it for later."""

    def __init__(self, *texts: str) -> None:
        super().__init__()
        self.texts = list(texts)
        self.recording = False

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, StartFrame):
            await self.push_frame(frame, direction)
            self.recording = True
            await self.next_text()
        elif self.recording and isinstance(frame, (TTSStartedFrame, TTSAudioRawFrame)):
            pass
        elif self.recording and isinstance(frame, TTSStoppedFrame):
            await self.next_text()
        else:
            await self.push_frame(frame, direction)

    async def next_text(self) -> None:
        if self.texts:
            speak = TTSSpeakFrame(self.texts.pop(0))
            await self.push_frame(speak, FrameDirection.UPSTREAM)
        else:
            self.recording = False


def recording(*observers: Any) -> Shaped:
    recorder = Recorder("Mhm.", "I see.")

    def shape(bot: Shaped) -> list[FrameProcessor]:
        ears = [bot.make_stt(), bot.pair.user(), bot.make_llm()]
        return [*ears, bot.make_tts(), recorder, bot.output, bot.pair.assistant()]

    return Shaped(shape, *observers)


async def test_speech_that_is_recorded_and_kept_is_no_turn(agent: TestAgent) -> None:
    observer = watching()
    async with recording(observer) as bot:
        await bot.until(TTSStoppedFrame, 2)
        await bot.ask("How are you?")
        await bot.end()

    trace = told(agent, observer)
    turn = trace.one("pipecat.turn")
    assert (turn.resource, turn["turn.number"]) == ("user", 1)
    first, second, third = trace.named("pipecat.tts")
    assert [tts.parent.name for tts in (first, second, third) if tts.parent] == [
        "pipecat.session",
        "pipecat.session",
        "pipecat.turn",
    ]
    assert trace.one("pipecat.session")["session.bot_speech_count"] == 1


async def test_a_greeting_after_that_is_a_turn_of_its_own(agent: TestAgent) -> None:
    for scope in ("session", "turn"):
        observer = watching(trace_scope=scope)
        async with recording(observer) as bot:
            await bot.until(TTSStoppedFrame, 2)
            await bot.push(TTSSpeakFrame("Welcome."))
            await bot.answered()
            await bot.end()

        trace = agent.wait(lambda of=observer.session_id: whole(agent, of))
        turn = trace.one("pipecat.turn")
        assert (turn.resource, turn["turn.number"]) == ("bot", 1)
        assert turn["turn.outcome"] == "answered"
        first, second, welcome = trace.named("pipecat.tts")
        assert welcome.parent is turn
        assert turn not in (first.parent, second.parent)
        assert turn.start_ns >= second.end_ns
        speech = trace.one("pipecat.bot_speech")
        assert speech.parent is turn


class Player(FrameProcessor):
    """Has a voice say something of its own, and plays that itself."""

    def __init__(self) -> None:
        super().__init__()
        self.tts: Any = None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)

    async def play(self, text: str) -> None:
        async for frame in self.tts.run_tts(text, "played"):
            if isinstance(frame, TTSAudioRawFrame):
                await self.push_frame(frame)
        await self.push_frame(TTSStoppedFrame(context_id="played"))


async def test_what_something_else_has_synthesized_and_plays_is_a_turn_all_the_same(
    agent: TestAgent,
) -> None:
    player = Player()

    def shape(bot: Shaped) -> list[FrameProcessor]:
        player.tts = bot.make_tts()
        ears = [bot.make_stt(), bot.pair.user(), bot.make_llm()]
        return [*ears, player.tts, player, bot.output, bot.pair.assistant()]

    observer = watching()
    async with Shaped(shape, observer) as bot:
        await asyncio.sleep(0.1)
        await player.play("Mhm.")
        await bot.answered()
        await bot.end()

    trace = told(agent, observer)
    turn = trace.one("pipecat.turn")
    assert turn.resource == "bot"
    tts = trace.one("pipecat.tts")
    assert tts.parent is turn
    assert tts["tts.audio_seconds"] > 0
    assert trace.one("pipecat.bot_speech").parent is turn


async def test_a_greeting_that_nobody_hears_since_the_voice_fails_is_a_failed_turn(
    agent: TestAgent,
) -> None:
    from pipecat.frames.frames import ErrorFrame

    observer = watching()
    async with Bot(observer) as bot:
        bot.provider.fail("speech", status=500, times=3)
        await bot.push(TTSSpeakFrame("Welcome."))
        await bot.until(ErrorFrame)
        await bot.end()

    turn = told(agent, observer).one("pipecat.turn")
    assert (turn.resource, turn["turn.outcome"]) == ("bot", "failed")

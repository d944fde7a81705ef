"""Turns as they are in real life, on real pipelines, each trace compared as a whole.

What a turn is made of is tested without a pipeline in ``tests/conversation``; here is what Pipecat
makes of the same situations, which is where others get them wrong.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    Frame,
    InterimTranscriptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMMessagesAppendFrame,
    SystemFrame,
    TranscriptionFrame,
    TTSSpeakFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.llm_service import FunctionCallParams
from pipecat.services.stt_service import STTService
from pipecat.turns.user_mute import AlwaysUserMuteStrategy
from pipecat.turns.user_start import MinWordsUserTurnStartStrategy
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies

from pipecat_dd.cli.demo.provider import Say
from tests.stages.test_shapes import told
from tests.stages.test_tools import bot_with
from tests.support.agent import TestAgent
from tests.support.bot import START_SECS, Bot
from tests.support.shapes import Shaped, watching
from tests.support.spans import Span
from tests.support.trees import stages, tree

LONG = "It is a long story, and it takes its time, since there is so much to tell. " * 4
TAGS = ("llm.outcome", "tool.outcome", "turn.outcome")
STT = "stt [OpenAISTTService gpt-transcribe]"
END = "end_of_turn [SpeechTimeoutUserTurnStopStrategy]"
LLM = "llm [OpenAILLMService gpt-4.1]"
TTS = "tts [OpenAITTSService gpt-4o-mini-tts]"


def of_pipecat(span: Span) -> bool:
    return stages(span) and span.name.startswith("pipecat.")


def check(agent: TestAgent, observer: Any, expected: str, **session: float | str) -> None:
    """Compare a session's trace with what it should be."""
    trace = told(agent, observer)
    names = {"STT": STT, "END": END, "LLM": LLM, "TTS": TTS}
    lines = [line.removeprefix("        ") for line in expected.strip("\n").splitlines()]
    wanted = "\n".join(
        line.replace(word, names[word], 1)
        if (word := line.strip().split(" ")[0]) in names
        else line
        for line in lines
    ).rstrip()
    assert tree(trace, of_pipecat, TAGS) == wanted
    root = trace.one("pipecat.session")
    assert {name: root[f"session.{name}"] for name in session} == session


async def in_its_answer(bot: Bot, times: int, what: type[Frame]) -> None:
    """Wait until something is seen after the so-many-th response has begun."""

    def is_seen() -> bool:
        kinds = [type(frame) for frame in bot.watch.seen]
        begun = [i for i, kind in enumerate(kinds) if kind is LLMFullResponseStartFrame]
        return len(begun) >= times and what in kinds[begun[times - 1] :]

    await bot.watch.until(is_seen)


async def is_heard(bot: Bot, times: int) -> None:
    """Wait until the bot is in the midst of speaking its so-many-th response."""
    await in_its_answer(bot, times, BotStartedSpeakingFrame)
    await asyncio.sleep(5 * START_SECS)  # what the user says from here on began later


def a_storyteller(observer: Any, **options: Any) -> Bot:
    return Bot(observer, script=lambda messages, tools: Say(LONG), **options)


async def test_a_second_barge_in_while_the_first_is_answered(agent: TestAgent) -> None:
    observer = watching()
    async with a_storyteller(observer) as bot:
        await bot.user_says("Tell me a story")
        await is_heard(bot, 1)
        await bot.user_says("Another one")
        await is_heard(bot, 2)
        bot.answer = Say("Fine.")
        await bot.user_says("No, stop")
        await in_its_answer(bot, 3, BotStoppedSpeakingFrame)
        await bot.end()

    check(
        agent,
        observer,
        """
        session [bot]
          turn [user] outcome:interrupted
            user_speech [vad]
            STT
            END
            LLM ~ outcome:interrupted
            TTS ~
            bot_speech [bot] ~
          turn [user] outcome:interrupted
            user_speech [vad]
            STT
            END
            LLM ~ outcome:interrupted
            TTS ~
            bot_speech [bot] ~
          turn [user] outcome:answered
            user_speech [vad]
            STT
            END
            LLM outcome:completed
            TTS
            bot_speech [bot]
        """,
        interruption_count=2,
        turn_count=3,
        bot_speech_count=3,
        error_count=0,
    )


def patient(seconds: float) -> dict[str, Any]:
    """Return the options of a user aggregator that waits so long for the user to go on."""
    stop = SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=seconds)
    return {"user_turn_strategies": UserTurnStrategies(stop=[stop])}


def plain(bot: Shaped) -> list[FrameProcessor]:
    return [bot.make_stt(), bot.pair.user(), bot.make_llm(), bot.make_tts(), bot.output]


async def test_a_user_who_pauses_in_a_sentence_has_one_turn(agent: TestAgent) -> None:
    observer = watching()
    async with Shaped(plain, observer, user=patient(0.6)) as bot:
        await bot.user_says("I would like")
        await bot.until(TranscriptionFrame, 1)
        await bot.user_says("a table for two")
        await bot.answered()
        await bot.end()

    check(
        agent,
        observer,
        """
        session [bot]
          turn [user] outcome:answered
            user_speech [vad]
            STT
            user_speech [vad]
            STT
            END
            LLM outcome:completed
            TTS
            bot_speech [bot]
        """,
        turn_count=1,
        interruption_count=0,
    )


async def test_a_tool_that_takes_longer_than_the_turns_timeout_is_waited_for(
    agent: TestAgent,
) -> None:
    silent = asyncio.Event()

    async def slow(params: FunctionCallParams) -> None:
        bot.answer = Say("It is done.")
        await params.llm.push_frame(TTSSpeakFrame("One moment."))
        await silent.wait()
        await asyncio.sleep(0.6)
        await params.result_callback({"done": True})

    observer = watching(turn_end_timeout_secs=0.2)
    async with bot_with(observer, {"slow": slow}) as bot:
        await bot.user_says("Do it")
        await bot.answered(1)
        silent.set()
        await bot.answered(2)
        await bot.end()

    check(
        agent,
        observer,
        """
        session [bot]
          turn [user] outcome:answered
            user_speech [vad]
            STT
            END
            LLM outcome:completed
              tool [slow] outcome:completed
            TTS
            bot_speech [bot]
            LLM outcome:completed
            TTS
            bot_speech [bot]
        """,
        turn_count=1,
        bot_speech_count=2,
    )


async def test_what_is_heard_while_the_user_is_muted_is_no_turn(agent: TestAgent) -> None:
    observer = watching()
    async with a_storyteller(
        observer, user={"user_mute_strategies": [AlwaysUserMuteStrategy()]}
    ) as bot:
        await bot.user_says("Tell me a story")
        await is_heard(bot, 1)
        await bot.user_says("It is a long story")  # its own voice
        await bot.until(TranscriptionFrame, 2)
        await bot.answered()
        await bot.end()

    check(
        agent,
        observer,
        """
        session [bot]
          turn [user] outcome:answered
            user_speech [vad]
            STT
            END
            LLM outcome:completed
            TTS
            bot_speech [bot]
            user_speech [vad]
            STT
        """,
        turn_count=1,
        interruption_count=0,
    )


def talked_over(words: int) -> dict[str, Any]:
    """Return the options of a user aggregator that lets nobody interrupt with less."""
    return {
        "user_turn_strategies": UserTurnStrategies(
            start=[MinWordsUserTurnStartStrategy(min_words=words)],
            stop=[SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=0.05)],
        )
    }


async def test_a_backchannel_interrupts_nothing_and_is_part_of_the_answer_it_is_about(
    agent: TestAgent,
) -> None:
    observer = watching()
    async with Shaped(
        plain, observer, user=talked_over(3), script=lambda messages, tools: Say(LONG)
    ) as bot:
        await bot.user_says("Tell me a story")
        await is_heard(bot, 1)
        await bot.user_says("Uh-huh")
        await bot.until(TranscriptionFrame, 2)
        await bot.answered()
        await bot.end()

    check(
        agent,
        observer,
        """
        session [bot]
          turn [user] outcome:answered
            user_speech [vad]
            STT
            END
            LLM outcome:completed
            TTS
            bot_speech [bot]
            user_speech [vad]
            STT
        """,
        turn_count=1,
        interruption_count=0,
    )


async def test_a_cough_keeps_no_transcription_from_what_is_said_after_it(agent: TestAgent) -> None:
    observer = watching()
    async with Bot(observer) as bot:
        await bot.ask("How are you?")
        await bot.user_says("")  # nothing comes of it
        await bot.provider.requested("transcriptions", 2)
        await asyncio.sleep(0.5)
        await bot.ask("And now?")
        await bot.end()

    trace = told(agent, observer)
    cough, question = trace.named("pipecat.user_speech")[1:]
    assert cough.parent is question.parent
    spoken = [stt for stt in trace.named("pipecat.stt") if stt.get("stt.finalization_seconds")]
    assert len(spoken) == 2
    assert spoken[1].start_ns == question.start_ns
    assert spoken[1]["stt.finalization_seconds"] < 0.4
    assert all(
        stt.end_ns <= question.start_ns for stt in trace.named("pipecat.stt") if stt not in spoken
    )


@dataclass
class Spoken(SystemFrame):
    """Something that a user says."""

    text: str = ""


class HearingAids(STTService):
    """Transcribes what it is told to, with no voice activity detector to tell it of speech."""

    async def run_stt(self, audio: bytes) -> Any:
        yield None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        if isinstance(frame, Spoken):
            words = frame.text.split()
            for count in range(1, len(words)):
                interim = " ".join(words[:count])
                await self.push_frame(InterimTranscriptionFrame(interim, "u", "now"))
                await asyncio.sleep(0.01)
            await self.push_frame(TranscriptionFrame(frame.text, "u", "now"))
            return
        await super().process_frame(frame, direction)


async def test_without_a_detector_the_transcription_makes_the_turn(agent: TestAgent) -> None:
    def shape(bot: Shaped) -> list[FrameProcessor]:
        return [HearingAids(), bot.pair.user(), bot.make_llm(), bot.make_tts(), bot.output]

    observer = watching()
    async with Shaped(shape, observer) as bot:
        await bot.push(Spoken("How are you today"))
        await bot.answered()
        await bot.end()

    check(
        agent,
        observer,
        """
        session [bot]
          turn [user] outcome:answered
            stt [HearingAids]
            LLM outcome:completed
            TTS
            bot_speech [bot]
        """,
        turn_count=1,
    )


async def test_text_without_a_voice_is_a_turn_that_ends_with_the_answer(agent: TestAgent) -> None:
    def shape(bot: Shaped) -> list[FrameProcessor]:
        return [bot.pair.user(), bot.make_llm(), bot.pair.assistant()]

    observer = watching()
    async with Shaped(shape, observer) as bot:
        for times, text in enumerate(("How are you?", "And now?"), start=1):
            message = {"role": "user", "content": text}
            await bot.push(LLMMessagesAppendFrame([message], run_llm=True))
            await bot.until(LLMFullResponseEndFrame, times)
        await bot.end()

    check(
        agent,
        observer,
        """
        session [bot]
          turn [user] outcome:answered
            LLM outcome:completed
          turn [user] outcome:answered
            LLM outcome:completed
        """,
        turn_count=2,
        bot_speech_count=0,
        end_reason="ended",
    )


async def test_a_session_that_is_cancelled_in_mid_answer_ends_where_it_was_cut(
    agent: TestAgent,
) -> None:
    observer = watching()
    async with a_storyteller(observer) as bot:
        await bot.user_says("Tell me a story")
        await is_heard(bot, 1)
        await bot.worker.cancel()

    trace = told(agent, observer)
    turn, speech = trace.one("pipecat.turn"), trace.one("pipecat.bot_speech")
    root = trace.one("pipecat.session")
    assert root["session.end_reason"] == "cancelled"
    assert turn["turn.end_reason"] == "session_end"
    assert turn["turn.was_interrupted"] == "false"
    assert turn.end_ns <= root.end_ns
    assert speech.end_ns <= turn.end_ns
    assert not any(span.error for span in trace.spans if of_pipecat(span))


async def test_a_clean_end_completes_the_turn(agent: TestAgent) -> None:
    observer = watching()
    async with Bot(observer) as bot:
        await bot.user_says("Goodbye")
        await bot.until(BotStartedSpeakingFrame)
        await bot.end()

    check(
        agent,
        observer,
        """
        session [bot]
          turn [user] outcome:answered
            user_speech [vad]
            STT
            END
            LLM outcome:completed
            TTS
            bot_speech [bot]
        """,
        turn_count=1,
        interruption_count=0,
        end_reason="ended",
    )

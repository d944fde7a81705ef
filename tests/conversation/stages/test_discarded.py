"""What became of an answer is decided by what was heard of it."""

import asyncio
from typing import Any

from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    Frame,
    LLMConfigureOutputFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMRunFrame,
    LLMTextFrame,
    TextFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
)
from pipecat.pipeline.parallel_pipeline import ParallelPipeline
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.openai.llm import OpenAILLMService

from pipecat_dd import DatadogObserver
from pipecat_dd.cli.demo.provider import Say
from tests.support.agent import TestAgent
from tests.support.bot import QUICK, Bot
from tests.support.shapes import Shaped, watching
from tests.support.spans import Span, Trace
from tests.support.versions import needs_pipecat

OF_AN_ANSWER = (LLMFullResponseStartFrame, LLMTextFrame, LLMFullResponseEndFrame)


def told(agent: TestAgent, observer: DatadogObserver) -> Trace:
    trace = agent.session(observer.session_id)
    trace.check()
    return trace


def outcomes(trace: Trace) -> dict[str, str]:
    return {llm.resource.split()[-1]: llm["llm.outcome"] for llm in trace.named("pipecat.llm")}


def waits(turn: Span) -> dict[str, float]:
    return {
        name.removeprefix("turn.wait.").removesuffix("_seconds"): value
        for name, value in turn.tags.items()
        if name.startswith("turn.wait.")
    }


class Drop(FrameProcessor):
    """Drops frames of some classes, and passes on all others."""

    def __init__(self, *kinds: type[Frame]) -> None:
        super().__init__()
        self.kinds = kinds

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if not isinstance(frame, self.kinds):
            await self.push_frame(frame, direction)


class Late(FrameProcessor):
    """Lets an answer go on only after a while, which the others of its branch do not wait for."""

    def __init__(self, secs: float) -> None:
        super().__init__()
        self.secs = secs

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMFullResponseStartFrame):
            await asyncio.sleep(self.secs)
        await self.push_frame(frame, direction)


async def test_of_two_models_the_one_that_is_not_heard_is_discarded_and_waited_for_by_nobody(
    agent: TestAgent,
) -> None:
    def shape(bot: Shaped) -> list[FrameProcessor]:
        heard, dropped = bot.make_llm("heard"), bot.make_llm("dropped")
        return [
            bot.make_stt(),
            bot.pair.user(),
            ParallelPipeline([heard, Late(0.4)], [dropped, Drop(*OF_AN_ANSWER)]),
            bot.make_tts(),
            bot.output,
            bot.pair.assistant(),
        ]

    observer = watching()
    async with Shaped(shape, observer) as bot:
        await bot.ask("How are you?")
        await bot.end()

    trace = told(agent, observer)
    assert outcomes(trace) == {"heard": "completed", "dropped": "discarded"}
    turn = trace.one("pipecat.turn")
    assert turn["turn.outcome"] == "answered"
    parts = waits(turn)
    assert abs(sum(parts.values()) - turn["turn.user_bot_latency_seconds"]) < 0.001
    (heard,) = trace.named("pipecat.llm", "OpenAILLMService heard")
    assert parts["llm"] <= heard["metrics.ttfb"] + 0.05
    assert parts["aggregation"] > 0.3, "it was held up on its way to the voice"
    assert parts["tools"] == 0


async def test_an_answer_whose_audio_is_dropped_is_discarded_and_its_turn_has_no_latency(
    agent: TestAgent,
) -> None:
    def shape(bot: Shaped) -> list[FrameProcessor]:
        return [
            bot.make_stt(),
            bot.pair.user(),
            bot.make_llm(),
            bot.make_tts(),
            Drop(TTSAudioRawFrame),
            bot.output,
            bot.pair.assistant(),
        ]

    observer = watching()
    async with Shaped(shape, observer) as bot:
        await bot.user_says("How are you?")
        await bot.until(LLMFullResponseEndFrame)
        await bot.until(TTSAudioRawFrame)
        await bot.end()

    trace = told(agent, observer)
    assert trace.one("pipecat.llm")["llm.outcome"] == "discarded"
    turn = trace.one("pipecat.turn")
    assert turn["turn.outcome"] == "unanswered"
    assert "turn.user_bot_latency_seconds" not in turn.tags


class Rewrite(FrameProcessor):
    """Collects an answer, and has it said in frames of its own."""

    def __init__(self, make: Any) -> None:
        super().__init__()
        self.make = make
        self.text = ""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMTextFrame):
            self.text += frame.text
            if "." in self.text:
                await self.push_frame(self.make(self.text.upper()))
        else:
            await self.push_frame(frame, direction)


async def test_an_answer_that_is_said_in_other_words_is_completed(agent: TestAgent) -> None:
    for make in (TextFrame, TTSSpeakFrame):
        observer = watching()
        async with Bot(
            observer, extra=[Rewrite(make)], script=lambda messages, tools: Say("Fine.")
        ) as bot:
            await bot.ask("How are you?")
            await bot.end()
        trace = told(agent, observer)
        assert trace.one("pipecat.llm")["llm.outcome"] == "completed", make
        assert len(trace.named("pipecat.turn")) == 1


async def test_an_answer_that_is_only_to_be_read_is_completed(agent: TestAgent) -> None:
    observer = watching()
    async with Bot(observer) as bot:
        await bot.push(LLMConfigureOutputFrame(skip_tts=True))
        await bot.user_says("How are you?")
        await bot.until(LLMFullResponseEndFrame)
        await bot.end()

    trace = told(agent, observer)
    assert trace.one("pipecat.llm")["llm.outcome"] == "completed"
    assert trace.one("pipecat.turn")["turn.outcome"] == "answered"
    assert not trace.named("pipecat.tts")


async def test_who_speaks_while_a_model_without_a_voice_is_at_work_cuts_nobody_off(
    agent: TestAgent,
) -> None:
    asked = asyncio.Event()

    class Notes(OpenAILLMService):
        """A model that is at work for long."""

        async def push_frame(
            self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
        ) -> None:
            await super().push_frame(frame, direction)
            if isinstance(frame, LLMTextFrame):
                asked.set()
                await asyncio.sleep(30)

    def shape(bot: Shaped) -> list[FrameProcessor]:
        settings = Notes.Settings(model="notes")
        notes = Notes(api_key="any", base_url=bot.base_url, settings=settings)
        aloud = [bot.make_llm("aloud"), bot.make_tts(), bot.output]
        return [
            bot.make_stt(),
            bot.pair.user(),
            ParallelPipeline(aloud, [notes, Drop(*OF_AN_ANSWER)]),
            bot.pair.assistant(),
        ]

    observer = watching(turn_end_timeout_secs=0.2)
    async with Shaped(shape, observer) as bot:
        await bot.ask("How are you?")
        await asked.wait()
        await bot.user_says("And now?")
        await bot.until(BotStartedSpeakingFrame, 2)
        await bot.worker.cancel()
        await bot.running

    first = told(agent, observer).named("pipecat.turn")[0]
    assert first["turn.was_interrupted"] == "false"
    assert first["turn.outcome"] == "answered"


@needs_pipecat("1.8", "the strategy has another name")
async def test_a_generation_that_only_says_that_the_user_has_not_finished_is_discarded(
    agent: TestAgent,
) -> None:
    from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy
    from pipecat.turns.user_turn_strategies import FilterIncompleteUserTurnStrategies

    def script(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> Say:
        said = " ".join(str(m["content"]) for m in messages if m["role"] == "user")
        return Say("● A table for two.") if "two" in said else Say("○")

    stop = [SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=0.05)]
    strategies = FilterIncompleteUserTurnStrategies(stop=stop)

    def shape(bot: Shaped) -> list[FrameProcessor]:
        services = [bot.make_llm(), bot.make_tts(), bot.output]
        return [bot.make_stt(), bot.pair.user(), *services, bot.pair.assistant()]

    observer = watching()
    user = {"user_turn_strategies": strategies}
    async with Shaped(shape, observer, script=script, user=user) as bot:
        await bot.user_says("I would like a table for")
        await bot.until(LLMFullResponseEndFrame)
        await bot.user_says("two")
        await bot.answered()
        await bot.end()

    trace = told(agent, observer)
    found = [llm["llm.outcome"] for llm in trace.named("pipecat.llm")]
    assert found == ["discarded", "completed"]
    assert waits(trace.one("pipecat.turn"))["tools"] == 0


async def test_an_answer_cut_off_while_another_was_still_heard_is_discarded(
    agent: TestAgent,
) -> None:
    """The second of two answers waits in the output until the first has been said."""
    observer = watching()
    long = "A story that goes on and on, without an end in sight, for a good while yet to come."
    async with Bot(observer, delays=QUICK, script=lambda messages, tools: Say(long)) as bot:
        await bot.user_says("Tell me a story.")
        await bot.until(BotStartedSpeakingFrame)
        await bot.until(LLMFullResponseEndFrame)
        bot.answer = Say("And another one.")
        await bot.push(LLMRunFrame())
        await bot.until(LLMFullResponseEndFrame, 2)
        await bot.user_says("Stop.")
        await bot.until(LLMFullResponseEndFrame, 3)
        await bot.end()

    trace = told(agent, observer)
    first, second, *_ = (llm["llm.outcome"] for llm in trace.named("pipecat.llm"))
    assert (first, second) == ("completed", "discarded")

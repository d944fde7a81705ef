"""Processors that answer as models do, and are no services of Pipecat's."""

import asyncio
from typing import Any

import pytest
from loguru import logger
from openai import AsyncOpenAI, InternalServerError
from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    InterruptionFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TextFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from pipecat_dd import DatadogObserver
from pipecat_dd.cli.demo.provider import Delays, Say
from tests.support.agent import TestAgent
from tests.support.lines import written_lines
from tests.support.shapes import Shaped, watching
from tests.support.spans import Trace

SLOW = Delays(
    transcription_secs=0.02, first_token_secs=0.4, token_secs=0.002, first_audio_secs=0.02
)


def told(agent: TestAgent, observer: DatadogObserver) -> Trace:
    trace = agent.session(observer.session_id)
    trace.check()
    return trace


class Agent(FrameProcessor):
    """Answers by itself, through an SDK."""

    def __init__(self, *, asks_first: bool = False, in_task: bool = False) -> None:
        super().__init__()
        self.model = "gpt-own"
        self.client: Any = None
        self.asks_first = asks_first
        self.in_task = in_task

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if not isinstance(frame, LLMContextFrame):
            await self.push_frame(frame, direction)
        elif self.in_task:
            self.create_task(self.answer(frame), "answer")
        else:
            await self.answer(frame)

    async def answer(self, frame: LLMContextFrame) -> None:
        logger.info("the agent answers")
        if not self.asks_first:
            await self.push_frame(LLMFullResponseStartFrame())
        try:
            stream = await self.client.chat.completions.create(
                model=self.model, messages=frame.context.get_messages(), stream=True
            )
            if self.asks_first:
                await self.push_frame(LLMFullResponseStartFrame())
            async for chunk in stream:
                if chunk.choices and chunk.choices[0].delta.content:
                    text = TextFrame(chunk.choices[0].delta.content)
                    text.includes_inter_frame_spaces = True
                    await self.push_frame(text)
        except InternalServerError as error:
            await self.push_error(f"the agent failed: {error}", exception=error)
        finally:
            await self.push_frame(LLMFullResponseEndFrame())
        logger.info("the agent remembers")


def with_agent(answers: Agent, *observers: Any, **options: Any) -> Shaped:
    def shape(bot: Shaped) -> list[FrameProcessor]:
        answers.client = AsyncOpenAI(api_key="any", base_url=bot.base_url, max_retries=0)
        ears, mouth = [bot.make_stt(), bot.pair.user()], [bot.make_tts(), bot.output]
        return [*ears, answers, *mouth, bot.pair.assistant()]

    return Shaped(shape, *observers, **options)


@pytest.mark.parametrize(
    "how", [{}, {"asks_first": True}, {"in_task": True}], ids=["streams", "asks first", "in a task"]
)
async def test_what_a_processor_of_the_users_answers_is_a_models_response(
    agent: TestAgent, how: dict[str, bool]
) -> None:
    observer = watching(capture_content=True)
    with written_lines() as lines:
        async with with_agent(Agent(**how), observer, delays=SLOW) as bot:
            await bot.ask("How are you?")
            await bot.end()

    trace = told(agent, observer)
    llm, turn = trace.one("pipecat.llm"), trace.one("pipecat.turn")
    assert llm.parent is turn
    assert llm.resource == "Agent gpt-own"
    assert llm["gen_ai.request.model"] == "gpt-own"
    assert "gen_ai.provider.name" not in llm.tags
    assert llm["llm.outcome"] == "completed"
    assert llm["processor.name"].startswith("Agent#")
    assert 0.4 <= llm["metrics.ttfb"] < 0.8
    assert llm["gen_ai.output.messages"].strip() == "Fine, thank you."
    assert not any(name.startswith("frame.") for name in llm.tags)
    request = trace.one("openai.request", "createChatCompletion")
    assert turn["turn.outcome"] == "answered"
    assert 0.3 < turn["turn.wait.llm_seconds"] < 0.8
    assert turn["turn.wait.aggregation_seconds"] < 0.2
    after = lines.one("the agent remembers")
    assert after["dd.span_id"] != str(llm.id), "it has answered by then"
    if not how.get("in_task"):
        assert request.parent is llm
        assert lines.one("the agent answers")["dd.span_id"] == str(llm.id)


async def test_an_answer_of_the_users_that_fails_or_is_cut_off_says_so(agent: TestAgent) -> None:
    observer = watching()
    async with with_agent(Agent(), observer, delays=SLOW) as bot:
        bot.provider.fail("chat", status=500)
        await bot.user_says("How are you?")
        await bot.until(ErrorFrame)
        await bot.until(LLMFullResponseEndFrame)
        await bot.user_says("Are you there?")
        await bot.until(LLMFullResponseStartFrame, 2)
        before = bot.watch.count(InterruptionFrame)
        await bot.user_says("Stop.")
        await bot.until(InterruptionFrame, before + 1)
        await bot.answered()
        await bot.end()

    trace = told(agent, observer)
    failed, cut, completed = trace.named("pipecat.llm")
    assert failed.error
    assert failed["llm.outcome"] == "failed"
    assert failed["error.type"] == "openai.InternalServerError"
    assert failed.parent is not None
    assert failed.parent["turn.outcome"] == "failed"
    assert not cut.error
    assert cut["interrupted"] == "true"
    assert cut["llm.outcome"] == "discarded"
    assert completed["llm.outcome"] == "completed"


class Sentences(FrameProcessor):
    """Passes an answer on in frames of its own, its beginning and end among them."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMFullResponseStartFrame):
            frame = LLMFullResponseStartFrame()
        elif isinstance(frame, LLMFullResponseEndFrame):
            frame = LLMFullResponseEndFrame()
        elif isinstance(frame, LLMTextFrame):
            frame = LLMTextFrame(frame.text)
        await self.push_frame(frame, direction)


async def test_what_passes_a_models_answer_on_is_no_model(agent: TestAgent) -> None:
    def shape(bot: Shaped) -> list[FrameProcessor]:
        ears, mouth = [bot.make_stt(), bot.pair.user()], [bot.make_tts(), bot.output]
        return [*ears, bot.make_llm(), Sentences(), *mouth, bot.pair.assistant()]

    observer = watching()
    async with Shaped(shape, observer, script=lambda messages, tools: Say("Fine.")) as bot:
        await bot.ask("How are you?")
        await bot.end()

    trace = told(agent, observer)
    assert trace.one("pipecat.llm").resource == "OpenAILLMService gpt-4.1"
    assert trace.one("pipecat.llm")["llm.outcome"] == "completed"


class Canned(FrameProcessor):
    """Answers some questions without any model, and leaves the others to one."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMContextFrame) and "hours" in str(frame.context.get_messages()[-1]):
            await self.push_frame(LLMFullResponseStartFrame())
            await self.push_frame(LLMTextFrame("From nine to five."))
            await self.push_frame(LLMFullResponseEndFrame())
        else:
            await self.push_frame(frame, direction)


async def test_a_processor_that_sometimes_answers_is_a_model_only_then(agent: TestAgent) -> None:
    def shape(bot: Shaped) -> list[FrameProcessor]:
        ears, mouth = [bot.make_stt(), bot.pair.user()], [bot.make_tts(), bot.output]
        return [*ears, Canned(), bot.make_llm(), *mouth, bot.pair.assistant()]

    observer = watching()
    async with Shaped(shape, observer) as bot:
        await bot.ask("What are your hours?")
        await asyncio.sleep(0.2)
        await bot.ask("How are you?")
        await bot.end()

    trace = told(agent, observer)
    first, second = trace.named("pipecat.llm")
    assert first.resource == "Canned"
    assert second.resource == "OpenAILLMService gpt-4.1"
    assert [llm["llm.outcome"] for llm in (first, second)] == ["completed", "completed"]
    assert second.secs < 1

"""What models are asked beside the conversation: summaries, classifications."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from loguru import logger
from openai import InternalServerError
from pipecat.frames.frames import Frame, TranscriptionFrame
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.llm_service import FunctionCallParams
from pipecat.services.openai.llm import OpenAILLMService

from pipecat_dd import DatadogObserver
from pipecat_dd._pipecat import tokens_of
from pipecat_dd.cli.demo.provider import Provider, Say
from tests.conversation.stages.test_tools import bot_with
from tests.support.agent import TestAgent
from tests.support.bot import QUICK, Bot
from tests.support.lines import written_lines
from tests.support.shapes import Shaped, watching
from tests.support.spans import Span, Trace

RETRIED = 3
"""How often the SDK asks: once, and twice more where it fails."""


def told(agent: TestAgent, observer: DatadogObserver) -> Trace:
    trace = agent.session(observer.session_id)
    trace.check()
    return trace


def context(text: str = "Sum it up.") -> LLMContext:
    return LLMContext([{"role": "user", "content": text}])


def model(url: str, kind: type[OpenAILLMService] = OpenAILLMService) -> OpenAILLMService:
    return kind(api_key="any", base_url=url, settings=kind.Settings(model="gpt-mini"))


def beside(trace: Trace) -> list[Span]:
    return [llm for llm in trace.named("pipecat.llm") if "llm.purpose" in llm.tags]


class Classify(FrameProcessor):
    """Asks a model about what the user said before that is answered."""

    def __init__(self) -> None:
        super().__init__()
        self.llm: Any = None
        self.answer: str | None = None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, TranscriptionFrame):
            logger.info("classifying")
            self.answer = await self.llm.run_inference(context(frame.text), max_tokens=7)
        await self.push_frame(frame, direction)


@pytest.mark.parametrize("is_in_pipeline", [True, False])
async def test_an_inference_is_a_models_request_in_the_turn_and_answers_nobody(
    agent: TestAgent, is_in_pipeline: bool
) -> None:
    classify = Classify()

    def shape(bot: Shaped) -> list[FrameProcessor]:
        llm = bot.make_llm()
        classify.llm = llm if is_in_pipeline else model(bot.base_url)
        ears = [bot.make_stt(), classify, bot.pair.user()]
        return [*ears, llm, bot.make_tts(), bot.output, bot.pair.assistant()]

    observer = watching(capture_content=True)
    async with Shaped(shape, observer) as bot:
        await bot.ask("How are you?")
        await bot.end()

    assert classify.answer == "Fine, thank you."
    trace = told(agent, observer)
    (asked,) = beside(trace)
    turn = trace.one("pipecat.turn")
    assert asked.parent is turn
    assert asked.resource == f"OpenAILLMService gpt-{'4.1' if is_in_pipeline else 'mini'}"
    assert asked["llm.purpose"] == "inference"
    assert asked["llm.outcome"] == "completed"
    assert asked["gen_ai.provider.name"] == "openai"
    assert asked["gen_ai.usage.input_tokens"] > 0
    assert asked["gen_ai.usage.output_tokens"] > 0
    assert asked["gen_ai.request.max_tokens"] == 7
    assert asked["llm.message_count"] == 1
    assert "How are you?" in asked["gen_ai.input.messages"]
    assert asked["gen_ai.output.messages"] == "Fine, thank you."
    assert [child.name for child in asked.children] == ["openai.request"]
    assert "metrics.ttfb" not in asked.tags, "it is not streamed"
    (answered,) = (llm for llm in trace.named("pipecat.llm") if llm is not asked)
    assert answered["llm.outcome"] == "completed"
    assert answered["gen_ai.usage.output_tokens"] == asked["gen_ai.usage.output_tokens"]
    assert turn["turn.outcome"] == "answered"
    assert turn["turn.wait.llm_seconds"] < answered["metrics.ttfb"] + 0.05
    assert turn["turn.wait.tools_seconds"] == 0


async def test_an_inference_between_turns_is_the_sessions_and_opens_none(agent: TestAgent) -> None:
    observer = watching(turn_end_timeout_secs=0.1)
    with written_lines() as lines:
        async with Bot(observer) as bot:
            await bot.ask("How are you?")
            await asyncio.sleep(0.3)  # the turn's end
            with logger.contextualize(step="summary"):
                await model(bot.provider.url).run_inference(context())
            await bot.end()

    trace = told(agent, observer)
    assert len(trace.named("pipecat.turn")) == 1
    (asked,) = beside(trace)
    assert asked.parent is trace.one("pipecat.session")
    ids = {str(span.id) for span in asked.walk()}
    written = [line for line in lines.saying("HTTP Request") if line.get("step") == "summary"]
    assert {line["dd.span_id"] for line in written} <= ids


async def test_an_inference_that_fails_or_takes_too_long_says_so(agent: TestAgent) -> None:
    observer = watching()
    async with Bot(observer) as bot:
        await bot.ask("How are you?")
        llm = model(bot.provider.url)
        bot.provider.fail("chat", status=500, times=RETRIED)
        with pytest.raises(InternalServerError):
            await llm.run_inference(context())
        bot.provider._delays = replace(QUICK, first_token_secs=5)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(llm.run_inference(context()), 0.2)
        await bot.end()

    trace = told(agent, observer)
    failed, late = beside(trace)
    assert failed.error
    assert failed["llm.outcome"] == "failed"
    assert failed["error.type"] == "openai.InternalServerError"
    assert not late.error
    assert late["interrupted"] == "true"
    assert late["llm.outcome"] == "interrupted"
    assert trace.one("pipecat.turn")["turn.outcome"] == "answered"


async def test_what_a_tool_asks_a_model_is_the_tools(agent: TestAgent) -> None:
    asked_with = LLMContext([{"role": "tool", "tool_call_id": "1", "content": "Sum it up."}])

    async def look_up(params: FunctionCallParams) -> None:
        await params.result_callback({"found": await params.llm.run_inference(asked_with)})

    observer = watching()
    async with bot_with(observer, {"look_up": look_up}) as bot:
        await bot.ask("Look it up")
        await bot.end()

    trace = told(agent, observer)
    (asked,) = beside(trace)
    assert asked.parent is trace.one("pipecat.tool")
    assert trace.one("pipecat.turn")["turn.outcome"] == "answered"


class Careful(OpenAILLMService):
    """A service of the user's own that asks what it derives from."""

    async def run_inference(self, *args: Any, **kwargs: Any) -> str | None:
        return await super().run_inference(*args, **kwargs)


async def test_a_service_that_asks_what_it_derives_from_is_asked_once(agent: TestAgent) -> None:
    observer = watching()
    async with Bot(observer) as bot:
        await bot.ask("How are you?")
        assert await model(bot.provider.url, Careful).run_inference(context())
        await bot.end()

    (asked,) = beside(told(agent, observer))
    assert asked.resource == "Careful gpt-mini"
    assert asked["gen_ai.usage.output_tokens"] > 0


async def test_what_no_session_asks_is_left_alone() -> None:
    async with Provider(lambda messages, tools: Say("Fine.")) as provider:
        llm = model(provider.url)
        create = llm._client.chat.completions.create
        assert await llm.run_inference(context()) == "Fine."
        assert llm._client.chat.completions.create == create


async def test_one_service_that_two_calls_share_is_asked_by_each(agent: TestAgent) -> None:
    async with Provider(lambda messages, tools: Say("Fine.")) as provider:
        shared = model(provider.url)

        async def call() -> str:
            observer = watching()
            async with Bot(observer) as bot:
                await bot.ask("How are you?")
                await shared.run_inference(context())
                await bot.end()
            return observer.session_id

        ids = await asyncio.gather(asyncio.create_task(call()), asyncio.create_task(call()))

    for session_id in ids:
        (asked,) = beside(agent.session(session_id))
        assert asked["gen_ai.usage.output_tokens"] > 0
    assert "create" not in shared._client.chat.completions.__dict__, "nothing is left on it"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"usage": {"prompt_tokens": 3, "completion_tokens": 2}}, (3, 2, None)),
        ({"usage": {"input_tokens": 3, "output_tokens": 2}}, (3, 2, None)),
        (
            {
                "usage_metadata": {
                    "prompt_token_count": 3,
                    "candidates_token_count": 2,
                    "thoughts_token_count": 4,
                }
            },
            (3, 6, 4),
        ),
        ({"usage": {"inputTokens": 3, "outputTokens": 2}}, (3, 2, None)),
        ({"usage": None}, (None, None, None)),
        (object(), (None, None, None)),
    ],
    ids=["chat", "responses and Anthropic", "Google", "Bedrock", "none", "unknown"],
)
def test_tokens_are_read_whatever_an_sdk_calls_them(
    answer: Any, expected: tuple[int | None, ...]
) -> None:
    tokens = tokens_of(answer)
    usage = "gen_ai.usage."
    names = ("input_tokens", "output_tokens", "reasoning.output_tokens")
    assert tuple(tokens.get(usage + name) for name in names) == expected

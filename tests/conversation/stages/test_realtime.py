"""Speech-to-speech models: one response is one span, and nothing else speaks or hears."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    ErrorFrame,
    Frame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMRunFrame,
    LLMTextFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.llm_service import FunctionCallParams, LLMService
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService

from pipecat_dd import DatadogObserver
from pipecat_dd.cli.demo.versions import FunctionSchema, ToolsSchema
from tests.support.agent import TestAgent
from tests.support.realtime import RATE, RealtimeServer
from tests.support.shapes import Shaped, watching
from tests.support.spans import Trace
from tests.support.trees import stages, tree
from tests.support.versions import needs_pipecat

LLM = "llm [OpenAIRealtimeLLMService gpt-realtime]"
ASKED = """
    user_speech [OpenAIRealtimeLLMService]
    end_of_turn [user_turn]"""
ANSWER = f"""
    {LLM} type:speech outcome:completed
    bot_speech [bot]"""


class RealtimeBot(Shaped):
    """A bot of one speech-to-speech service."""

    def __init__(self, server: RealtimeServer, *observers: Any, **options: Any) -> None:
        super().__init__(self._processors, *observers, **options)
        self.server = server

    def make_pair(self, **user: Any) -> LLMContextAggregatorPair:
        self.context = LLMContext(tools=self._tools) if self._tools else LLMContext()
        return LLMContextAggregatorPair(self.context)

    def _processors(self, _: Shaped) -> list[FrameProcessor]:
        self.model = OpenAIRealtimeLLMService(
            api_key="any",
            base_url=self.server.url,
            settings=OpenAIRealtimeLLMService.Settings(model="gpt-realtime"),
        )
        self._register(self.model)  # type: ignore[arg-type]
        return [self.pair.user(), self.model, self.output, self.pair.assistant()]


tells_of_the_user = needs_pipecat("1.8", "this service does not say when the user speaks")


def told(agent: TestAgent, observer: DatadogObserver) -> Trace:
    """Return the trace, of which all holds that holds of every trace."""
    trace = agent.session(observer.session_id)
    trace.check()
    return trace


@tells_of_the_user
async def test_each_response_is_one_span_that_the_model_heard_and_spoke_in(
    agent: TestAgent,
) -> None:
    observer = watching()
    async with RealtimeServer() as server, RealtimeBot(server, observer) as bot:
        await bot.push(LLMRunFrame())
        await bot.answered()
        await server.hears("How are you?")
        await bot.answered(2)
        await server.hears("And your mother?")
        await bot.answered(3)
        await bot.end()

    trace = told(agent, observer)
    turn = f"\n  turn [user] outcome:answered{ASKED}{ANSWER}"
    assert tree(trace) == f"session [bot]\n  turn [bot] outcome:answered{ANSWER}{turn}{turn}"
    for llm in trace.named("pipecat.llm"):
        assert llm["gen_ai.provider.name"] == llm["peer.service"] == "openai"
        assert llm["span.kind"] == "client", "nothing else shows the call over the websocket"
        assert 0 < llm["metrics.ttfb"] < 1
        assert llm["gen_ai.usage.input_tokens"] == 30
        assert llm["gen_ai.usage.audio.input_tokens"] == 20
        assert llm["gen_ai.usage.audio.output_tokens"] == 8
        assert llm["gen_ai.usage.cache_read.input_tokens"] == 5
    for turn_span in trace.named("pipecat.turn", "user"):
        speech, llm, heard = (
            next(child for child in turn_span.children if child.name == f"pipecat.{kind}")
            for kind in ("user_speech", "llm", "bot_speech")
        )
        assert turn_span.start_ns == speech.start_ns
        assert speech.end_ns <= llm.start_ns <= heard.start_ns <= heard.end_ns <= turn_span.end_ns
        assert 0 < turn_span["turn.user_bot_latency_seconds"] < 1


@tells_of_the_user
async def test_a_barge_in_cuts_the_response_off(agent: TestAgent) -> None:
    observer = watching()
    async with RealtimeServer() as server, RealtimeBot(server, observer) as bot:
        # Pipecat asks for a response to the first context that it sees, whenever that is.
        await bot.push(LLMRunFrame())
        await bot.answered()
        greeted = bot.watch.count(TTSAudioRawFrame)
        server.answers = "This is a very long story indeed. " * 5
        await server.hears("Tell me a story.")
        await bot.until(TTSAudioRawFrame, greeted + 8)
        server.answers = "Fine, thank you."
        await server.hears("Stop.")
        await bot.answered(3)
        await bot.end()

    trace = told(agent, observer)
    assert tree(trace) == (
        f"session [bot]\n  turn [bot] outcome:answered{ANSWER}"
        f"\n  turn [user] outcome:interrupted{ASKED}"
        f"\n    {LLM} ~ type:speech outcome:interrupted\n    bot_speech [bot] ~"
        f"\n  turn [user] outcome:answered{ASKED}{ANSWER}"
    )
    first, second = trace.named("pipecat.turn", "user")
    assert first["turn.was_interrupted"] == "true"
    assert 0 < second["turn.user_bot_latency_seconds"] < 1
    assert not [span for span in trace.spans if span.error]


@tells_of_the_user
async def test_a_response_that_failed_says_so(agent: TestAgent) -> None:
    observer = watching()
    async with RealtimeServer() as server, RealtimeBot(server, observer) as bot:
        server.fails = "The server had an error."
        await bot.push(LLMRunFrame())
        await bot.until(ErrorFrame)
        await server.hears("Hello?")
        await bot.answered()
        await bot.end()

    trace = told(agent, observer)
    failed, answered = trace.named("pipecat.llm")
    assert answered["llm.outcome"] == "completed"
    assert failed["llm.outcome"] == "failed"
    assert failed.error
    assert failed["error.message"] == "The server had an error."
    assert "metrics.ttfb" not in failed.tags, "no byte came"
    assert [turn["turn.outcome"] for turn in trace.named("pipecat.turn")] == ["failed", "answered"]
    assert trace.one("pipecat.session")["session.error_count"] == 1


@tells_of_the_user
async def test_an_error_in_the_middle_ends_the_response(agent: TestAgent) -> None:
    observer = watching()
    async with RealtimeServer() as server, RealtimeBot(server, observer) as bot:
        await server.hears("How are you?")
        await bot.until(TTSAudioRawFrame)
        server.go_on.clear()
        await server.says_error("The session is too long.")
        await bot.until(ErrorFrame)
        await bot.end()

    trace = told(agent, observer)
    llm = trace.one("pipecat.llm")
    assert llm.error
    assert llm["llm.outcome"] == "failed"
    assert "The session is too long." in llm["error.message"]
    assert llm["metrics.ttfb"] > 0
    assert [span.name for span in trace.spans if span.error] == ["pipecat.llm"]


@tells_of_the_user
async def test_a_tool_is_part_of_the_response_that_asked_for_it(agent: TestAgent) -> None:
    async def get_weather(params: FunctionCallParams) -> None:
        await asyncio.sleep(0.02)
        await params.result_callback({"sky": "blue"})

    schema = FunctionSchema("get_weather", "The weather.", {"city": {"type": "string"}}, ["city"])
    observer = watching()
    async with (
        RealtimeServer() as server,
        RealtimeBot(
            server,
            observer,
            tools=ToolsSchema(standard_tools=[schema]),
            register=lambda llm: llm.register_function("get_weather", get_weather),
        ) as bot,
    ):
        await bot.push(LLMRunFrame())
        await bot.answered()
        server.calls = [("get_weather", {"city": "Paris"})]
        await server.hears("How is the weather?")
        await bot.answered(2)
        await bot.end()

    trace = told(agent, observer)
    tool = trace.one("pipecat.tool")
    assert tool["tool.outcome"] == "completed"
    assert 0.02 <= tool.secs < 1
    asked = tool.parent
    assert asked is not None
    assert asked.name == "pipecat.llm"
    assert asked["gen_ai.usage.output_tokens"] == 12, "its own, not the tool's"
    assert asked.parent is trace.named("pipecat.turn")[1]
    assert len(trace.named("pipecat.turn")) == 2
    spoke = trace.named("pipecat.llm")[-1]
    assert spoke["gen_ai.output.type"] == "speech"
    assert asked.get("gen_ai.output.type") is None, "it only asked for the tool"
    assert spoke.start_ns >= tool.end_ns


AUDIO = TTSAudioRawFrame(b"\1\0" * (RATE // 10), RATE, 1)


class Scripted(LLMService):
    """Pushes what a service pushes that cannot be run here."""

    def service_metadata_frame(self) -> Any:
        frame = super().service_metadata_frame()
        frame.is_realtime_service = True
        return frame

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)

    async def says(self, frame: Frame) -> None:
        """Push one frame; audio is copied, since a frame is pushed once."""
        if isinstance(frame, TTSAudioRawFrame):
            frame = TTSAudioRawFrame(frame.audio, frame.sample_rate, frame.num_channels)
        await self.push_frame(frame)


def gemini_live() -> list[Frame]:
    """What GeminiLiveLLMService pushes: the second start comes with the transcription."""
    return [
        TTSStartedFrame(),
        LLMFullResponseStartFrame(),
        AUDIO,
        LLMTextFrame("Fine, "),
        AUDIO,
        LLMFullResponseStartFrame(),
        LLMTextFrame("thank you."),
        AUDIO,
        TTSStoppedFrame(),
        LLMFullResponseEndFrame(),
    ]


def nova_sonic() -> list[Frame]:
    """What AWSNovaSonicLLMService pushes: the end comes before the audio's."""
    return [
        LLMFullResponseStartFrame(),
        TTSStartedFrame(),
        LLMTextFrame("Fine, thank you."),
        AUDIO,
        AUDIO,
        LLMFullResponseEndFrame(),
        TTSStoppedFrame(),
    ]


@pytest.mark.parametrize("script", [gemini_live, nova_sonic])
async def test_one_response_is_one_span_however_it_is_announced(
    agent: TestAgent, script: Callable[[], list[Frame]]
) -> None:
    model = Scripted()
    observer = watching()
    async with Shaped(lambda bot: [model, bot.output], observer) as bot:
        for number in (1, 2):
            await bot.push(UserStartedSpeakingFrame())
            await bot.until(UserStartedSpeakingFrame, number)
            await bot.push(UserStoppedSpeakingFrame())
            await bot.until(UserStoppedSpeakingFrame, number)
            for frame in script():
                await model.says(frame)
            await bot.answered(number)
        await bot.end()

    turn = """
  turn [user] outcome:answered
    llm [Scripted] type:speech outcome:completed
    bot_speech [bot]"""
    assert tree(told(agent, observer), stages) == f"session [bot]{turn}{turn}"


@pytest.mark.parametrize("script", [gemini_live, nova_sonic])
async def test_a_response_that_is_cut_off_stays_one_whatever_comes_after(
    agent: TestAgent, script: Callable[[], list[Frame]]
) -> None:
    model = Scripted()
    observer = watching()
    async with Shaped(lambda bot: [model, bot.output], observer) as bot:
        await bot.push(UserStartedSpeakingFrame(), UserStoppedSpeakingFrame())
        await bot.until(UserStoppedSpeakingFrame)
        for frame in script()[:4]:
            await model.says(frame)
        await bot.until(BotStartedSpeakingFrame)
        await bot.push(UserStartedSpeakingFrame())
        await bot.until(UserStartedSpeakingFrame, 2)
        await model.broadcast_interruption()
        # Nova Sonic ends it after that; Gemini Live may still send audio and never ends it.
        for frame in (AUDIO, LLMFullResponseEndFrame(), TTSStoppedFrame())[
            0 if script is gemini_live else 1 :
        ]:
            await model.says(frame)
        await bot.push(UserStoppedSpeakingFrame())
        await bot.until(UserStoppedSpeakingFrame, 2)
        for frame in script():
            await model.says(frame)
        await bot.watch.until(lambda: bot.watch.count(LLMFullResponseEndFrame) >= 2)
        await bot.end()

    trace = told(agent, observer)
    first, second = trace.named("pipecat.llm")
    assert first["interrupted"] == "true"
    assert first["llm.outcome"] == "interrupted"
    assert second["llm.outcome"] == "completed"
    assert [llm.parent for llm in (first, second)] == trace.named("pipecat.turn")
    assert not [span for span in trace.spans if span.error]

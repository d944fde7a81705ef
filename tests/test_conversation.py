"""One real conversation, and its trace at the test agent."""

import asyncio
from typing import Any

import pytest
from ddtrace.trace import tracer
from pipecat.services.llm_service import FunctionCallParams

from pipecat_dd import DatadogObserver
from pipecat_dd.cli.demo.provider import Answer, CallTool, Say
from pipecat_dd.cli.demo.versions import FunctionSchema, ToolsSchema
from tests.support.agent import TestAgent
from tests.support.bot import START_SECS, Bot
from tests.support.spans import Span
from tests.support.versions import REPORTS_STT_USAGE

SPEECH = ("user_speech", "bot_speech")


def is_stage(span: Span) -> bool:
    aside = ("pipecat.frame", "pipecat.startup")
    return span.name not in aside and span.name.startswith(("pipecat.", "openai."))


async def test_each_stage_of_a_conversation_has_its_span(agent: TestAgent) -> None:
    observer = DatadogObserver(name="greeter", tags={"tier": "gold"})
    async with Bot(observer) as bot:
        await bot.ask("How are you?")
        await bot.ask("And how is your mother?")
        await bot.end()

    trace = agent.session(observer.session_id)
    trace.check()
    stt, tts = bot.stt._settings.model, bot.tts._settings.model  # Pipecat's defaults differ
    turn = f"""
  turn [user]
    user_speech [vad]
    stt [OpenAISTTService {stt}]
      openai.request [createTranscription]
    end_of_turn [SpeechTimeoutUserTurnStopStrategy]
    llm [OpenAILLMService gpt-4.1]
      openai.request [createChatCompletion]
    tts [OpenAITTSService {tts}]
    bot_speech [bot]"""
    assert trace.outline(is_stage) == f"session [greeter]{turn}{turn}"
    session = trace.one("pipecat.session")
    ours = [span for span in session.walk() if span.name.startswith("pipecat.")]
    assert {span["session_id"] for span in ours} == {observer.session_id}
    assert session["tier"] == "gold"
    assert session["component"] == "pipecat"
    assert session["session.turn_count"] == 2
    assert session["session.end_reason"] == "ended"
    assert session["session.error_count"] == 0
    assert session["session.bot_speech_count"] == 2
    spoken = {kind: sum(s.secs for s in trace.named(f"pipecat.{kind}")) for kind in SPEECH}
    assert session["session.user_speech_seconds"] == pytest.approx(spoken["user_speech"])
    assert session["session.bot_speech_seconds"] == pytest.approx(spoken["bot_speech"])
    silent_secs = session["session.silence_seconds"]
    assert silent_secs == pytest.approx(session.secs - sum(spoken.values()), abs=START_SECS * 2), (
        "the detector's own delay"
    )
    assert 0 < session["session.longest_silence_seconds"] < silent_secs
    assert session["session.longest_silence_of"] in ("bot", "user")
    began_ns = trace.named("pipecat.bot_speech")[0].start_ns
    first_secs = (began_ns - session.start_ns) / 1e9
    assert session["session.first_speech_seconds"] == pytest.approx(first_secs)
    first, second = trace.named("pipecat.turn")
    assert (first["turn.number"], second["turn.number"]) == (1, 2)
    assert first["turn.outcome"] == second["turn.outcome"] == "answered"
    assert first["turn.was_interrupted"] == "false"
    assert first["_dd.measured"] == 1
    assert 0 < first["turn.user_bot_latency_seconds"] < first.secs
    assert first.end_ns <= second.start_ns + START_SECS * 1e9, "the detector's own delay"


async def test_services_say_what_they_used_and_how_long_they_took(agent: TestAgent) -> None:
    observer = DatadogObserver()
    async with Bot(observer) as bot:
        await bot.ask("How are you?")
        await bot.end()

    trace = agent.session(observer.session_id)
    stt, llm, tts = (trace.one(f"pipecat.{kind}") for kind in ("stt", "llm", "tts"))
    for service in (stt, llm, tts):
        assert service["gen_ai.provider.name"] == "openai"
        assert 0 < service["metrics.ttfb"] < 1
        assert service["processor.name"].startswith("OpenAI")
    assert stt["gen_ai.request.model"] == bot.stt._settings.model
    if REPORTS_STT_USAGE:
        assert stt["metrics.audio_seconds"] > 0
    assert 0 < stt["stt.finalization_seconds"] < 1
    assert llm["gen_ai.operation.name"] == "chat"
    assert llm["gen_ai.usage.input_tokens"] > 0
    assert llm["gen_ai.usage.output_tokens"] > 0
    assert llm["llm.message_count"] == 1
    assert tts["tts.voice"] == "alloy"
    assert tts["metrics.character_count"] == len("Fine, thank you.")
    spoken = trace.one("pipecat.bot_speech")
    assert tts["tts.audio_seconds"] > 0
    assert spoken.secs < tts["tts.audio_seconds"]


async def test_a_barge_in_ends_the_turn_and_marks_what_was_cut_off(agent: TestAgent) -> None:
    observer = DatadogObserver()
    long = "This is a long answer. It has many sentences. Each takes its time. On it goes."
    async with Bot(observer, script=lambda messages, tools: Say(long)) as bot:
        await bot.user_says("Tell me a story")
        await bot.speaks()
        await bot.user_says("Stop it")
        await bot.answered(2)
        await bot.end()

    trace = agent.session(observer.session_id)
    trace.check()
    first, second = trace.named("pipecat.turn")
    assert first["turn.was_interrupted"] == "true"
    assert first["turn.outcome"] == first["turn.end_reason"] == "interrupted"
    assert second["turn.was_interrupted"] == "false"
    assert second["turn.outcome"] == "answered"
    cut = next(span for span in first.children if span.name == "pipecat.bot_speech")
    assert cut["interrupted"] == "true"
    assert abs(cut.end_ns - first.end_ns) < 50_000_000
    assert not any(span.error for span in trace.named("pipecat.tts")), "interrupted is not failed"
    assert trace.one("pipecat.session")["session.interruption_count"] == 1


async def test_a_tool_call_is_part_of_the_response_that_asked_for_it(agent: TestAgent) -> None:
    def script(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> Answer:
        if messages[-1]["role"] == "tool":
            return Say("It is sunny.")
        return CallTool("get_weather", {"city": "Paris"})

    async def get_weather(params: FunctionCallParams) -> None:
        with tracer.trace("weather.lookup"):
            await asyncio.sleep(0.05)
        await params.result_callback({"sky": "blue"})

    schema = FunctionSchema("get_weather", "The weather.", {"city": {"type": "string"}}, ["city"])
    observer = DatadogObserver()
    async with Bot(
        observer,
        script=script,
        tools=ToolsSchema(standard_tools=[schema]),
        register=lambda llm: llm.register_function("get_weather", get_weather),
    ) as bot:
        await bot.ask("How is the weather?")
        await bot.end()

    trace = agent.session(observer.session_id)
    trace.check()
    asked, answered = trace.named("pipecat.llm")
    tool = trace.one("pipecat.tool")
    assert tool.parent is asked
    assert tool.resource == "get_weather"
    assert tool["tool.outcome"] == "completed"
    assert 0.05 <= tool.secs < 1
    assert trace.one("weather.lookup").parent is tool
    assert trace.one("pipecat.turn")["turn.outcome"] == "answered"
    assert answered.start_ns >= tool.end_ns

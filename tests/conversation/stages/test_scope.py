"""A trace for each turn, content on request, startup, and the wait and its parts."""

import asyncio
import json
from typing import Any

from ddtrace.trace import tracer
from loguru import logger
from pipecat.frames.frames import (
    BotStoppedSpeakingFrame,
    Frame,
    FunctionCallInProgressFrame,
    LLMMessagesAppendFrame,
    TTSSpeakFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.llm_service import FunctionCallParams
from pipecat.services.openai.stt import OpenAISTTService
from pipecat.turns.user_mute import MuteUntilFirstBotCompleteUserMuteStrategy

from pipecat_dd import DatadogObserver
from pipecat_dd.cli.demo.provider import Say
from tests.conversation.stages.test_tools import bot_with
from tests.support.agent import TestAgent
from tests.support.bot import Bot
from tests.support.lines import written_lines
from tests.support.shapes import Shaped
from tests.support.spans import Trace
from tests.support.versions import needs_pipecat


def traces(agent: TestAgent, session_id: str) -> list[Trace]:
    """Return all traces of a session that has ended, the session's own first."""
    tracer.flush()

    def arrived() -> list[Trace] | None:
        spans = agent.spans()
        ids = {
            span["trace_id"]
            for span in spans
            if (span.get("meta") or {}).get("session_id") == session_id
        }
        found = [Trace(s for s in spans if s["trace_id"] == i) for i in ids]
        found.sort(key=lambda trace: (not trace.named("pipecat.session"), trace.spans[0].start_ns))
        return found if found and found[0].named("pipecat.session") else None

    return agent.wait(arrived)


async def test_each_turn_is_a_trace_of_its_own_linked_to_the_session(agent: TestAgent) -> None:
    observer = DatadogObserver(trace_scope="turn")
    with written_lines() as lines:
        async with Bot(observer) as bot:
            await bot.ask("How are you?")
            await bot.ask("And now?")
            await bot.end()

    session, *turns = traces(agent, observer.session_id)
    root = session.one("pipecat.session")
    assert len(turns) == 2
    for trace in turns:
        turn = trace.one("pipecat.turn")
        assert trace.roots == [turn]
        assert turn.parent_id == 0
        (link,) = json.loads(turn["_dd.span_links"])
        assert int(link["span_id"], 16) == root.id
        assert link["trace_id"] == session.id
        assert {child.name for child in turn.children} >= {
            "pipecat.stt",
            "pipecat.llm",
            "pipecat.tts",
        }
        heard = [
            line for line in lines.saying("Transcription: [") if line["dd.trace_id"] == trace.id
        ]
        assert len(heard) == 1
    ids = {trace.id for trace in (session, *turns)}
    assert len(ids) == 3
    assert {line["dd.trace_id"] for line in lines.all if "session_id" in line} <= ids
    sampled = [s["_sampling_priority_v1"] for t in (session, *turns) for s in t.roots]
    assert len(set(sampled)) == 1


class TalkingEars(OpenAISTTService):
    """Writes a line about speech before it is ruled that a turn has begun."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        if isinstance(frame, VADUserStartedSpeakingFrame):
            logger.info("I hear something")
        await super().process_frame(frame, direction)


async def test_what_comes_before_the_ruling_is_in_the_trace_of_the_turn_that_is_ruled(
    agent: TestAgent,
) -> None:
    observer = DatadogObserver(trace_scope="turn")

    def shape(bot: Shaped) -> list[FrameProcessor]:
        ears = TalkingEars(api_key="any", base_url=bot.base_url)
        return [ears, bot.pair.user(), bot.make_llm(), bot.make_tts(), bot.output]

    mute = MuteUntilFirstBotCompleteUserMuteStrategy()
    with written_lines() as lines:
        async with Shaped(shape, observer, user={"user_mute_strategies": [mute]}) as bot:
            await bot.user_says("Is anybody there?")  # said to nobody
            await bot.push(TTSSpeakFrame("Hello."))
            await bot.answered()
            await bot.ask("How are you?")
            await bot.push(VADUserStartedSpeakingFrame(start_secs=0.01))
            await bot.until(VADUserStartedSpeakingFrame, 3)
            await bot.end()

    spans = {
        span.id: (trace, span)
        for trace in traces(agent, observer.session_id)
        for span in trace.spans
    }
    assert len(lines.saying("I hear something")) == 3
    for line in lines.all:
        if "dd.span_id" in line:
            trace, _ = spans[int(line["dd.span_id"])]
            assert line["dd.trace_id"] == trace.id, line
    for trace, span in spans.values():
        assert span.parent_id == 0 or span.parent is not None, trace.outline()
        if span.parent_id == 0 and span.name != "pipecat.session":
            (link,) = json.loads(span["_dd.span_links"])
            assert link["trace_id"] == spans[int(link["span_id"], 16)][0].id
    for request in (span for _, span in spans.values() if span.resource == "createTranscription"):
        assert request.parent is not None
        assert request.parent.name == "pipecat.stt"


async def test_a_long_request_in_a_tool_holds_back_nothing_not_even_its_own_turn(
    agent: TestAgent,
) -> None:
    settled = asyncio.Event()

    async def slow(params: FunctionCallParams) -> None:
        with tracer.trace("http.request"):
            await settled.wait()
        await params.result_callback({"done": True})

    observer = DatadogObserver(trace_scope="turn", turn_end_timeout_secs=0.2)
    bot = bot_with(observer, {"slow": slow}, cancel_on_interruption=False)
    async with bot:
        await bot.user_says("Do it")
        await bot.until(FunctionCallInProgressFrame)
        bot.answer = Say("I am at it already.")
        before = bot.watch.count(BotStoppedSpeakingFrame)
        await bot.push(TTSSpeakFrame("I am at it."))
        await bot.answered(before + 1)
        await bot.user_says("And meanwhile?")
        await bot.until(VADUserStoppedSpeakingFrame, 2)
        await bot.push(TTSSpeakFrame("Meanwhile, this."))
        await bot.answered(before + 2)

        def arrived() -> set[float] | None:
            numbers = {
                span["metrics"]["turn.number"]
                for span in agent.spans()
                if span["name"] == "pipecat.turn"
                and span["meta"]["session_id"] == observer.session_id
            }
            return numbers if {1, 2} <= numbers else None

        await asyncio.to_thread(agent.wait, arrived, timeout_secs=5)
        settled.set()
        await bot.end()


async def test_content_is_sent_only_where_it_was_asked_for(agent: TestAgent) -> None:
    said = ("Where is the harbour, my key is sk-abcdefghijklmnopqrstuvwx", "By the sea.")
    for captured in (False, True):
        observer = DatadogObserver(capture_content=captured)
        async with Bot(observer, script=lambda messages, tools: Say(said[1])) as bot:
            await bot.ask(said[0])
            await bot.end()
        trace = agent.session(observer.session_id)
        trace.check()
        sent = json.dumps([span.raw for span in trace.spans if span.name.startswith("pipecat.")])
        assert ("harbour" in sent) is captured
        assert ("By the sea." in sent) is captured
        assert "sk-abcdef" not in sent
        if captured:
            assert "harbour" in trace.one("pipecat.stt")["stt.transcript"]
            assert "harbour" in trace.one("pipecat.llm")["gen_ai.input.messages"]
            assert "By the sea." in trace.one("pipecat.llm")["gen_ai.output.messages"]
            assert trace.one("pipecat.tts")["tts.text"] == "By the sea."


class SlowToStart(FrameProcessor):
    """Takes time to be set up."""

    async def setup(self, *args: Any, **kwargs: Any) -> None:
        await super().setup(*args, **kwargs)
        await asyncio.sleep(0.05)

    async def process_frame(self, frame: Any, direction: Any) -> None:
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)


@needs_pipecat("1.8", "observers hear nothing of a processor's startup")
async def test_what_took_time_to_start_has_a_span(agent: TestAgent) -> None:
    observer = DatadogObserver()
    async with Bot(observer, before=[SlowToStart()]) as bot:
        await bot.ask("How are you?")
        await bot.end()
    trace = agent.session(observer.session_id)
    trace.check()
    slow = trace.one("pipecat.startup", "SlowToStart")
    whole = trace.one("pipecat.startup", "pipeline")
    assert 0.05 <= slow.secs < 2
    assert whole.start_ns <= slow.start_ns
    assert slow.end_ns <= whole.end_ns
    assert whole.parent is slow.parent is trace.one("pipecat.session")


async def test_a_greeting_opens_a_turn_of_the_bots(agent: TestAgent) -> None:
    observer = DatadogObserver()
    async with Bot(observer) as bot:
        await bot.push(TTSSpeakFrame("Welcome."))
        await bot.answered()
        await bot.ask("Hello")
        await bot.end()
    trace = agent.session(observer.session_id)
    trace.check()
    assert [turn.resource for turn in trace.named("pipecat.turn")] == ["bot", "user"]
    greeting = trace.named("pipecat.turn")[0]
    assert [child.name for child in greeting.children if child.name != "pipecat.frame"] == [
        "pipecat.tts",
        "pipecat.bot_speech",
    ]


async def test_a_typed_message_is_a_turn_of_the_users(agent: TestAgent) -> None:
    observer = DatadogObserver()
    async with Bot(observer) as bot:
        await bot.push(LLMMessagesAppendFrame([{"role": "user", "content": "Hi"}], run_llm=True))
        await bot.answered()
        await bot.end()
    trace = agent.session(observer.session_id)
    trace.check()
    turn = trace.one("pipecat.turn")
    assert turn.resource == "user"
    assert turn["turn.outcome"] == "answered"
    assert not trace.named("pipecat.user_speech")
    assert not trace.named("pipecat.stt")
    assert turn["turn.user_bot_latency_seconds"] > 0

"""Each trace id and span id on a line, all 128 bits of the first, is of what was sent.

Over a whole conversation: before the first turn, between turns and after the last; speech that is
no turn, a barge-in, an answer that is thrown away, a tool that outlives its turn; the bot's own
task and thread. A line that names a trace which was never sent leads its reader nowhere.
"""

import asyncio
import contextlib
import threading
from typing import Any

import httpx
import pytest
from ddtrace.trace import tracer
from loguru import logger
from pipecat.frames import frames
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    Frame,
    FunctionCallInProgressFrame,
    FunctionCallResultFrame,
    LLMContextFrame,
    LLMTextFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    UserStartedSpeakingFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.llm_service import FunctionCallParams
from pipecat.services.openai.stt import OpenAISTTService
from pipecat.turns.user_mute import MuteUntilFirstBotCompleteUserMuteStrategy

from pipecat_dd import DatadogObserver
from pipecat_dd.cli.demo.provider import Answer, CallTool, Say
from pipecat_dd.cli.demo.versions import FunctionSchema, ToolsSchema
from tests.support.agent import TestAgent
from tests.support.bot import START_SECS
from tests.support.lines import written_lines
from tests.support.shapes import Shaped
from tests.support.versions import PIPECAT

LONG = "This is a long answer. It has many sentences. Each takes its time. On it goes."


class Ears(OpenAISTTService):
    """Writes a line about speech before it is ruled that a turn has begun."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        if isinstance(frame, (VADUserStartedSpeakingFrame, VADUserStoppedSpeakingFrame)):
            logger.info(f"ears: {type(frame).__name__}")
            with tracer.trace("ears.work"):
                logger.info("ears: in a span of its own")
        await super().process_frame(frame, direction)


class Chatty(FrameProcessor):
    """Writes wherever it works, and has a task that writes a line a moment for the whole call."""

    def __init__(self) -> None:
        super().__init__()
        self._ticks: Any = None

    async def setup(self, *args: Any, **kwargs: Any) -> None:
        await super().setup(*args, **kwargs)
        logger.info("chatty: set up")

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if self._ticks is None:
            self._ticks = self.create_task(self._tick())
        if isinstance(frame, (LLMTextFrame, TTSAudioRawFrame, UserStartedSpeakingFrame)):
            logger.info(f"chatty: {type(frame).__name__}")
        await self.push_frame(frame, direction)

    async def _tick(self) -> None:
        for number in range(1_000_000):
            logger.info("chatty: tick")
            if number % 3 == 0:
                with tracer.trace("chatty.tick"):
                    logger.info("chatty: tick in a span")
            await asyncio.sleep(0.02)

    async def cleanup(self) -> None:
        await super().cleanup()
        if self._ticks is not None:
            await self.cancel_task(self._ticks)
        logger.info("chatty: cleaned up")


def script(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> Answer:
    """Answer by the user's last words."""
    text = str(messages[-1].get("content"))
    if messages[-1]["role"] == "tool" or "tool" not in text:
        return Say(LONG if "story" in text else "Fine, thank you.")
    return CallTool("slow", {})


async def converse(observer: DatadogObserver) -> None:
    """Hold a conversation with a bit of everything."""
    settled, ended = asyncio.Event(), threading.Event()

    async def slow(params: FunctionCallParams) -> None:
        logger.info("tool: begins")
        with tracer.trace("tool.work"):
            await settled.wait()
            logger.info("tool: in a span")
        await asyncio.to_thread(logger.info, "tool: in a thread")
        await params.result_callback({"done": True})

    async def beside() -> None:
        # ddtrace writes the trace's id into the headers of each request, before the first turn too.
        async with httpx.AsyncClient() as client:
            while not ended.is_set():
                logger.info("beside: tick")
                if bot.running is not None:
                    with contextlib.suppress(httpx.HTTPError):  # the server ends with the bot
                        await client.get(f"{bot.provider.origin}/weather")
                await asyncio.sleep(0.03)

    def in_thread() -> None:
        while not ended.wait(0.03):
            logger.info("thread: tick")

    def shape(bot: Shaped) -> list[FrameProcessor]:
        llm = bot.make_llm()
        llm.register_function("slow", slow, cancel_on_interruption=False)
        ears = Ears(api_key="any", base_url=bot.base_url)
        voice = [bot.make_tts(), bot.output, bot.pair.assistant()]
        return [ears, bot.pair.user(), llm, Chatty(), *voice]

    mute = MuteUntilFirstBotCompleteUserMuteStrategy()
    bot = Shaped(
        shape,
        observer,
        user={"user_mute_strategies": [mute]},
        script=script,
        tools=ToolsSchema(standard_tools=[FunctionSchema("slow", "Takes its time.", {}, [])]),
    )
    logger.info("bot: before the run")
    task = asyncio.create_task(beside())
    thread = threading.Thread(target=in_thread)
    thread.start()
    try:
        async with bot:
            await bot.user_says("Is anybody there?")  # muted
            await bot.push(TTSSpeakFrame("Hello."))
            await bot.answered()
            logger.info("bot: between")
            await bot.ask("How are you?")
            await cough(bot)
            await asyncio.sleep(0.1)  # between turns
            spoken, silent = (
                bot.watch.count(kind) for kind in (BotStartedSpeakingFrame, BotStoppedSpeakingFrame)
            )
            await bot.user_says("Tell me a story")
            await bot.speaks(spoken + 1)
            await bot.user_says("Stop it.")
            await bot.answered(silent + 2)
            if PIPECAT >= (1, 9):
                await throw_away(bot)
            await bot.user_says("Use the tool")
            await bot.until(FunctionCallInProgressFrame)
            await bot.ask("And meanwhile?")
            settled.set()
            await bot.until(FunctionCallResultFrame)
            await bot.ask("And now?")
            await cough(bot)
            logger.info("bot: after the last turn")
            await bot.end()
    finally:
        ended.set()
        thread.join()
        await task
    logger.info("bot: after the run")


async def cough(bot: Shaped) -> None:
    """Have the detector hear what nothing is transcribed of."""
    bot.provider.next_transcript = ""
    before = bot.watch.count(VADUserStoppedSpeakingFrame)
    await bot.push(VADUserStartedSpeakingFrame(start_secs=START_SECS))
    await bot.push(VADUserStoppedSpeakingFrame(stop_secs=0.01))
    await bot.until(VADUserStoppedSpeakingFrame, before + 1)


async def throw_away(bot: Shaped) -> None:
    """Have the model asked before the user has finished, and the answer thrown away."""
    before, asked = bot.watch.count(UserStartedSpeakingFrame), bot.provider.count("chat")
    await bot.push(VADUserStartedSpeakingFrame(start_secs=START_SECS))
    await bot.until(UserStartedSpeakingFrame, before + 1)
    context = LLMContext([{"role": "user", "content": "How are"}])
    await bot.push(LLMContextFrame(context, speculation=True))
    await bot.provider.requested("chat", asked + 1)
    await bot.push(frames.EagerEndOfTurnCancelFrame())
    await bot.until(frames.EagerEndOfTurnCancelFrame)
    await bot.ask("How are you?")


def sent(agent: TestAgent) -> dict[str, str]:
    """Return the trace, all 128 bits of its id, of each span that was sent, by the span's id."""
    of_spans: dict[str, str] = {}
    upper: dict[int, str] = {}
    for chunk in agent.chunks():
        (lower,) = {span["trace_id"] for span in chunk}
        halves = {s["meta"]["_dd.p.tid"] for s in chunk if "_dd.p.tid" in s["meta"]}
        halves.add(upper.get(lower, next(iter(halves), "")))
        assert len(halves) == 1, f"one trace with several ids: {halves}"
        (upper[lower],) = halves
        of_spans |= {str(span["span_id"]): f"{upper[lower]}{lower:016x}" for span in chunk}
    return of_spans


@pytest.mark.parametrize("frame_spans", ["off", "notable", "all"])
@pytest.mark.parametrize("scope", ["session", "turn"])
async def test_every_id_on_a_line_is_of_a_span_that_was_sent(
    agent: TestAgent, scope: Any, frame_spans: Any
) -> None:
    with written_lines("TRACE") as lines:
        observer = DatadogObserver(
            trace_scope=scope, frame_spans=frame_spans, turn_end_timeout_secs=0.2
        )
        await converse(observer)

    def arrived() -> bool | None:
        of_session = [
            span
            for span in agent.spans()
            if span["name"] == "pipecat.session"
            and span["meta"]["session_id"] == observer.session_id
        ]
        return bool(of_session) or None

    tracer.flush()
    agent.wait(arrived)
    trace_of = sent(agent)

    within = [line for line in lines.all if "dd.trace_id" in line or "dd.span_id" in line]
    wrong = [
        line
        for line in within
        if trace_of.get(line["dd.span_id"]) != line["dd.trace_id"]
        or line["pipecat.trace_id"] != line["dd.trace_id"]
        or line["pipecat.span_id"] != line["dd.span_id"]
    ]
    never = [line for line in wrong if line["dd.trace_id"] not in trace_of.values()]
    assert not wrong, report(wrong, never)
    ticks = {line["dd.trace_id"] for line in within if line["message"] == "chatty: tick"}
    assert len(ticks) == 1 if scope == "session" else len(ticks) > 5
    for who in ("ears", "chatty", "tool", "beside", "thread", "bot"):
        assert any(line["message"].startswith(f"{who}: ") for line in within), who
    assert len(within) > 300


def report(wrong: list[dict[str, Any]], never: list[dict[str, Any]]) -> str:
    said = "\n".join(
        f"{line['name']}: {line['dd.trace_id']} {line['dd.span_id']} {line['message']}"
        for line in wrong[:40]
    )
    return f"{len(wrong)} lines name no span that was sent; of {len(never)} no trace:\n{said}"

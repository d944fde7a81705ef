"""A conversation that has a bit of everything that is measured, and what was seen of it."""

import asyncio
from dataclasses import dataclass
from typing import Any

from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    ErrorFrame,
)
from pipecat.pipeline.llm_switcher import LLMSwitcher
from pipecat.pipeline.service_switcher import ServiceSwitcherStrategyFailover
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.llm_service import FunctionCallParams
from websockets.asyncio.client import connect

from pipecat_dd import DatadogObserver, current_session
from pipecat_dd.cli.demo.provider import Answer, CallTool, Say
from pipecat_dd.cli.demo.versions import FunctionSchema, ToolsSchema
from pipecat_dd.testing import SeenSession, capture
from tests.conversation.participants.running import Heard, bot_on
from tests.conversation.participants.test_websocket import server
from tests.support.dogstatsd import Received, sending_to
from tests.support.shapes import Shaped

CANARY = "canary-7f3a9"
"""Stands in every id and name that a bot may give, and in what is said."""

LONG = Say("Let me tell you everything that there is to know about it, from the beginning. " * 4)


@dataclass
class Told:
    """A conversation, as it was told.

    Attributes:
        spoken: The session in which people spoke.
        joined: The session in which a participant came and went.
        received: The metrics of both.
    """

    spoken: SeenSession
    joined: SeenSession
    received: Received


def script(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> Answer:
    said = str(messages[-1].get("content"))
    if messages[-1]["role"] == "user":
        for name in ("get_weather", "broken"):
            if name in said:
                return CallTool(name, {"city": CANARY})
    return Say("Fine, thank you.")


async def weather(params: FunctionCallParams) -> None:
    current_session().set_outcome("told the weather")
    await params.result_callback({"sky": CANARY})


async def broken(params: FunctionCallParams) -> None:
    raise LookupError(CANARY)


def shape(bot: Shaped) -> list[FrameProcessor]:
    models = [bot.make_llm("gpt-4.1"), bot.make_llm("gpt-4.1-mini")]
    return [
        bot.make_stt(),
        bot.pair.user(),
        LLMSwitcher(models, ServiceSwitcherStrategyFailover),
        bot.make_tts(),
        bot.output,
        bot.pair.assistant(),
    ]


async def speak(session_id: str) -> None:
    def register(llm: Any) -> None:
        llm.register_function("get_weather", weather)
        llm.register_function("broken", broken)

    observer = DatadogObserver(
        session_id=session_id,
        name=CANARY,
        tags={"customer": CANARY},
        metrics=True,
        slow_frame_ms=60_000,
    )
    schemas = [FunctionSchema(name, "Does it.", {}, []) for name in ("get_weather", "broken")]
    async with Shaped(
        shape,
        observer,
        script=script,
        tools=ToolsSchema(standard_tools=schemas),
        register=register,
        worker={"conversation_id": CANARY},
    ) as bot:
        await bot.ask(f"How are you, {CANARY}?")
        await bot.ask("Call get_weather")
        await bot.ask("Call broken")
        bot.answer = LONG
        spoke = bot.watch.count(BotStartedSpeakingFrame)
        await bot.user_says("Tell me everything")
        await bot.speaks(spoke + 1)
        bot.answer = None
        await bot.ask("Stop, how are you?")
        bot.provider.fail("chat", status=401)
        await bot.user_says("Are you still there?")
        await bot.until(ErrorFrame, bot.watch.count(ErrorFrame) + 1)
        await bot.ask("And now?")
        bot.provider.fail("transcriptions", status=400)
        failed = bot.watch.count(ErrorFrame)
        await bot.user_says("Hello?")
        await bot.until(ErrorFrame, failed + 1)
        await bot.end()


async def join(session_id: str) -> None:
    observer = DatadogObserver(session_id=session_id, metrics=True)
    transport, url = server()
    heard = Heard()
    heard.handle(transport, "on_client_connected", "on_client_disconnected", "on_websocket_ready")
    async with bot_on(transport, observer):
        await heard.until("on_websocket_ready")
        async with connect(url):
            await heard.until("on_client_connected")
        await heard.until("on_client_disconnected")


def hold(received: Received) -> Told:
    """Hold the conversations, and wait until all that they add up to has arrived."""

    async def both() -> None:
        await speak(f"{CANARY}-spoken")
        await join(f"{CANARY}-joined")

    def has_arrived() -> bool:
        # What is said of the process comes after the session's last words.
        active = received.named("pipecat.sessions.active")
        return len(received.named("pipecat.sessions.ended")) == 2 and active[-1].value == 0

    with sending_to(received.url), capture() as seen:
        asyncio.run(both())
        received.until(has_arrived)
    return Told(seen.session(f"{CANARY}-spoken"), seen.session(f"{CANARY}-joined"), received)

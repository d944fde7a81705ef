"""A bot in a process of its own whose services call their providers over HTTP.

``python -m tests.export.spans.calling_bot VOICES``: a conversation with each of the voices. The
model and one voice are OpenAI's, through its SDK. Cartesia's voice and one of the user's own are
called through aiohttp; the scripted one makes no call. A tool calls a service of the user's, and
the model answers one question beside the conversation. ``WITH_DDTRACE_AUTO`` in the environment
turns ddtrace's integrations on.
"""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from typing import Any

if os.environ.get("WITH_DDTRACE_AUTO"):
    import ddtrace.auto  # noqa: F401

import aiohttp
from aiohttp import web
from ddtrace.trace import tracer
from pipecat.frames.frames import Frame, TTSAudioRawFrame, TTSSpeakFrame
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.cartesia.tts import CartesiaHttpTTSService
from pipecat.services.llm_service import FunctionCallParams
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.services.tts_service import TTSService

from pipecat_dd import DatadogObserver
from pipecat_dd.cli.demo.provider import CallTool, Provider, Say
from pipecat_dd.cli.demo.versions import FunctionSchema, ToolsSchema, split_sentences_offline
from pipecat_dd.cli.demo.voice import SPEECH_RATE, tone
from tests.support.bot import QUICK
from tests.support.scripted import ScriptedTTS
from tests.support.shapes import Shaped


async def _speak(request: web.Request) -> web.Response:
    return web.Response(body=tone((await request.json())["transcript"]))


async def _look_up(_: web.Request) -> web.Response:
    return web.json_response({"name": "Ann"})


ROUTES = [web.post("/tts/bytes", _speak), web.get("/customer", _look_up)]


class CarefulLLM(OpenAILLMService):
    """Has a span of its own around each request, which is no call to anybody."""

    async def get_chat_completions(self, *args: Any, **kwargs: Any) -> Any:
        with tracer.trace("prompt.check"):
            return await super().get_chat_completions(*args, **kwargs)


class AcmeTTSService(TTSService):
    """A service of the user's own that speaks with what a server sends."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        super().__init__(sample_rate=SPEECH_RATE, push_start_frame=True, push_stop_frames=True)
        self._url, self._acme = url, session

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        async with self._acme.post(self._url, json={"transcript": text}) as response:
            audio = await response.read()
        yield TTSAudioRawFrame(audio, SPEECH_RATE, 1, context_id=context_id)


def _script(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> CallTool | Say:
    return Say("Hello Ann.") if messages[-1]["role"] == "tool" or not tools else CallTool("who")


async def converse(session: aiohttp.ClientSession, voice: str, observer: DatadogObserver) -> None:
    """Hold a conversation with one of the voices."""

    async def who(params: FunctionCallParams) -> None:
        async with session.get(f"{bot.provider.origin}/customer") as response:
            await params.result_callback(await response.json())

    def shape(bot: Shaped) -> list[FrameProcessor]:
        origin = bot.provider.origin
        llm = CarefulLLM(
            api_key="any",
            base_url=bot.base_url,
            settings=OpenAILLMService.Settings(model="gpt-4.1"),
        )
        llm.register_function("who", who)
        bot.llm = llm
        voices = {
            "openai": bot.make_tts,
            "cartesia": lambda: CartesiaHttpTTSService(
                api_key="any",
                base_url=origin,
                aiohttp_session=session,
                settings=CartesiaHttpTTSService.Settings(voice="any"),
            ),
            "acme": lambda: AcmeTTSService(f"{origin}/tts/bytes", session),
            "scripted": ScriptedTTS,
        }
        return [
            bot.make_stt(),
            bot.pair.user(),
            llm,
            voices[voice](),
            bot.output,
            bot.pair.assistant(),
        ]

    tools = ToolsSchema(standard_tools=[FunctionSchema("who", "Who calls.", {}, [])])
    bot = Shaped(shape, observer, tools=tools)
    bot.provider = Provider(_script, delays=QUICK, routes=ROUTES)
    async with bot:
        await bot.push(TTSSpeakFrame("Welcome."))
        await bot.answered()
        await bot.ask("Hello?")
        await bot.llm.run_inference(LLMContext([{"role": "user", "content": "Sum it up."}]))
        await bot.end()


async def main(voices: str) -> None:
    """Hold a conversation with each of the voices."""
    split_sentences_offline()
    async with aiohttp.ClientSession() as session:
        for voice in voices.split(","):
            await converse(session, voice, DatadogObserver(session_id=voice))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))

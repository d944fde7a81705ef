"""A model that does not complete its response in time: the event is a span, and the error is one.

Anthropic's and AWS Bedrock's services report nothing but the event; the others push an error, too.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from aiohttp import web
from pipecat.frames.frames import LLMFullResponseEndFrame, TranscriptionFrame
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.utils.time import time_now_iso8601

from tests.support.agent import TestAgent
from tests.support.dogstatsd import listening, sending_to
from tests.support.server import LOOPBACK
from tests.support.shapes import Shaped, watching
from tests.support.spans import Span, Trace
from tests.support.versions import needs_pipecat

pytestmark = needs_pipecat("1.8", "not all of these events are there")

EVENT = "pipecat.service.event"
TIMEOUT_SECS = 0.3


class Stalls:
    """A provider that begins to answer, as Anthropic or OpenAI does, and says no more."""

    def __init__(self) -> None:
        self._over = asyncio.Event()
        self.url = ""

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["Stalls"]:
        """Serve within the block."""
        app = web.Application()
        app.router.add_post("/v1/messages", self._anthropic)
        app.router.add_post("/chat/completions", self._openai)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, LOOPBACK, 0)
        await site.start()
        assert site._server is not None
        port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
        self.url = f"http://{LOOPBACK}:{port}"
        try:
            yield self
        finally:
            self._over.set()
            await runner.cleanup()

    async def _anthropic(self, request: web.Request) -> web.StreamResponse:
        message = {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "claude",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 3, "output_tokens": 1},
        }
        start = json.dumps({"type": "message_start", "message": message})
        return await self._stall(request, f"event: message_start\ndata: {start}\n\n")

    async def _openai(self, request: web.Request) -> web.StreamResponse:
        return await self._stall(request, ": wait\n\n")

    async def _stall(self, request: web.Request, begin: str) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        await response.write(begin.encode())
        await self._over.wait()
        return response


class Answers(Shaped):
    """A bot that hears nothing by itself: what is transcribed is pushed into it."""

    def __init__(self, llm: FrameProcessor, *observers: Any) -> None:
        self.llm = llm
        super().__init__(self._processors, *observers)

    def _processors(self, _: Shaped) -> list[FrameProcessor]:
        return [self.pair.user(), self.llm, self.make_tts(), self.output, self.pair.assistant()]


class Impatient(OpenAILLMService):
    """A service of a user's that gives up by itself."""

    async def _process_context(self, *args: Any) -> None:
        try:
            async with asyncio.timeout(TIMEOUT_SECS):
                await super()._process_context(*args)
        except TimeoutError as error:
            raise httpx.ReadTimeout("") from error


class SaysOnlyThat(Impatient):
    """One that treats a timeout as Anthropic's and Bedrock's do."""

    async def push_error(self, *args: Any, **kwargs: Any) -> None:
        """Push no error."""


def openai_llm(kind: type[OpenAILLMService], url: str) -> OpenAILLMService:
    return kind(api_key="any", base_url=url, settings=kind.Settings(model="gpt-4.1"))


def anthropic_llm(url: str) -> FrameProcessor:
    anthropic = pytest.importorskip("anthropic", reason="the extra is not installed")
    from pipecat.services.anthropic.llm import AnthropicLLMService

    client = anthropic.AsyncAnthropic(
        api_key="any", base_url=url, timeout=TIMEOUT_SECS, max_retries=0
    )
    settings = AnthropicLLMService.Settings(model="claude-sonnet-4-5")
    return AnthropicLLMService(api_key="any", client=client, settings=settings)


async def asked(llm: FrameProcessor, agent: TestAgent) -> tuple[Trace, dict[str, float]]:
    """Ask a bot whose model stalls; return the trace, and how many errors each stage counts."""
    with listening() as heard, sending_to(heard.url):
        observer = watching(metrics=True)
        async with Answers(llm, observer) as bot:
            await bot.push(TranscriptionFrame("How are you?", "u", time_now_iso8601()))
            await bot.until(LLMFullResponseEndFrame)
            await bot.end()
        heard.until(lambda: bool(heard.named("pipecat.sessions.ended")))
    trace = agent.session(observer.session_id)
    trace.check()
    errors: dict[str, float] = {}
    for error in heard.named("pipecat.errors"):
        stage = str(error.tag("stage"))
        errors[stage] = errors.get(stage, 0) + error.value
    return trace, errors


def failed_in_time(trace: Trace) -> tuple[Span, Span]:
    """Return the event and the response, which have failed, once each."""
    event, response = trace.one(EVENT, "on_completion_timeout"), trace.one("pipecat.llm")
    assert event.error
    assert response.error
    assert response["llm.outcome"] == "failed"
    turn = trace.one("pipecat.turn")
    assert event.parent is turn
    assert event["processor.name"] == response["processor.name"]
    assert response.start_ns <= event.start_ns <= response.end_ns
    assert turn.error
    assert turn["turn.outcome"] == "failed"
    assert turn["turn.error_count"] == 1
    assert trace.one("pipecat.session")["session.error_count"] == 1
    return event, response


@pytest.mark.parametrize("provider", ["anthropic", "a user's own"])
async def test_a_timeout_that_only_an_event_reports_is_an_error_of_its_response(
    agent: TestAgent, provider: str
) -> None:
    async with Stalls().serving() as stalls:
        own = provider != "anthropic"
        llm = openai_llm(SaysOnlyThat, stalls.url) if own else anthropic_llm(stalls.url)
        trace, errors = await asked(llm, agent)

    event, response = failed_in_time(trace)
    for span in (event, response):
        assert "imeout" in span["error.type"]
        assert span["error.message"] == "the model did not complete its response in time"
        assert span["error.category"] == "connectivity"
    assert errors == {"llm": 1}


async def test_a_timeout_that_an_error_follows_is_counted_once(agent: TestAgent) -> None:
    async with Stalls().serving() as stalls:
        trace, errors = await asked(openai_llm(Impatient, stalls.url), agent)

    _, response = failed_in_time(trace)
    assert response["error.message"] == "LLM completion timeout", "the error that was reported"
    assert errors == {"llm": 1}

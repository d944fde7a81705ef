"""One trace across services: what a tool calls joins it, and what started the bot is linked."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from ddtrace.contrib.asgi import TraceMiddleware
from ddtrace.propagation.http import HTTPPropagator
from ddtrace.trace import tracer
from pipecat.services.llm_service import FunctionCallParams

from pipecat_dd import DatadogObserver
from pipecat_dd.cli.demo.environment import quiet_environment
from pipecat_dd.cli.demo.provider import Answer, CallTool, Say
from pipecat_dd.cli.demo.versions import FunctionSchema, ToolsSchema
from tests.conftest import AGENT_PORT
from tests.support.agent import TestAgent
from tests.support.bot import Bot
from tests.support.shapes import watching
from tests.support.spans import Trace, trace_of
from tests.test_delivery import agent_rate, decisions


@asynccontextmanager
async def weather_service() -> AsyncIterator[str]:
    """Run the other service in a process of its own, and yield its address."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.support.other_service",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={
            **quiet_environment(),
            "DD_TRACE_AGENT_URL": f"http://127.0.0.1:{AGENT_PORT}",
            "DD_SERVICE": "weather",
            "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
            "DD_REMOTE_CONFIGURATION_ENABLED": "false",
        },
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            url = (await process.stdout.readline()).decode().strip()
        yield url
    finally:
        process.stdin.close()
        async with asyncio.timeout(30):
            await process.wait()


def script(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> Answer:
    """Look at the weather, then say how it is."""
    if messages[-1]["role"] == "tool":
        return Say("It is sunny.")
    return CallTool("get_weather", {})


SCHEMA = ToolsSchema(standard_tools=[FunctionSchema("get_weather", "The weather.", {}, [])])


@pytest.mark.parametrize("rate", [1.0, 0.0])
async def test_a_tools_call_to_another_service_is_in_the_trace_with_its_sampling(
    agent: TestAgent, rate: float
) -> None:
    answers: list[dict[str, Any]] = []

    with agent_rate(rate):
        observer = watching()
    async with weather_service() as url:

        async def get_weather(params: FunctionCallParams) -> None:
            async with httpx.AsyncClient() as client:
                answers.append((await client.get(f"{url}/weather")).json())
            await params.result_callback({"sky": "blue"})

        async with Bot(
            observer,
            script=script,
            tools=SCHEMA,
            register=lambda llm: llm.register_function("get_weather", get_weather),
        ) as bot:
            await bot.ask("How is the weather?")
            await bot.end()

    def arrived() -> Trace | None:
        trace = trace_of(agent.spans(), observer.session_id)
        both = trace is not None and trace.named("pipecat.session") and trace.named(INNERMOST)
        return trace if both else None

    tracer.flush()
    trace = agent.wait(arrived)
    trace.check()
    path = []
    span = trace.one(INNERMOST)
    while span is not None:
        path.append((span.raw["service"], span.name, span.raw["parent_id"] == 0))
        span = span.parent  # type: ignore[assignment]
    assert path == [
        ("weather", INNERMOST, False),
        ("weather", "aiohttp.request", False),
        ("test-bot", "http.request", False),
        ("test-bot", "pipecat.tool", False),
        ("test-bot", "pipecat.llm", False),
        ("test-bot", "pipecat.turn", False),
        ("test-bot", "pipecat.session", True),
    ]
    assert decisions(trace) == {int(rate)}, "in both services"
    (answer,) = answers
    call = trace.one(INNERMOST).parent
    assert call is not None
    assert call.parent is not None
    headers = answer["headers"]
    assert headers["x-datadog-trace-id"] == str(int(trace.id[16:], 16))
    assert headers["x-datadog-parent-id"] == str(call.parent.id)
    assert headers["x-datadog-sampling-priority"] == str(int(rate))
    assert headers["traceparent"] == f"00-{trace.id}-{call.parent.id:016x}-0{int(rate)}"


INNERMOST = "weather.look_out_of_the_window"


def web_service(bots: list[asyncio.Task[str]], *, continues: bool) -> httpx.AsyncClient:
    """Return a client of a traced web service that starts a bot at each request."""

    async def converse(observer: DatadogObserver) -> str:
        async with Bot(observer) as bot:
            await bot.ask("How are you?")
            await bot.end()
        return observer.session_id

    async def start(scope: dict[str, Any], receive: Any, send: Any) -> None:
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        parent = HTTPPropagator.extract(headers) if continues else None
        bots.append(asyncio.create_task(converse(watching(parent=parent))))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"started"})

    transport = httpx.ASGITransport(TraceMiddleware(start))
    return httpx.AsyncClient(transport=transport, base_url="http://web")


async def test_a_bot_that_a_web_request_started_is_linked_to_it(agent: TestAgent) -> None:
    bots: list[asyncio.Task[str]] = []
    async with web_service(bots, continues=False) as client:
        (await client.post("/start")).raise_for_status()
        (session_id,) = await asyncio.gather(*bots)

    trace = agent.session(session_id)
    trace.check()
    session = trace.one("pipecat.session")
    assert session.parent_id == 0, "the request is over long before"
    (link,) = json.loads(session["_dd.span_links"])
    requests = [span for span in agent.spans() if span["name"] == "asgi.request"]
    (request,) = (span for span in requests if span["span_id"] == int(link["span_id"], 16))
    assert request["resource"].startswith("POST")
    assert int(link["trace_id"][-16:], 16) == request["trace_id"]
    assert request["trace_id"] != session.raw["trace_id"]


async def test_a_bot_that_is_given_the_callers_headers_continues_its_trace(
    agent: TestAgent,
) -> None:
    bots: list[asyncio.Task[str]] = []
    async with web_service(bots, continues=True) as client:
        with tracer.trace("the.caller") as caller:
            headers: dict[str, str] = {}
            HTTPPropagator.inject(caller.context, headers)
        (await client.post("/start", headers=headers)).raise_for_status()
        (session_id,) = await asyncio.gather(*bots)

    trace = agent.session(session_id)
    session = trace.one("pipecat.session")
    assert session.parent is not None
    assert session.raw["trace_id"] == session.parent.raw["trace_id"]
    assert len(decisions(trace)) == 1

"""Tool calls: from in progress until settled, with what their handlers write and call."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from ddtrace.trace import tracer
from hypothesis import given
from hypothesis import strategies as st
from loguru import logger
from pipecat.frames.frames import FunctionCallInProgressFrame
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.llm_service import FunctionCallParams

from pipecat_dd import DatadogObserver
from pipecat_dd.cli.demo.provider import Answer, CallTool, Say
from pipecat_dd.cli.demo.versions import FunctionSchema, ToolsSchema
from pipecat_dd.instrumentation.failures import REPORTED, reported_failure
from tests.support.agent import TestAgent
from tests.support.bot import Bot
from tests.support.lines import written_lines
from tests.support.shapes import Shaped
from tests.support.versions import needs_pipecat

Handler = Callable[[FunctionCallParams], Awaitable[None]]


def calls(*names: str) -> Callable[[list[dict[str, Any]], list[dict[str, Any]]], Answer]:
    """Have the model call tools first, and answer when their results are there."""

    def script(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> Answer:
        if messages[-1]["role"] == "tool":
            return Say("That is that.")
        return [CallTool(name, {"of": name}) for name in names]

    return script


def bot_with(observer: DatadogObserver, handlers: dict[str, Handler], **options: Any) -> Bot:
    def register(llm: Any) -> None:
        for name, handler in handlers.items():
            llm.register_function(name, handler, **options)

    schemas = [
        FunctionSchema(name, "Does it.", {"of": {"type": "string"}}, []) for name in handlers
    ]
    return Bot(
        observer,
        script=calls(*handlers),
        tools=ToolsSchema(standard_tools=schemas),
        register=register,
    )


async def test_parallel_calls_have_their_own_spans_lines_and_work(agent: TestAgent) -> None:
    async def handler(params: FunctionCallParams) -> None:
        async def part() -> None:
            logger.info(f"part of {params.function_name}")
            with tracer.trace(f"work.{params.function_name}"):
                await asyncio.sleep(0.02)

        logger.info(f"whole of {params.function_name}")
        await asyncio.gather(asyncio.create_task(part()), asyncio.to_thread(part_in_thread, params))
        await params.result_callback({"done": params.function_name})

    def part_in_thread(params: FunctionCallParams) -> None:
        logger.info(f"thread of {params.function_name}")

    names = ("one", "two", "three")
    observer = DatadogObserver()
    with written_lines() as lines:
        async with bot_with(observer, dict.fromkeys(names, handler)) as bot:
            await bot.ask("Do it all")
            await bot.end()

    trace = agent.session(observer.session_id)
    trace.check()
    first, *_ = trace.named("pipecat.llm")
    for name in names:
        tool = trace.one("pipecat.tool", name)
        assert tool.parent is first
        assert tool["tool.outcome"] == "completed"
        assert tool["tool.name"] == name
        assert tool["tool.call_id"]
        assert 0 <= tool["tool.wait_seconds"] < 1
        assert trace.one(f"work.{name}").parent is tool
        for what in ("part", "whole", "thread"):
            assert lines.one(f"{what} of {name}")["dd.span_id"] == str(tool.id)


@needs_pipecat("1.8", "a tool that raised is never answered, and the model waits for it")
async def test_a_handler_that_raises_fails_its_span_with_its_own_stack(agent: TestAgent) -> None:
    async def broken(params: FunctionCallParams) -> None:
        raise LookupError("no such city")

    observer = DatadogObserver()
    async with bot_with(observer, {"broken": broken}) as bot:
        await bot.ask("Do it")
        await bot.end()

    trace = agent.session(observer.session_id)
    trace.check()
    tool = trace.one("pipecat.tool")
    assert tool.error
    assert tool["tool.outcome"] == "failed"
    assert tool["error.type"] == "LookupError"
    assert "no such city" in tool["error.message"]
    assert "raise LookupError" in tool["error.stack"]
    assert not any(span.error for span in trace.named("pipecat.llm")), "the model did its part"
    assert trace.one("pipecat.turn")["turn.outcome"] == "answered"


@needs_pipecat("1.8", "a call past its deadline is answered with nothing, as if by its tool")
async def test_a_call_past_its_deadline_timed_out(agent: TestAgent) -> None:
    async def slow(params: FunctionCallParams) -> None:
        await asyncio.sleep(60)

    observer = DatadogObserver()
    async with bot_with(observer, {"slow": slow}, timeout_secs=0.1) as bot:
        await bot.user_says("Do it")
        await bot.watch.until(lambda: len(bot.provider.requests) >= 2)
        await bot.end()

    tool = agent.session(observer.session_id).one("pipecat.tool")
    assert tool["tool.outcome"] == "timed_out"
    assert tool.error
    assert 0.1 <= tool.secs < 5


async def test_a_call_that_an_interruption_cancels_is_cancelled_and_no_error(
    agent: TestAgent,
) -> None:
    async def slow(params: FunctionCallParams) -> None:
        await asyncio.sleep(60)

    observer = DatadogObserver()
    async with bot_with(observer, {"slow": slow}, cancel_on_interruption=True) as bot:
        await bot.user_says("Do it")
        await bot.until(FunctionCallInProgressFrame)
        await bot.user_says("Never mind")
        await bot.worker.cancel()

    tool = agent.session(observer.session_id).named("pipecat.tool")[0]
    assert tool["tool.outcome"] == "cancelled"
    assert not tool.error


async def test_a_call_that_does_not_block_may_outlive_its_turn(agent: TestAgent) -> None:
    settled = asyncio.Event()

    async def background(params: FunctionCallParams) -> None:
        await settled.wait()
        await params.result_callback({"done": True})

    observer = DatadogObserver()
    async with bot_with(observer, {"background": background}, cancel_on_interruption=False) as bot:
        await bot.user_says("Do it")
        await bot.until(FunctionCallInProgressFrame)
        await bot.user_says("And meanwhile?")
        await bot.watch.until(lambda: len(bot.provider.requests) >= 2)
        settled.set()
        await bot.watch.until(
            lambda: any(type(f).__name__ == "FunctionCallResultFrame" for f in bot.watch.seen)
        )
        await bot.end()

    trace = agent.session(observer.session_id)
    trace.check()
    tool = trace.named("pipecat.tool")[0]
    assert tool["tool.outcome"] == "completed"
    turns = trace.named("pipecat.turn")
    asked = tool.parent
    assert asked is not None
    assert asked.parent is turns[0]
    assert tool.end_ns > turns[0].end_ns


# What a tool's result says


NO_CITY = {"status": "error", "error": "no such city"}


@pytest.mark.parametrize("result", [NO_CITY, {"error": "no such city"}])
@pytest.mark.parametrize("capture", [False, True])
async def test_a_tool_whose_result_reports_a_failure_has_failed(
    agent: TestAgent, capture: bool, result: dict[str, Any]
) -> None:
    async def reports(params: FunctionCallParams) -> None:
        await params.result_callback(result)

    observer = DatadogObserver(capture_content=capture)
    async with bot_with(observer, {"reports": reports}) as bot:
        await bot.ask("Do it")
        await bot.end()

    trace = agent.session(observer.session_id)
    trace.check()
    tool, turn = trace.one("pipecat.tool"), trace.one("pipecat.turn")
    assert tool["tool.outcome"] == "failed"
    assert tool.error
    assert tool["error.type"] == "ToolError"
    assert tool["error.message"] == ("no such city" if capture else REPORTED)
    assert turn["turn.outcome"] == "answered"
    assert turn["turn.error_count"] == trace.one("pipecat.session")["session.error_count"] == 1
    assert not turn.error, "it was answered in spite of the error"


ORDINARY: list[Any] = [
    {"status": "shipped"},
    {"status": "error", "order": 12, "error": None},
    {"status": "error", "device": "pump 3"},
    {"status": "error", "error": {"code": 3}},
    {"status": "ok", "error": "none"},
    {"status": "ERROR", "error": "no such city"},
    {"error": None},
    {"error": ""},
    {"error": "E-12", "machine": "pump 3"},
    {"order": {"status": "error", "error": "late"}},
    [{"status": "error", "error": "late"}],
    "Error calling a taxi: none is free",
    "error",
    "",
    None,
    404,
]


@pytest.mark.parametrize("result", ORDINARY, ids=repr)
def test_an_ordinary_result_reports_no_failure(result: Any) -> None:
    assert reported_failure(result, "look_up") is None


@pytest.mark.parametrize(
    "result",
    [
        {"status": "error", "error": ""},
        {"status": "error"},
        {"status": "error", "message": "it is late", "code": 3},
        {"status": "error", "error": "late", "order": 12},
        "Error calling mcp tool look_up: it is late",
        "Error executing tool look_up: it is late",
        "Error executing tool look_up",
        "Sorry, could not call the mcp tool",
    ],
    ids=repr,
)
def test_a_result_that_is_nothing_but_a_failure_reports_one(result: Any) -> None:
    assert reported_failure(result, "look_up")


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(["status", "error", "message", "x"]) | st.text(max_size=3), inner
            )
        ),
        max_leaves=8,
    )
)
def test_whatever_a_tool_returns_is_judged(result: Any) -> None:
    found = reported_failure(result, "look_up")
    assert found is None or isinstance(found, str)


@needs_pipecat("1.8", "flows are a package of their own")
async def test_a_flows_function_that_raises_has_failed(agent: TestAgent) -> None:
    from pipecat.flows import FlowManager, FlowsFunctionSchema, NodeConfig

    async def breaks(args: Any, flow_manager: Any) -> Any:
        raise ValueError("no such pizza")

    async def works(args: Any, flow_manager: Any) -> Any:
        return {"status": "success", "size": "large"}, None

    def schema(name: str, handler: Any) -> Any:
        return FlowsFunctionSchema(
            name=name, description="x", properties={}, required=[], handler=handler
        )

    def shape(bot: Shaped) -> list[FrameProcessor]:
        bot.llm = bot.make_llm()
        user, assistant = bot.pair.user(), bot.pair.assistant()
        return [bot.make_stt(), user, bot.llm, bot.make_tts(), bot.output, assistant]

    observer = DatadogObserver()
    async with Shaped(shape, observer, script=calls("breaks", "works")) as bot:
        flow = FlowManager(llm=bot.llm, context_aggregator=bot.pair, worker=bot.worker)
        functions = [schema("breaks", breaks), schema("works", works)]
        message = {"role": "developer", "content": "Take the order"}
        await flow.initialize(
            NodeConfig(
                name="order",
                task_messages=[message],
                functions=functions,
                respond_immediately=False,
            )
        )
        await bot.ask("A pizza, please")
        await bot.end()

    trace = agent.session(observer.session_id)
    trace.check()
    assert trace.one("pipecat.tool", "breaks")["tool.outcome"] == "failed"
    assert trace.one("pipecat.tool", "breaks").error
    assert trace.one("pipecat.tool", "works")["tool.outcome"] == "completed"


MCP_SERVER = """
import os
from mcp.server import MCPServer

server = MCPServer("tests")


@server.tool()
def works(of: str) -> str:
    return "it works"


@server.tool()
def breaks(of: str) -> str:
    raise ValueError("no such city")


@server.tool()
def dies(of: str) -> str:
    os._exit(1)


server.run()
"""


@needs_pipecat("1.14", "MCP's client is another")
@pytest.mark.parametrize(
    "expected", [{"works": "completed", "breaks": "failed"}, {"dies": "failed"}], ids=repr
)
async def test_tools_over_mcp_that_fail_have_failed(
    agent: TestAgent, expected: dict[str, str]
) -> None:
    mcp = pytest.importorskip("mcp")
    from pipecat.services.mcp_service import MCPClient

    parameters = mcp.StdioServerParameters(
        command=sys.executable, args=["-c", MCP_SERVER], env={"PYTHONPATH": ":".join(sys.path)}
    )
    observer = DatadogObserver()
    async with MCPClient(parameters) as client:
        schemas = await client.tools()
        bot = Bot(observer, script=calls(*expected), tools=schemas)
        async with bot:
            await bot.ask("Do it all")
            await bot.end()

    trace = agent.session(observer.session_id)
    trace.check()
    outcomes = {tool.resource: tool["tool.outcome"] for tool in trace.named("pipecat.tool")}
    assert outcomes == expected

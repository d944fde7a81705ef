"""Pipecat Flows: spans and lines carry the node that the conversation's flow is at."""

import asyncio
import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from loguru import logger
from pipecat.frames.frames import EndFrame, StartFrame

from pipecat_dd import DatadogObserver
from pipecat_dd.cli.demo.provider import Answer, CallTool, Say
from pipecat_dd.cli.demo.versions import WorkerRunner
from tests.support.agent import TestAgent
from tests.support.bot import Bot
from tests.support.lines import Lines, written_lines
from tests.support.spans import Trace
from tests.support.versions import needs_pipecat

pytest.importorskip("pipecat.flows", reason="Pipecat has Flows since 1.8 at the latest")

from pipecat.flows import FlowManager, FlowsFunctionSchema, NodeConfig
from pipecat.flows.types import FlowArgs


def script(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> Answer:
    """Call the tool that the user names, if the node has it."""
    names = [tool["function"]["name"] for tool in tools or []]
    last = messages[-1]
    asked = str(last["content"]).rstrip(".") if last["role"] == "user" else ""
    return CallTool(asked, {}) if asked in names else Say("Fine, and then?")


def edge(name: str, to: Callable[[], NodeConfig] | None) -> FlowsFunctionSchema:
    """Return a function of a node that leads to another, or stays."""

    async def handler(args: FlowArgs, manager: FlowManager) -> tuple[Any, NodeConfig | None]:
        logger.info(f"in {name}")
        return {"done": True}, to() if to is not None else None

    return FlowsFunctionSchema(
        name=name, description="Does it.", properties={}, required=[], handler=handler
    )


def node(name: str | None, *functions: FlowsFunctionSchema, **more: Any) -> NodeConfig:
    config: dict[str, Any] = {
        "task_messages": [{"role": "developer", "content": "Go on."}],
        "functions": list(functions),
        **more,
    }
    if name is not None:
        config["name"] = name
    return NodeConfig(**config)


def pizza() -> NodeConfig:
    return node("pizza", edge("order", lambda: node(None)))


def first() -> NodeConfig:
    welcome = {"type": "tts_say", "text": "Welcome."}
    return node("first", edge("hours", None), edge("record", pizza), pre_actions=[welcome])


def manager_of(bot: Bot) -> FlowManager:
    return FlowManager(llm=bot.llm, context_aggregator=bot.aggregators, worker=bot.worker)


def nodes(trace: Trace, name: str) -> list[Any]:
    return [span.get("flow.node") for span in trace.named(name)]


@pytest.mark.parametrize("is_late", [False, True], ids=["made before the run", "made in it"])
async def test_spans_and_lines_carry_the_node(agent: TestAgent, is_late: bool) -> None:
    with written_lines() as lines:
        observer = DatadogObserver(turn_end_timeout_secs=0.1)
        bot = Bot(observer, script=script)
        async with bot.provider:
            bot.build(bot.provider.url)
            manager = None if is_late else manager_of(bot)
            async with bot:
                await bot.until(StartFrame)
                manager = manager or manager_of(bot)
                logger.info("no node yet")
                await manager.initialize(first())
                logger.info("greeted")
                await bot.answered(2)
                await bot.ask("hours")
                await bot.ask("record")
                logger.info("transferred")
                await bot.ask("order")
                await bot.ask("Bye.")
                await bot.end()
        logger.info("over")

    trace = agent.session(observer.session_id)
    trace.check()
    assert nodes(trace, "pipecat.turn")[0] == "first", "the node came after the turn's beginning"
    assert nodes(trace, "pipecat.turn")[-4:] == ["first", "first", "pizza", "unnamed"]
    by_tool = {tool.resource: tool.get("flow.node") for tool in trace.named("pipecat.tool")}
    assert by_tool == {"hours": "first", "record": "first", "order": "pizza"}
    models = nodes(trace, "pipecat.llm")
    assert models == [*["first"] * 4, "pizza", "pizza", "unnamed", "unnamed"]
    others = {s.name for s in trace.spans if "flow.node" in s.tags}
    assert others == {"pipecat.turn", "pipecat.llm", "pipecat.tool"}

    def at(text: str) -> Any:
        return lines.one(text).get("flow.node")

    assert (at("no node yet"), at("greeted"), at("transferred")) == (None, "first", "pizza")
    assert (at("in hours"), at("in record"), at("in order")) == ("first", "first", "pizza")
    assert at("over") is None


async def test_a_turn_that_began_before_the_first_node_has_that_one(agent: TestAgent) -> None:
    def records_at_once(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> Answer:
        names = [tool["function"]["name"] for tool in tools or []]
        return CallTool("record", {}) if "record" in names else Say("Which pizza?")

    observer = DatadogObserver()
    async with Bot(observer, script=records_at_once) as bot:
        await bot.until(StartFrame)
        await manager_of(bot).initialize(first())
        await bot.answered(2)
        await bot.end()
    trace = agent.session(observer.session_id)
    assert nodes(trace, "pipecat.llm") == ["first", "pizza"]
    assert nodes(trace, "pipecat.turn") == ["first"], "though it ended in another"


async def test_what_a_line_binds_as_its_node_wins(lines: Lines) -> None:
    observer = DatadogObserver()
    async with Bot(observer, script=script) as bot:
        await manager_of(bot).initialize(first())
        await bot.answered()
        logger.bind(**{"flow.node": "mine"}).info("bound")
        logger.bind(**{"flow.node": 3}).info("no node")
        logger.bind(flow="checkout").info("a word of its own")
        await bot.end()
    assert lines.one("bound")["flow.node"] == "mine"
    assert lines.one("no node")["flow.node"] == "first"
    assert lines.one("no node")["extra"] == {"flow.node": 3}
    assert lines.one("a word of its own")["flow"] == "checkout"


@pytest.fixture
def lines() -> Any:
    with written_lines() as written:
        yield written


async def test_a_long_name_is_cut(lines: Lines) -> None:
    observer = DatadogObserver()
    async with Bot(observer, script=script) as bot:
        await manager_of(bot).initialize(node("n" * 300))
        await bot.answered()
        logger.info("here")
        await bot.end()
    assert lines.one("here")["flow.node"] == "n" * 100


async def test_each_model_has_the_node_of_its_workers_flow(agent: TestAgent) -> None:
    observer = DatadogObserver()
    bots = [Bot(observer, script=script), Bot(script=script)]
    runner = WorkerRunner(handle_sigint=False)
    async with bots[0].provider, bots[1].provider:
        for bot in bots:
            bot.build(bot.provider.url)
        bots[1].worker.add_observer(observer)
        await runner.add_workers(*(bot.worker for bot in bots))
        running = asyncio.create_task(runner.run())
        for bot, name in zip(bots, ("front", "back"), strict=True):
            manager = manager_of(bot)
            await manager.initialize(node(name, edge("stay", None)))
            await bot.answered(1)
            await bot.ask("stay")
        for bot in bots:
            await bot.push(EndFrame())
        await asyncio.wait_for(running, 15)
    trace = agent.session(observer.session_id)
    for kind in ("pipecat.llm", "pipecat.tool"):
        found = {(span.get("worker.name"), span.get("flow.node")) for span in trace.named(kind)}
        names = {bot.worker.name: node for bot, node in zip(bots, ("front", "back"), strict=True)}
        assert found == set(names.items()), kind


async def test_of_two_flows_of_a_worker_each_is_its_models() -> None:
    observer = DatadogObserver()
    spare = Bot()
    async with spare.provider, Bot(observer, script=script) as bot:
        spare.build(spare.provider.url)
        await manager_of(bot).initialize(node("mine"))
        other = FlowManager(llm=spare.llm, context_aggregator=bot.aggregators, worker=bot.worker)
        await other.initialize(node("others"))
        await bot.answered()
        session = observer.session
        assert session.flow_node is not None
        own = next(p for p in session.processors.values() if p.name == bot.llm.name)
        assert session.flow_node(own) == "mine"
        assert session.flow_node(None) == "others", "the latest"
        await bot.end()


async def test_a_bot_without_a_flow_pays_nothing_and_says_nothing(
    agent: TestAgent, lines: Lines
) -> None:
    observer = DatadogObserver()
    async with Bot(observer) as bot:
        await bot.ask("Hello.")
        logger.info("here")
        assert observer.session.flow_node is None
        await bot.end()
    assert "flow.node" not in lines.one("here")
    assert not any("flow.node" in s.tags for s in agent.session(observer.session_id).spans)


async def test_the_worker_is_left_as_it_was() -> None:
    observer = DatadogObserver()
    async with Bot(observer, script=script) as bot:
        await manager_of(bot).initialize(first())
        await bot.answered(2)
        assert "add_event_handler" in vars(bot.worker)
        await bot.end()
    assert "add_event_handler" not in vars(bot.worker)


@needs_pipecat("1.13", "Pipecat itself keeps a bot's flow alive")
async def test_the_session_keeps_no_flow_alive() -> None:
    observer = DatadogObserver()
    async with Bot(observer, script=script) as bot:
        manager = manager_of(bot)
        await manager.initialize(first())
        await bot.answered(2)
        await bot.end()
    session, held = observer.session, weakref.ref(manager)
    assert session.flow_node is not None
    del manager, bot
    gc.collect()
    assert held() is None
    assert session.flow_node(None) is None

"""A tool may settle without an answer, and the answer come later: of the same turn."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from loguru import logger
from pipecat.frames.frames import (
    BotStoppedSpeakingFrame,
    FunctionCallResultFrame,
    FunctionCallResultProperties,
    LLMRunFrame,
    StartFrame,
    TTSSpeakFrame,
)
from pipecat.services.llm_service import FunctionCallParams

from pipecat_dd import DatadogObserver
from pipecat_dd.cli.demo.provider import CallTool, Say
from tests.conversation.stages.test_tools import bot_with
from tests.support.agent import TestAgent
from tests.support.bot import Bot
from tests.support.dialogue import END, answered, ask, finished, hold, pause, until, user
from tests.support.lines import Lines, written_lines
from tests.support.shapes import watching
from tests.support.spans import Trace
from tests.support.versions import needs_pipecat

TURN_END_SECS = 0.2
LONGER = 0.8
"""How long the answer takes: several times as long as a turn's end is waited for."""

STARTED: list[asyncio.Task[None]] = []
"""The tasks that handlers have started, as a bot would keep them."""


# What a tool does: each settles without asking the model for an answer.


async def settle(params: FunctionCallParams, **properties: Any) -> None:
    settled = FunctionCallResultProperties(run_llm=False, **properties)
    await params.result_callback({"ok": True}, properties=settled)


async def ask_later(bot: Bot) -> None:
    await asyncio.sleep(LONGER)
    logger.info("still at it")
    await bot.push(LLMRunFrame())


async def asks_after_it_has_settled(bot: Bot, params: FunctionCallParams) -> None:
    await settle(params)
    await ask_later(bot)


async def starts_a_task_that_asks(bot: Bot, params: FunctionCallParams) -> None:
    STARTED.append(asyncio.create_task(ask_later(bot)))
    await settle(params)


async def asks_once_the_context_is_updated(bot: Bot, params: FunctionCallParams) -> None:
    async def then() -> None:
        await ask_later(bot)

    await settle(params, on_context_updated=then)


async def starts_a_task_that_goes_on(bot: Bot, params: FunctionCallParams) -> None:
    await params.llm.push_frame(TTSSpeakFrame("Noted."))
    await bot.until(BotStoppedSpeakingFrame)
    STARTED.append(asyncio.create_task(asyncio.sleep(60)))
    await settle(params)


async def does_nothing_more(bot: Bot, params: FunctionCallParams) -> None:
    await settle(params)


async def fails_once_the_context_is_updated(bot: Bot, params: FunctionCallParams) -> None:
    async def then() -> None:
        raise ValueError("it broke")

    await settle(params, on_context_updated=then)


Tool = Callable[[Bot, FunctionCallParams], Awaitable[None]]


def bot_whose_tool(observer: DatadogObserver, tool: Tool) -> Bot:
    async def handler(params: FunctionCallParams) -> None:
        await tool(bot, params)

    bot = bot_with(observer, {"look_up": handler})
    return bot


@pytest.fixture(autouse=True)
def no_task_is_left() -> Iterator[None]:
    yield
    for task in STARTED:
        with suppress(RuntimeError):  # its event loop is closed
            task.cancel()
    STARTED.clear()


def is_one_answered_turn(trace: Trace, lines: Lines) -> None:
    turn = trace.one("pipecat.turn")
    assert turn["turn.outcome"] == "answered"
    assert turn.secs > LONGER
    assert len([llm for llm in trace.named("pipecat.llm") if llm.parent is turn]) == 2
    ids = {str(span.id) for span in turn.walk()}
    assert {line["dd.span_id"] for line in lines.saying("still at it")} <= ids
    assert lines.saying("still at it")
    assert turn["turn.wait.tools_seconds"] > LONGER
    assert turn["turn.wait.llm_seconds"] < LONGER


@pytest.mark.parametrize(
    "tool",
    [asks_after_it_has_settled, starts_a_task_that_asks, asks_once_the_context_is_updated],
)
async def test_an_answer_that_a_tool_asks_for_later_is_of_the_same_turn(
    agent: TestAgent, tool: Tool
) -> None:
    observer = watching(turn_end_timeout_secs=TURN_END_SECS)
    with written_lines() as lines:
        bot = bot_whose_tool(observer, tool)
        trace = await hold(agent, bot, observer, [ask("Look it up"), END])

    is_one_answered_turn(trace, lines)


@pytest.mark.parametrize(
    ("tool", "pause_secs"),
    [
        (starts_a_task_that_goes_on, 3 * TURN_END_SECS),
        (does_nothing_more, 3 * TURN_END_SECS),
        (fails_once_the_context_is_updated, 4 * TURN_END_SECS),
    ],
)
async def test_a_tool_of_which_no_answer_comes_keeps_no_turn_open(
    agent: TestAgent, tool: Tool, pause_secs: float
) -> None:
    async def write_a_line(_: Bot) -> None:
        logger.info("nobody waits any more")

    observer = watching(turn_end_timeout_secs=TURN_END_SECS)
    with written_lines() as lines:
        trace = await hold(
            agent,
            bot_whose_tool(observer, tool),
            observer,
            [user("Note it"), until(FunctionCallResultFrame), pause(pause_secs), write_a_line, END],
        )

    turn = trace.one("pipecat.turn")
    assert turn["turn.end_reason"] == "bot_finished"
    line = lines.one("nobody waits any more")
    assert line["dd.span_id"] == str(trace.one("pipecat.session").id)
    if tool is does_nothing_more:
        assert turn["turn.outcome"] == "unanswered"
        assert 0 <= turn.end_ns - trace.one("pipecat.tool").end_ns < 1e9 * TURN_END_SECS / 2


@needs_pipecat("1.14", "flows are a package of their own")
async def test_a_flow_whose_transition_takes_a_while_answers_in_the_same_turn(
    agent: TestAgent,
) -> None:
    from pipecat.flows import FlowManager, FlowsFunctionSchema, NodeConfig

    async def slow(action: dict[str, Any], flow: Any) -> None:
        await asyncio.sleep(LONGER)
        logger.info("still at it")

    async def take_name(args: dict[str, Any], flow: Any) -> Any:
        return {"ok": True}, NodeConfig(
            name="second",
            task_messages=[{"role": "developer", "content": "Ask the order"}],
            functions=[],
            pre_actions=[{"type": "function", "handler": slow}],
        )

    def script(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> Any:
        named = any(tool["function"]["name"] == "take_name" for tool in tools or ())
        return CallTool("take_name", {"name": "Ann"}) if named else Say("And your order?")

    observer = watching(turn_end_timeout_secs=TURN_END_SECS)
    with written_lines() as lines:
        async with Bot(observer, script=script) as bot:
            schema = FlowsFunctionSchema(
                name="take_name",
                description="Takes it.",
                properties={"name": {"type": "string"}},
                required=["name"],
                handler=take_name,
            )
            flow = FlowManager(worker=bot.worker, llm=bot.llm, context_aggregator=bot.aggregators)
            await bot.until(StartFrame)
            await asyncio.sleep(0.1)
            await flow.initialize(
                NodeConfig(
                    name="first",
                    task_messages=[{"role": "developer", "content": "Ask the name"}],
                    functions=[schema],
                    respond_immediately=False,
                )
            )
            await bot.ask("My name is Ann")
            await bot.end()

    is_one_answered_turn(finished(agent, observer), lines)


async def test_words_while_a_tool_runs_explain_the_wait_as_the_tools(agent: TestAgent) -> None:
    async def handler(params: FunctionCallParams) -> None:
        await asyncio.sleep(LONGER)
        await params.llm.push_frame(TTSSpeakFrame("One moment."))
        await asyncio.sleep(LONGER)
        await params.result_callback({"ok": True})

    observer = watching(turn_end_timeout_secs=TURN_END_SECS)
    bot = bot_with(observer, {"look_up": handler})
    trace = await hold(agent, bot, observer, [user("Look it up"), answered(2), END])
    turn = trace.one("pipecat.turn")
    assert turn["turn.wait.tools_seconds"] > LONGER
    assert turn["turn.wait.aggregation_seconds"] < LONGER

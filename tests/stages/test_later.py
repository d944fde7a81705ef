"""A tool may settle without an answer, and the answer come later: of the same turn."""

import asyncio
from typing import Any

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
from tests.stages.test_tools import bot_with
from tests.support.agent import TestAgent
from tests.support.bot import Bot
from tests.support.lines import Lines, written_lines
from tests.support.shapes import watching
from tests.support.spans import Trace
from tests.support.versions import needs_pipecat

TURN_END_SECS = 0.2
LONGER = 0.8
"""How long the answer takes: several times as long as a turn's end is waited for."""


def told(agent: TestAgent, observer: DatadogObserver) -> Trace:
    trace = agent.session(observer.session_id)
    trace.check()
    return trace


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


async def test_what_a_handler_asks_for_after_it_has_settled_is_of_the_same_turn(
    agent: TestAgent,
) -> None:
    async def handler(params: FunctionCallParams) -> None:
        settled = FunctionCallResultProperties(run_llm=False)
        await params.result_callback({"ok": True}, properties=settled)
        await asyncio.sleep(LONGER)
        logger.info("still at it")
        await bot.push(LLMRunFrame())

    observer = watching(turn_end_timeout_secs=TURN_END_SECS)
    with written_lines() as lines:
        async with bot_with(observer, {"look_up": handler}) as bot:
            await bot.ask("Look it up")
            await bot.end()

    is_one_answered_turn(told(agent, observer), lines)


async def test_what_a_task_asks_for_that_the_handler_has_started_is_of_the_same_turn(
    agent: TestAgent,
) -> None:
    started: list[asyncio.Task[None]] = []

    async def later() -> None:
        await asyncio.sleep(LONGER)
        logger.info("still at it")
        await bot.push(LLMRunFrame())

    async def handler(params: FunctionCallParams) -> None:
        settled = FunctionCallResultProperties(run_llm=False)
        started.append(asyncio.create_task(later()))
        await params.result_callback({"ok": True}, properties=settled)

    observer = watching(turn_end_timeout_secs=TURN_END_SECS)
    with written_lines() as lines:
        async with bot_with(observer, {"look_up": handler}) as bot:
            await bot.ask("Look it up")
            await bot.end()

    is_one_answered_turn(told(agent, observer), lines)


async def test_a_task_that_goes_on_after_the_answer_keeps_no_turn_open(agent: TestAgent) -> None:
    started: list[asyncio.Task[None]] = []

    async def handler(params: FunctionCallParams) -> None:
        settled = FunctionCallResultProperties(run_llm=False)
        await params.llm.push_frame(TTSSpeakFrame("Noted."))
        await bot.until(BotStoppedSpeakingFrame)
        started.append(asyncio.create_task(asyncio.sleep(60)))
        await params.result_callback({"ok": True}, properties=settled)

    observer = watching(turn_end_timeout_secs=TURN_END_SECS)
    with written_lines() as lines:
        async with bot_with(observer, {"note": handler}) as bot:
            await bot.user_says("Note it")
            await bot.until(FunctionCallResultFrame)
            await asyncio.sleep(3 * TURN_END_SECS)
            logger.info("nobody waits any more")
            await bot.end()
    started[0].cancel()

    trace = told(agent, observer)
    assert trace.one("pipecat.turn")["turn.end_reason"] == "bot_finished"
    line = lines.one("nobody waits any more")
    assert line["dd.span_id"] == str(trace.one("pipecat.session").id)


async def test_what_is_run_once_the_context_is_updated_is_of_the_same_turn(
    agent: TestAgent,
) -> None:
    async def then() -> None:
        await asyncio.sleep(LONGER)
        logger.info("still at it")
        await bot.push(LLMRunFrame())

    async def handler(params: FunctionCallParams) -> None:
        settled = FunctionCallResultProperties(run_llm=False, on_context_updated=then)
        await params.result_callback({"ok": True}, properties=settled)

    observer = watching(turn_end_timeout_secs=TURN_END_SECS)
    with written_lines() as lines:
        async with bot_with(observer, {"look_up": handler}) as bot:
            await bot.ask("Look it up")
            await bot.end()

    is_one_answered_turn(told(agent, observer), lines)


async def test_a_tool_after_which_nothing_comes_keeps_no_turn_open(agent: TestAgent) -> None:
    async def handler(params: FunctionCallParams) -> None:
        settled = FunctionCallResultProperties(run_llm=False)
        await params.result_callback({"ok": True}, properties=settled)

    observer = watching(turn_end_timeout_secs=TURN_END_SECS)
    with written_lines() as lines:
        async with bot_with(observer, {"note": handler}) as bot:
            await bot.user_says("Note it")
            await bot.until(FunctionCallResultFrame)
            await asyncio.sleep(3 * TURN_END_SECS)
            logger.info("nobody waits any more")
            await bot.end()

    trace = told(agent, observer)
    turn = trace.one("pipecat.turn")
    assert turn["turn.end_reason"] == "bot_finished"
    assert turn["turn.outcome"] == "unanswered"
    assert 0 <= turn.end_ns - trace.one("pipecat.tool").end_ns < 1e9 * TURN_END_SECS / 2
    line = lines.one("nobody waits any more")
    assert line["dd.span_id"] == str(trace.one("pipecat.session").id)


async def test_a_callback_that_fails_keeps_no_turn_open(agent: TestAgent) -> None:
    async def then() -> None:
        raise ValueError("it broke")

    async def handler(params: FunctionCallParams) -> None:
        settled = FunctionCallResultProperties(run_llm=False, on_context_updated=then)
        await params.result_callback({"ok": True}, properties=settled)

    observer = watching(turn_end_timeout_secs=TURN_END_SECS)
    async with bot_with(observer, {"note": handler}) as bot:
        await bot.user_says("Note it")
        await bot.until(FunctionCallResultFrame)
        await asyncio.sleep(4 * TURN_END_SECS)
        await bot.end()

    assert told(agent, observer).one("pipecat.turn")["turn.end_reason"] == "bot_finished"


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

    trace = told(agent, observer)
    is_one_answered_turn(trace, lines)


async def test_words_while_a_tool_runs_explain_the_wait_as_the_tools(agent: TestAgent) -> None:
    async def handler(params: FunctionCallParams) -> None:
        await asyncio.sleep(LONGER)
        await params.llm.push_frame(TTSSpeakFrame("One moment."))
        await asyncio.sleep(LONGER)
        await params.result_callback({"ok": True})

    observer = watching(turn_end_timeout_secs=TURN_END_SECS)
    async with bot_with(observer, {"look_up": handler}) as bot:
        await bot.user_says("Look it up")
        await bot.answered(2)
        await bot.end()

    turn = told(agent, observer).one("pipecat.turn")
    assert turn["turn.wait.tools_seconds"] > LONGER
    assert turn["turn.wait.aggregation_seconds"] < LONGER

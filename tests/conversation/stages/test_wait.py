"""What the user waited for: parts that add up to the whole, and agree with Pipecat's own count."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipecat.observers.user_bot_latency_observer import UserBotLatencyObserver
from pipecat.services.llm_service import FunctionCallParams

from pipecat_dd import DatadogObserver
from pipecat_dd.cli.demo.provider import Answer, CallTool, Say
from pipecat_dd.cli.demo.versions import FunctionSchema, ToolsSchema
from pipecat_dd.conversation.latency import LatencyBreakdown
from pipecat_dd.names.tags import WAIT_PARTS
from tests.support.agent import TestAgent
from tests.support.bot import Bot

TOOL_SECS = 0.15


def looks_first(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> Answer:
    asked = messages[-1]
    if asked["role"] == "user" and "weather" in asked["content"]:
        return CallTool("look", {})
    return Say("That is that.")


async def look(params: FunctionCallParams) -> None:
    await asyncio.sleep(TOOL_SECS)
    await params.result_callback({"sky": "blue"})


async def test_the_parts_of_the_wait_add_up_to_it_and_it_is_what_pipecat_measures(
    agent: TestAgent,
) -> None:
    observer, pipecats = DatadogObserver(), UserBotLatencyObserver()
    measured: list[float] = []

    @pipecats.event_handler("on_latency_measured")
    async def on_latency_measured(_: Any, secs: float) -> None:
        measured.append(secs)

    async with Bot(
        observer,
        pipecats,
        script=looks_first,
        tools=ToolsSchema(standard_tools=[FunctionSchema("look", "Looks.", {}, [])]),
        register=lambda llm: llm.register_function("look", look),
    ) as bot:
        await bot.ask("How are you?")
        await bot.ask("How is the weather?")
        await bot.end()

    plain, with_tool = agent.session(observer.session_id).named("pipecat.turn")
    for turn, pipecats_secs in zip((plain, with_tool), measured, strict=True):
        parts = [turn[f"turn.wait.{name}_seconds"] for name, _ in WAIT_PARTS]
        assert min(parts) >= 0
        assert sum(parts) == pytest.approx(turn["turn.user_bot_latency_seconds"], abs=1e-6)
        # Pipecat's observer reads the clock when its queue gets to the frame.
        assert turn["turn.user_bot_latency_seconds"] == pytest.approx(pipecats_secs, abs=0.1)
    for turn in (plain, with_tool):
        assert turn["turn.wait.llm_seconds"] >= 0.03
        assert turn["turn.wait.synthesis_seconds"] >= 0.02
        assert turn["turn.wait.end_of_turn_seconds"] >= 0.05
    assert plain["turn.wait.tools_seconds"] == 0
    assert TOOL_SECS <= with_tool["turn.wait.tools_seconds"] < TOOL_SECS + 1


moments = st.integers(0, 10_000_000_000)


@given(silent_ns=moments, reached=st.lists(moments, min_size=7, max_size=7), waited_ns=moments)
def test_whatever_came_in_whatever_order_no_part_is_negative_and_all_add_up(
    silent_ns: int, reached: list[int], waited_ns: int
) -> None:
    parts = LatencyBreakdown(silent_ns, *reached).parts(silent_ns + waited_ns)
    assert [name for name, _ in WAIT_PARTS] == list(parts)
    assert min(parts.values()) >= 0
    assert sum(parts.values()) == pytest.approx(waited_ns / 1e9, abs=1e-6)

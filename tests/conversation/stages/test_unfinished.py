"""A user who was ruled not to have finished, and went on."""

import asyncio
from typing import Any

import pytest
from pipecat.frames.frames import LLMFullResponseEndFrame, TranscriptionFrame
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.turns import user_turn_strategies
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy

from pipecat_dd.cli.demo.provider import Answer, Say
from tests.conversation.stages.test_shapes import told
from tests.support.agent import TestAgent
from tests.support.shapes import Shaped, watching
from tests.support.versions import needs_pipecat

pytestmark = needs_pipecat("1.14", "turns are not ruled by the model")


def plain(bot: Shaped) -> list[FrameProcessor]:
    return [bot.make_stt(), bot.pair.user(), bot.make_llm(), bot.make_tts(), bot.output]


def judges(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> Answer:
    said = [m["content"] for m in messages if m["role"] == "user"]
    return Say("● Fine, thank you." if "today" in str(said[-1:]) else "○")


async def test_the_wait_and_the_ruling_are_from_where_they_fell_silent_at_last(
    agent: TestAgent,
) -> None:
    detector = SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=0.05)
    strategies = user_turn_strategies.FilterIncompleteUserTurnStrategies(stop=[detector])
    observer = watching()
    async with Shaped(
        plain, observer, script=judges, user={"user_turn_strategies": strategies}
    ) as bot:
        await bot.user_says("How are you")
        await bot.until(TranscriptionFrame, 1)
        await bot.until(LLMFullResponseEndFrame, 1)
        await asyncio.sleep(0.3)
        await bot.user_says("today")
        await bot.answered()
        await bot.end()

    trace = told(agent, observer)
    turn = trace.one("pipecat.turn")
    assert turn["turn.outcome"] == "answered"
    first, last = trace.named("pipecat.user_speech")
    assert first.parent is last.parent is turn
    assert [stt.parent for stt in trace.named("pipecat.stt")] == [turn, turn]
    ruling, (heard,) = trace.one("pipecat.end_of_turn"), trace.named("pipecat.bot_speech")
    assert abs(ruling.start_ns - last.end_ns) < 1_000
    waited = turn["turn.user_bot_latency_seconds"]
    assert waited == pytest.approx((heard.start_ns - last.end_ns) / 1e9, abs=0.001)
    assert waited < 1

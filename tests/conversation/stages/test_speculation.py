"""Inference that was run before the user had finished: thrown away, or the answer after all."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from pipecat.frames import frames
from pipecat.frames.frames import (
    LLMContextFrame,
    UserStartedSpeakingFrame,
    VADUserStartedSpeakingFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext

from pipecat_dd.cli.demo.provider import Delays
from tests.conversation.stages.test_shapes import told
from tests.support.agent import TestAgent
from tests.support.bot import QUICK, START_SECS, Bot
from tests.support.shapes import watching
from tests.support.versions import needs_pipecat

pytestmark = needs_pipecat("1.9", "nothing is inferred before the user has finished")


async def speculate(bot: Bot, text: str) -> None:
    """Have the user begin to speak, and the model asked before they have finished."""
    await bot.push(VADUserStartedSpeakingFrame(start_secs=START_SECS))
    await bot.until(UserStartedSpeakingFrame)
    context = LLMContext([{"role": "user", "content": text}])
    await bot.push(LLMContextFrame(context, speculation=True))


@pytest.mark.parametrize("slow", [True, False])
async def test_a_response_to_what_the_user_had_not_finished_saying_is_discarded(
    agent: TestAgent, slow: bool
) -> None:
    observer = watching()
    first_token_secs = 0.4 if slow else QUICK.first_token_secs
    delays = Delays(QUICK.transcription_secs, first_token_secs, 0.001, QUICK.first_audio_secs)
    async with Bot(observer, delays=delays) as bot:
        finished = asyncio.Event()
        inner: Callable[..., Awaitable[None]] = bot.llm._process_context  # type: ignore[attr-defined]

        async def process_context(*args: Any) -> None:
            await inner(*args)
            finished.set()

        bot.llm._process_context = process_context  # type: ignore[attr-defined]
        await speculate(bot, "How are")
        await bot.provider.requested("chat")
        if not slow:
            await finished.wait()
        cancelled = frames.EagerEndOfTurnCancelFrame
        await bot.push(cancelled())
        await bot.until(cancelled)
        await bot.ask("How are you?")
        await bot.end()

    trace = told(agent, observer)
    first, second = trace.named("pipecat.llm")
    (turn,) = trace.named("pipecat.turn")
    assert first.parent is second.parent is turn
    assert [first["llm.outcome"], second["llm.outcome"]] == ["discarded", "completed"]
    assert first["llm.speculative"] == "true"
    assert second.get("llm.speculative") is None
    assert not first.error
    assert ("metrics.ttfb" in first.tags) is not slow, "no time to first byte without a byte"
    assert turn["turn.outcome"] == "answered"
    assert turn["turn.was_interrupted"] == "false"


async def test_a_speculation_that_is_confirmed_is_the_answer(agent: TestAgent) -> None:
    observer = watching()
    async with Bot(observer) as bot:
        await speculate(bot, "How are you?")
        await bot.until(LLMContextFrame)
        await bot.provider.requested("chat")
        await bot.user_says("How are you?")
        await bot.answered()
        await bot.end()

    first = told(agent, observer).named("pipecat.llm")[0]
    assert first["llm.outcome"] == "completed"
    assert first["llm.speculative"] == "true"
    assert first["metrics.ttfb"] > 0

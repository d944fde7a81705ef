"""What is finished is at the Agent seconds later, and a session is sampled as a whole."""

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from ddtrace.propagation.http import HTTPPropagator
from ddtrace.trace import tracer
from pipecat.processors.frame_processor import FrameProcessor

from pipecat_dd import DatadogObserver
from tests.support.agent import TestAgent
from tests.support.bot import Bot
from tests.support.spans import Trace, trace_of
from tests.support.versions import needs_pipecat


def arriving(agent: TestAgent, session_id: str, name: str, times: int = 1) -> Trace:
    """Wait, without flushing, until spans of a name are at the agent."""

    def arrived() -> Trace | None:
        trace = trace_of(agent.spans(), session_id)
        return trace if trace is not None and len(trace.named(name)) >= times else None

    return agent.wait(arrived, timeout_secs=5)


def decisions(trace: Trace) -> set[int]:
    """Return the sampling priorities that parts of a trace were sent with."""
    found = (span.get("_sampling_priority_v1") for span in trace.spans)
    return {int(priority) for priority in found if priority is not None}


async def test_a_finished_turn_is_at_the_agent_while_the_call_goes_on(agent: TestAgent) -> None:
    observer = DatadogObserver(turn_end_timeout_secs=0.2)
    async with Bot(observer) as bot:
        await bot.ask("How are you?")
        asked_at = time.monotonic()
        trace = await asyncio.to_thread(arriving, agent, observer.session_id, "pipecat.turn")
        assert time.monotonic() - asked_at < 5
        turn = trace.one("pipecat.turn")
        assert {span.name for span in turn.children} >= {
            "pipecat.stt",
            "pipecat.llm",
            "pipecat.tts",
            "pipecat.bot_speech",
        }
        assert not trace.named("pipecat.session"), "the call still runs"
        await bot.end()


async def test_turns_in_close_succession_hold_nothing_back(agent: TestAgent) -> None:
    observer = DatadogObserver()
    async with Bot(observer) as bot:
        for number in range(3):
            await bot.user_says(f"Question {number}")
            await bot.speaks(number + 1)
        await asyncio.to_thread(arriving, agent, observer.session_id, "pipecat.turn", 2)


async def test_a_span_of_the_users_around_the_run_holds_nothing_back(agent: TestAgent) -> None:
    with tracer.trace("web.request") as request:
        observer = DatadogObserver(turn_end_timeout_secs=0.2)
        with tracer.trace("bot.run"):
            async with Bot(observer) as bot:
                await bot.ask("How are you?")
                trace = await asyncio.to_thread(
                    arriving, agent, observer.session_id, "pipecat.turn"
                )
                await bot.end()
        assert trace.id != f"{request.trace_id:032x}"

    session = agent.session(observer.session_id).one("pipecat.session")
    assert session.parent_id == 0
    linked = [int(link["span_id"], 16) for link in json.loads(session["_dd.span_links"])]
    assert request.span_id in linked, "the session is linked to the request that started it"


async def test_a_remote_parent_is_continued_with_its_sampling(agent: TestAgent) -> None:
    headers = {
        "x-datadog-trace-id": "1234567890",
        "x-datadog-parent-id": "987654321",
        "x-datadog-sampling-priority": "2",
        "x-datadog-tags": "_dd.p.dm=-4,_dd.p.tid=68c1a2b300000000",
    }
    observer = DatadogObserver(parent=HTTPPropagator.extract(headers))
    async with Bot(observer) as bot:
        await bot.ask("How are you?")
        await bot.end()

    trace = agent.session(observer.session_id)
    assert trace.id == f"68c1a2b300000000{1234567890:016x}"
    session = trace.one("pipecat.session")
    assert session.parent_id == 987654321
    assert {s["_sampling_priority_v1"] for s in trace.spans if s.get("_sampling_priority_v1")} == {
        2
    }


async def test_an_empty_remote_parent_is_none(agent: TestAgent) -> None:
    observer = DatadogObserver(parent=HTTPPropagator.extract({}))
    async with Bot(observer) as bot:
        await bot.end()
    assert agent.session(observer.session_id).one("pipecat.session").parent_id == 0


@contextmanager
def agent_rate(rate: float) -> Iterator[None]:
    """Have ddtrace believe that the Agent has set this sampling rate."""
    sampler: Any = tracer._sampler
    key = "service:test-bot,env:test"
    sampler.update_rate_by_service_sample_rates({key: rate})
    try:
        yield
    finally:
        sampler.update_rate_by_service_sample_rates({})


@pytest.mark.parametrize(("before", "after"), [(1.0, 0.0), (0.0, 1.0)])
async def test_one_sampling_decision_holds_when_the_agents_rates_change(
    agent: TestAgent, before: float, after: float
) -> None:
    with agent_rate(before):
        observer = DatadogObserver()
        async with Bot(observer) as bot:
            await bot.ask("How are you?")
            with agent_rate(after):
                await bot.ask("How are you?")
                await bot.end()

    trace = agent.session(observer.session_id)
    assert decisions(trace) == {int(before)}


async def test_cancelling_closes_every_span(agent: TestAgent) -> None:
    observer = DatadogObserver()
    async with Bot(observer) as bot:
        await bot.user_says("How are you?")
        await bot.speaks()
        await bot.worker.cancel()

    trace = agent.session(observer.session_id)
    trace.check()
    assert trace.one("pipecat.session")["session.end_reason"] == "cancelled"
    assert trace.one("pipecat.turn")["turn.end_reason"] == "session_end"
    assert trace.named("pipecat.tts")


async def test_cancelling_from_outside_closes_every_span(agent: TestAgent) -> None:
    observer = DatadogObserver()
    async with Bot(observer) as bot:
        await bot.user_says("How are you?")
        await bot.speaks()
        assert bot.running is not None
        bot.running.cancel()

    trace = agent.session(observer.session_id)
    trace.check()
    assert trace.one("pipecat.turn")


class Unready(FrameProcessor):
    """Fails to be set up."""

    async def process_frame(self, frame: Any, direction: Any) -> None:
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)

    async def setup(self, *args: Any, **kwargs: Any) -> None:
        await super().setup(*args, **kwargs)
        raise RuntimeError("no microphone")


@needs_pipecat("1.8", "a failing setup() ends the run before observers hear of it")
async def test_a_pipeline_that_fails_to_start_closes_its_session(agent: TestAgent) -> None:
    observer = DatadogObserver()
    async with Bot(observer, before=[Unready()]) as bot:
        await bot.worker.cancel()

    assert agent.session(observer.session_id).one("pipecat.session")


def test_a_local_span_is_no_remote_parent() -> None:
    with tracer.trace("local") as span, pytest.raises(TypeError, match=r"parent=.*HTTPPropagator"):
        DatadogObserver(parent=span)  # type: ignore[arg-type]

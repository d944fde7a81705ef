"""What user code does to the span it is handed is on what is sent."""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from ddtrace.propagation.http import HTTPPropagator
from ddtrace.trace import Span, tracer
from pipecat.services.llm_service import FunctionCallParams

from pipecat_dd import DatadogObserver
from pipecat_dd.cli.demo.provider import Delays, Say
from pipecat_dd.testing import capture
from tests.conversation.stages.test_scope import traces
from tests.conversation.stages.test_tools import bot_with
from tests.support.agent import TestAgent
from tests.support.bot import Bot
from tests.support.spans import Trace

SCOPES = pytest.mark.parametrize("scope", ["session", "turn"])
SECRET = "sk-abcdefghijklmnopqrstuvwx"


def handed() -> tuple[Span, Span]:
    span, root = tracer.current_span(), tracer.current_root_span()
    assert span is not None
    assert root is not None
    return span, root


async def calling(
    scope: Any, do: Callable[[], None], turns: int = 1, **observer: Any
) -> DatadogObserver:
    """Run a conversation in which the model calls a tool that does something."""

    async def tool(params: FunctionCallParams) -> None:
        do()
        await params.result_callback({"done": True})

    watched = DatadogObserver(trace_scope=scope, **observer)
    async with bot_with(watched, {"tool": tool}) as bot:
        for _ in range(turns):
            await bot.ask("Do it")
        await bot.end()
    return watched


@SCOPES
async def test_what_is_set_on_the_current_span_is_on_what_is_sent(
    agent: TestAgent, scope: str
) -> None:
    def do() -> None:
        span, root = handed()
        span.set_tag("customer.tier", "gold")
        span.set_metric("customer.orders", 3)
        span.resource = "look up the order"
        with tracer.trace("linked") as other:
            span.link_span(other.context)
        try:
            raise LookupError(f"no order, with {SECRET}")
        except LookupError as error:
            span.set_exc_info(type(error), error, error.__traceback__)
            span.record_exception(error)
        root.set_tag("customer.id", "c-1")
        root.set_metric("customer.calls", 2)
        root.set_tag("session_id", "another's")

    observer = await calling(scope, do)
    found = traces(agent, observer.session_id)
    tool = next(span for trace in found for span in trace.named("pipecat.tool"))
    assert tool["customer.tier"] == "gold"
    assert tool["customer.orders"] == 3
    assert tool.resource == "look up the order"
    assert tool.error
    assert tool["error.type"] == "builtins.LookupError"
    assert tool["error.message"].startswith("no order, with ")
    assert SECRET not in tool["error.message"] + tool["error.stack"], "redacted as any error"
    assert json.loads(tool["_dd.span_links"])
    assert tool.get("events") or tool.raw.get("span_events"), "the recorded exception"
    whole = "pipecat.session" if scope == "session" else "pipecat.turn"
    root = next(span for trace in found for span in trace.named(whole))
    assert root["customer.id"] == "c-1"
    assert root["customer.calls"] == 2
    assert root["session_id"] == observer.session_id, "what names it stays"
    others = [s for t in found for s in t.spans if s.id not in (root.id, tool.id)]
    assert not [span for span in others if span.get("customer.id") or span.get("customer.tier")]


@SCOPES
async def test_spans_of_others_carry_the_sessions_id_tags_and_version(scope: str) -> None:
    def do() -> None:
        with tracer.trace("own.work") as own:
            own.set_tag("tier", "my own")
        tracer.start_span("own.left.inactive", child_of=tracer.current_span()).finish()

    with capture(level="INFO") as seen:
        with tracer.trace("another.request"):
            pass
        observer = await calling(scope, do, tags={"tier": "gold"})
    others = [span for span in seen.spans if not span.name.startswith("pipecat.")]
    assert {"own.work", "own.left.inactive", "openai.request"} < {span.name for span in others}
    for span in others:
        if span.name == "another.request":
            assert "session_id" not in span.tags
        else:
            assert span.tags["session_id"] == observer.session_id
            assert span.tags["tier"] == ("my own" if span.name == "own.work" else "gold")
    assert {span.tags.get("version") for span in seen.spans} == {"1.2.3"}


@SCOPES
@pytest.mark.parametrize("frames", ["notable", "all"])
async def test_only_the_session_and_its_turns_are_entries_and_a_trace_has_one_id(
    scope: str, frames: Any
) -> None:
    def do() -> None:
        HTTPPropagator.inject(handed()[0].context, {})  # writes half of the trace's id to it

    with capture(level="INFO") as seen:
        await calling(scope, do, turns=2, frame_spans=frames)
    entries = {span.name for span in seen.spans if span.tags.get("_dd.top_level")}
    assert entries == {"pipecat.session", "pipecat.turn"}
    assert len({span.trace_id for span in seen.spans}) == (1 if scope == "session" else 3)
    for span in seen.spans:
        high = span.tags.get("_dd.p.tid")
        assert high in (None, f"{span.trace_id:032x}"[:16])


@contextmanager
def rejecting() -> Iterator[None]:
    """Have ddtrace believe that the Agent wants nothing of the bot."""
    sampler: Any = tracer._sampler
    sampler.update_rate_by_service_sample_rates({"service:test-bot,env:test": 0.0})
    try:
        yield
    finally:
        sampler.update_rate_by_service_sample_rates({})


def decided(trace: Trace) -> set[int]:
    found = (span.get("_sampling_priority_v1") for span in trace.spans)
    return {int(priority) for priority in found if priority is not None}


def keep_current() -> None:
    handed()[0].set_tag("manual.keep")


def keep_root() -> None:
    handed()[1].set_tag("manual.keep")


def keep_own() -> None:
    with tracer.trace("own.work") as own:
        own.set_tag("manual.keep")


@SCOPES
@pytest.mark.parametrize("keep", [keep_current, keep_root, keep_own])
async def test_a_turn_that_is_kept_by_hand_is_kept_from_its_beginning(
    agent: TestAgent, scope: str, keep: Callable[[], None]
) -> None:
    done = []

    def do() -> None:
        done.append(True)
        if len(done) == 2:
            keep()

    with rejecting():
        observer = await calling(scope, do, turns=3)
    session, *turns = traces(agent, observer.session_id)
    if scope == "turn":
        assert [decided(turn) for turn in turns] == [{0}, {2}, {2}]
        assert session.one("pipecat.session")["_sampling_priority_v1"] == 2
    else:
        # What was sent before is not kept; from the second turn's first span on all is.
        number = {turn.id: turn["turn.number"] for turn in session.named("pipecat.turn")}
        for span in session.spans:
            priority = span.get("_sampling_priority_v1")
            if span.parent_id in number and priority is not None:
                assert priority == (0 if number[span.parent_id] == 1 else 2), span.name
        assert session.one("pipecat.session")["_sampling_priority_v1"] == 2
    assert {
        s["_dd.p.dm"] for t in turns for s in t.spans if s.get("_sampling_priority_v1") == 2
    } <= {"-4"}


async def test_a_session_that_is_dropped_by_hand_is_dropped_from_then_on(agent: TestAgent) -> None:
    done = []

    def do() -> None:
        done.append(True)
        if len(done) == 2:
            handed()[1].set_tag("manual.drop")

    observer = await calling("turn", do, turns=3)
    session, *turns = traces(agent, observer.session_id)
    assert decided(turns[0]) == {1}
    assert decided(turns[2]) == {-1}
    assert decided(session) == {1, -1}, "what was sent before, and what came after"


async def test_what_a_barge_in_cancels_in_an_sdk_is_no_error() -> None:
    slow = Delays(
        transcription_secs=0.02, first_token_secs=0.4, token_secs=0.05, first_audio_secs=0.02
    )
    with capture(level="INFO") as seen:
        bot = Bot(
            DatadogObserver(),
            script=lambda messages, tools: Say("One. Two. Three. Four. Five. Six. " * 5),
            delays=slow,
        )
        async with bot:
            await bot.user_says("How are you?")
            await asyncio.sleep(0.3)  # the model has been asked, and has not answered
            await bot.user_says("No, wait")
            await bot.speaks()
            await bot.user_says("Stop")
            await bot.end()
    cancelled = [s for s in seen.spans if s.tags.get("interrupted") == "true"]
    assert "openai.request" in {span.name for span in cancelled}
    assert not [span for span in seen.spans if span.is_error]
    assert not [tag for span in cancelled for tag in span.tags if tag.startswith("error")]

"""Observers given in a way that cannot work: the bot goes on, and one line says what to do."""

import asyncio
from typing import Any

import pytest

from pipecat_dd import DatadogObserver
from tests.support.agent import TestAgent
from tests.support.bot import Bot
from tests.support.lines import written_lines
from tests.support.shapes import watching
from tests.support.versions import needs_pipecat


async def talk(bot: Bot, *questions: str) -> None:
    async with bot:
        for question in questions:
            await bot.ask(question)
        await bot.end()


# Two observers


@pytest.mark.parametrize("way", ["given", "added"])
async def test_of_two_observers_on_one_worker_the_first_sees(agent: TestAgent, way: str) -> None:
    first, second = watching(), watching()
    bot = Bot(first, second) if way == "given" else Bot(first)
    with written_lines() as lines:
        async with bot:
            await bot.ask("How are you?")
            if way == "added":
                bot.worker.add_observer(second)
            await bot.ask("And you?")
            await bot.end()

    trace = agent.session(first.session_id)
    trace.check()
    session = trace.one("pipecat.session")
    assert session["session.turn_count"] == 2
    assert session["session.end_reason"] == "ended"
    assert len(trace.named("pipecat.llm")) == len(trace.named("openai.request")) // 2 == 2
    assert first.session_id != second.session_id
    told = [(span.get("meta") or {}).get("session_id") for span in agent.spans()]
    assert first.session_id in told
    assert second.session_id not in told
    line = lines.one("two DatadogObservers")
    assert line["levelname"] == "WARNING"
    assert first.session_id in line["message"]
    assert not any(line.get("session_id") == second.session_id for line in lines.all)


async def test_one_observer_given_twice_is_one(agent: TestAgent) -> None:
    observer = watching()
    with written_lines() as lines:
        await talk(Bot(observer, observer), "How are you?")
    trace = agent.session(observer.session_id)
    trace.check()
    assert trace.one("pipecat.session")["session.turn_count"] == 1
    assert not lines.saying("two DatadogObservers")


async def test_the_second_of_one_worker_may_see_no_other_either(agent: TestAgent) -> None:
    """It is left out for good: what it would see from then on is half a conversation."""
    first, second = watching(), watching()
    with written_lines() as lines:
        await talk(Bot(first, second), "How are you?")
        await second.cleanup()
        assert second.context is not None
    assert len(lines.saying("two DatadogObservers")) == 1


# The class instead of an instance


async def test_a_class_given_as_an_observer_is_named_and_the_bot_goes_on(agent: TestAgent) -> None:
    kind: Any = DatadogObserver
    with written_lines() as lines:
        bot = Bot(kind)
        await talk(bot, "How are you?", "And you?")
    line = lines.one("given the class DatadogObserver")
    assert line["levelname"] == "ERROR"
    assert "observers=[DatadogObserver()]" in line["message"]
    assert not lines.saying("TypeError")


async def test_a_class_of_the_users_own_is_named_too(agent: TestAgent) -> None:
    class Mine(DatadogObserver):
        pass

    kind: Any = Mine
    with written_lines() as lines:
        await talk(Bot(kind), "How are you?")
    assert "observers=[Mine()]" in lines.one("given the class Mine")["message"]


async def test_a_class_added_as_the_bot_runs_does_no_harm(agent: TestAgent) -> None:
    kind: Any = DatadogObserver
    bot = Bot()
    async with bot:
        await bot.ask("How are you?")
        bot.worker.add_observer(kind)
        await bot.ask("And you?")
        await bot.end()


@needs_pipecat("1.8", "observers are not set up")
async def test_a_subclass_calls_its_base_as_ever(agent: TestAgent) -> None:
    class Mine(DatadogObserver):
        calls = 0

        async def setup(self, *args: Any, **kwargs: Any) -> None:
            self.calls += 1
            await DatadogObserver.setup(self, *args, **kwargs)

        async def on_push_frame(self, data: Any) -> None:
            await super().on_push_frame(data)

    observer = Mine()
    await talk(Bot(observer), "How are you?")
    assert observer.calls == 1
    assert agent.session(observer.session_id).one("pipecat.turn")["turn.outcome"] == "answered"


def test_its_methods_are_what_they_were() -> None:
    for name in ("setup", "cleanup", "on_push_frame", "on_process_frame", "on_pipeline_started"):
        for method in (getattr(DatadogObserver, name), getattr(DatadogObserver(), name)):
            assert method.__name__ == name
            assert method.__doc__
            assert asyncio.iscoroutinefunction(method)

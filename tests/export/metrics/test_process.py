"""What is told of the process: once, however many sessions run, and for as long as one does."""

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from pipecat_dd import DatadogObserver
from pipecat_dd.export.metrics import process, sender
from pipecat_dd.export.metrics.sample import Sample
from tests.support.bot import Bot
from tests.support.dogstatsd import TELEMETRY, Received, listening, sending_to

LAG = "pipecat.event_loop.lag_seconds"
EVERY_SECS = 0.02
BLOCKED_SECS = 0.3


@pytest.fixture
def received(monkeypatch: pytest.MonkeyPatch) -> Iterator[Received]:
    monkeypatch.setattr(process, "LAG_EVERY_SECS", EVERY_SECS)
    monkeypatch.setattr(process, "REPORT_EVERY_SECS", 5 * EVERY_SECS)
    with listening() as found, sending_to(found.url):
        yield found


class Timers:
    """The timers of the event loop that are ours."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        loop = asyncio.get_running_loop()
        call_later: Any = loop.call_later
        self.handles: list[asyncio.TimerHandle] = []
        self.fired = 0

        def noting(secs: float, callback: Any, *args: Any, **options: Any) -> asyncio.TimerHandle:
            if not isinstance(getattr(callback, "__self__", None), process.LoopTimer):
                other: asyncio.TimerHandle = call_later(secs, callback, *args, **options)
                return other

            def fire() -> None:
                self.fired += 1
                callback()

            handle: asyncio.TimerHandle = call_later(secs, fire, **options)
            self.handles.append(handle)
            return handle

        monkeypatch.setattr(loop, "call_later", noting)

    @property
    def running(self) -> int:
        return sum(not handle.cancelled() for handle in self.handles) - self.fired


def flushed(received: Received) -> None:
    """Wait until all that was handed over has arrived."""
    sender.shared().send([Sample("pipecat.observer.shed", 1)])
    received.until(lambda: bool(received.named("pipecat.observer.shed")))


async def test_one_timer_serves_all_sessions_of_a_loop_and_ends_with_the_last(
    received: Received, monkeypatch: pytest.MonkeyPatch
) -> None:
    timers = Timers(monkeypatch)
    tasks = asyncio.all_tasks()
    async with Bot(DatadogObserver(metrics=True)) as one:
        async with Bot(DatadogObserver(metrics=True)) as two:
            await one.ask("How are you?")
            assert timers.running == 1
            await two.end()
        assert timers.running == 1
        await one.end()
    assert timers.running == 0
    assert asyncio.all_tasks() == tasks
    flushed(received)
    assert len(received.named(LAG)) > 5
    assert len(received.named(LAG)) == timers.fired
    active = [metric.value for metric in received.named("pipecat.sessions.active")]
    assert max(active) == 2
    assert active[-1] == 0


async def test_a_loop_that_is_held_up_is_late_by_as_much(received: Received) -> None:
    async with Bot(DatadogObserver(metrics=True)) as bot:
        await bot.ask("How are you?")
        time.sleep(BLOCKED_SECS)  # noqa: ASYNC251 - that is what is measured
        await bot.end()
    flushed(received)
    lags = received.values(LAG)
    assert BLOCKED_SECS - 2 * EVERY_SECS <= lags[-1] <= BLOCKED_SECS + 1
    assert lags[0] < EVERY_SECS


async def test_what_stages_say_is_sent_together_while_the_call_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tick_secs = 0.4
    monkeypatch.setattr(process, "LAG_EVERY_SECS", tick_secs)
    with listening() as received, sending_to(received.url):
        async with Bot(DatadogObserver(metrics=True, turn_end_timeout_secs=0.05)) as bot:
            begun = time.monotonic()
            for number in range(1, 4):
                await bot.user_says("How are you?")
                await bot.answered(number)
            await asyncio.to_thread(
                received.until, lambda: received.total("pipecat.turns", outcome="answered") >= 3
            )
            ticks = (time.monotonic() - begun) / tick_secs
            # Two more for the session's beginning; the client's own are none of ours. What is said
            # at once may need two packets.
            sent = [d for d in received.datagrams if not d.startswith(TELEMETRY)]
            assert len(sent) <= 2 * ticks + 2
            assert len(received.named("pipecat.service.ttfb_seconds")) >= 9
            await bot.end()


def test_each_loop_has_its_own_lag_and_the_process_one_gauge(received: Received) -> None:
    both = threading.Barrier(2, timeout=15)

    async def converse() -> None:
        async with Bot(DatadogObserver(metrics=True)) as bot:
            await bot.ask("How are you?")
            await asyncio.to_thread(both.wait)
            await bot.end()

    threads = [threading.Thread(target=asyncio.run, args=(converse(),)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    flushed(received)
    active = [metric.value for metric in received.named("pipecat.sessions.active")]
    assert max(active) == 2
    assert active[-1] == 0
    assert received.total("pipecat.sessions.ended") == 2
    assert not process.shared()._timers


async def test_sessions_without_metrics_are_counted_among_the_active(received: Received) -> None:
    async with Bot(DatadogObserver(metrics=True)) as one, Bot(DatadogObserver()) as two:
        await two.ask("How are you?")
        await one.end()
        await two.end()
    flushed(received)
    assert max(received.values("pipecat.sessions.active")) == 2
    assert received.total("pipecat.sessions.started") == 1


async def test_a_blocked_loop_is_counted_once_by_its_cause(received: Received) -> None:
    async with Bot(DatadogObserver(metrics=True)) as one, Bot(DatadogObserver(metrics=True)) as two:
        await one.ask("How are you?")
        time.sleep(BLOCKED_SECS)  # noqa: ASYNC251 - that is what is measured
        await asyncio.sleep(2 * EVERY_SECS)
        await one.end()
        await two.end()
    flushed(received)
    # On a busy machine there are times when the process does not run.
    found = [
        metric.value
        for metric in received.named("pipecat.event_loop.blocked_seconds")
        if metric.own_tags == {"cause": "code"}
    ]
    assert len([secs for secs in found if BLOCKED_SECS - 0.05 < secs < BLOCKED_SECS + 1]) == 1

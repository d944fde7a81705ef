"""The watch of an event loop blames nobody wrongly, costs little and leaves nothing behind."""

import asyncio
import gc
import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from ddtrace.trace import tracer

from pipecat_dd import DatadogObserver, _guard
from pipecat_dd.instrumentation import blocked_loop, gc_clock, loop_watch, thread_counters
from pipecat_dd.testing import capture
from tests.instrumentation import blocking_bots as bots
from tests.instrumentation.blocking_bots import Bot
from tests.instrumentation.waiting_bot import watching_threads
from tests.support.agent import TestAgent
from tests.support.together import together

PROGRAM = [sys.executable, "-m", "tests.instrumentation.waiting_bot"]
STOPPED_SECS = 0.6


def until(done: Callable[[], bool], timeout_secs: float = 10.0) -> None:
    """Wait for another thread, which announces nothing."""
    deadline = time.monotonic() + timeout_secs
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def is_nothing_left() -> bool:
    return (
        not watching_threads()
        and not blocked_loop.watched_loops()
        and gc_clock._note not in gc.callbacks
    )


# Who is not to blame


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="no SIGSTOP here")
def test_a_process_that_was_stopped_blames_nobody() -> None:
    together(["stopped", "uncounted"], stop)


def stop(mode: str) -> None:
    """Stop a bot for a while, and see what it says of that."""
    with subprocess.Popen(
        [*PROGRAM, mode],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "DD_TRACE_ENABLED": "false"},
    ) as bot:
        assert bot.stdin is not None
        assert bot.stdout is not None
        assert bot.stdout.readline() == "ready\n"
        bot.send_signal(signal.SIGSTOP)
        time.sleep(STOPPED_SECS)  # what it does not run for
        bot.send_signal(signal.SIGCONT)
        bot.stdin.write("\n")
        bot.stdin.close()
        found = json.loads(bot.stdout.read())
    assert not found["spans"]
    assert not [line for line in found["lines"] if ".py:" in line]
    assert found["tags"]["session.not_running_seconds"] > 0.8 * STOPPED_SECS
    assert found["tags"].get("session.blocked_seconds", 0) < STOPPED_SECS / 2


def test_without_the_kernels_counters_pythons_lock_is_told_from_a_stop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(thread_counters.ThreadCounters, "read", lambda self: None)
    bots.regex_text()
    with capture() as seen:
        asyncio.run(bots.run_all([bots.tool_matches] * 3))
    found = [one for number in range(3) for one in bots.blocked(seen.session(f"session-{number}"))]
    assert {one.resource for one in found} == {f"{bots.__name__}.regex"}


def test_a_busy_machine_blames_nobody() -> None:
    ends = time.monotonic() + 2.5
    context = multiprocessing.get_context("spawn")
    hogs = [context.Process(target=hog, args=(2.0,)) for _ in range(3 * (os.cpu_count() or 2))]
    for one in hogs:
        one.start()

    async def idle(bot: Bot) -> None:
        await asyncio.sleep(ends - time.monotonic())

    try:
        with capture() as seen:
            asyncio.run(bots.run_all([idle, None]))
    finally:
        for one in hogs:
            one.terminate()
            one.join()
    for session_id in seen.session_ids:
        for one in seen.session(session_id).named("pipecat.blocked"):
            # What a bot does as it starts may take that long; it is blamed for no more than that.
            assert float(one.tags["blocked.cpu_seconds"]) > 0.05, one


def hog(secs: float) -> None:
    """Use a CPU, as other processes of a busy machine do."""
    ends = time.monotonic() + secs
    while time.monotonic() < ends:
        sum(range(1_000))


def test_a_thread_that_holds_pythons_lock_is_no_sessions_code() -> None:
    bots.regex_text()

    async def match_in_thread(bot: Bot) -> None:
        await asyncio.to_thread(bots.regex)

    with capture() as seen:
        asyncio.run(bots.run_all([match_in_thread, None]))
    for session_id in seen.session_ids:
        session = seen.session(session_id)
        assert not bots.blocked(session)
        assert session.root.tags["session.blocked_seconds"] > 0.1


def test_a_loop_that_its_program_has_stopped_is_not_blocked() -> None:
    loop = asyncio.new_event_loop()
    with capture() as seen:
        bot = Bot(0)
        together = bots.Together(2)
        running = loop.create_task(bot.run(together, None))
        loop.run_until_complete(asyncio.sleep(0.5))
        time.sleep(0.4)
        together._all_here.set()
        together._all_done.set()
        loop.run_until_complete(running)
        loop.close()
    session = seen.session("session-0")
    assert not bots.blocked(session)
    assert float(session.root.tags.get("session.blocked_seconds", 0)) < 0.3
    until(is_nothing_left)


# What is left behind


async def test_one_thread_and_one_timer_serve_all_sessions_and_end_with_the_last() -> None:
    seen: list[int] = []

    async def look(bot: Bot) -> None:
        loop: Any = asyncio.get_running_loop()
        timers = [one for one in loop._scheduled if not one.cancelled()]
        beats = [one for one in timers if "LoopWatch" in repr(one)]
        seen.extend((len(watching_threads()), len(beats), blocked_loop.watched_loops()))
        seen.append(gc.callbacks.count(gc_clock._note))

    until(is_nothing_left)
    await bots.run_all([look, None, None])
    assert seen == [1, 1, 1, 1]
    await asyncio.to_thread(until, is_nothing_left)


def test_each_loop_is_watched_by_itself() -> None:
    counts: list[int] = []
    both = threading.Barrier(2, timeout=15)

    async def look(bot: Bot) -> None:
        await asyncio.to_thread(both.wait)
        counts.append(len(watching_threads()))
        await asyncio.to_thread(both.wait)
        if len(counts) == 2 and threading.current_thread().name == "one":
            await bots.tool_sleeps(bot)

    def run(number: int) -> None:
        asyncio.run(bots.run_all([look], first=number))

    with capture() as seen:
        ran = [
            threading.Thread(target=run, args=(number,), name=name)
            for number, name in enumerate(("one", "two"))
        ]
        for one in ran:
            one.start()
        for one in ran:
            one.join()
    assert counts == [2, 2]
    assert len(bots.blocked(seen.session("session-0"))) == 1
    assert not bots.blocked(seen.session("session-1"))
    # The other loop turned on meanwhile.
    assert float(seen.session("session-1").root.tags.get("session.blocked_seconds", 0)) < 0.15
    until(is_nothing_left)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_and_a_loop_that_is_closed_without_clean_up_leave_nothing_behind() -> None:
    done = subprocess.run(
        [*PROGRAM, "left"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={**os.environ, "DD_TRACE_ENABLED": "false"},
    )
    # What the child says of itself; then how many loops were watched, and whether none is now.
    assert done.stdout.split() == ["7", "1", "True"], done.stderr[-2_000:]


async def test_what_blocks_is_freed_as_soon_as_it_would_be_without_us() -> None:
    class Thing:
        pass

    freed: list[float] = []

    def blocking() -> None:
        thing = Thing()
        weakref.finalize(thing, lambda: freed.append(threading.get_ident()))
        bots.block()

    async def block_with_thing(bot: Bot) -> None:
        blocking()
        freed.append(-1)

    with capture() as seen:
        await bots.run_all([block_with_thing])
    assert freed == [threading.get_ident(), -1]
    assert bots.blocked(seen.session("session-0"))


# What is reported


async def test_a_place_has_one_line_a_minute_and_each_block_its_span(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def once() -> None:
        bots.block()

    def other() -> None:
        bots.block()

    async def block_again(bot: Bot) -> None:
        for work in (once, once, other, once, other):
            work()
            await asyncio.sleep(0.05)
        monkeypatch.setattr(blocked_loop, "LINE_EVERY_SECS", 0.0)
        once()
        await asyncio.sleep(0.05)

    with capture() as seen:
        await bots.run_all([block_again])
    session = seen.session("session-0")
    spans = [span for span in bots.blocked(session) if span.resource.endswith(".once")]
    assert len(spans) >= 3  # of four: a machine may be so busy that nobody is blamed
    said = [line["message"] for line in session.saying("event loop")]
    lines = [message for message in said if ".once" in message]
    assert len(lines) == 2
    assert re.search(r"once more|2 more times", lines[1])
    assert any(".other" in message for message in said)


async def test_garbage_collection_is_told_as_such_and_counts_as_one_place() -> None:
    # The process of the tests holds enough for a collection to take that long.
    def collect() -> None:
        gc.collect()

    def collect_again() -> None:
        gc.collect()

    async def collect_twice(bot: Bot) -> None:
        collect()
        await asyncio.sleep(0.05)
        collect_again()
        await asyncio.sleep(0.05)

    with capture() as seen:
        await bots.run_all([collect_twice], blocked_ms=20)
    found = seen.session("session-0").named("pipecat.blocked")
    causes = {one.tags["blocked.cause"] for one in found if "collect" in one.resource}
    assert causes <= {"garbage_collection"}
    assert [one for one in found if float(one.tags.get("blocked.gc_seconds", 0)) > 0.01]
    assert len([line for line in seen.lines if "garbage collection" in line["message"]]) == 1


async def test_a_workers_event_handler_is_named_though_the_session_ends_with_it() -> None:
    async def listen(bot: Bot) -> None:
        @bot.worker.event_handler("on_pipeline_finished")
        async def finished(*_: Any) -> None:
            bots.block()

    with capture() as seen:
        await bots.run_all([listen])
    session = seen.session("session-0")
    assert [one.resource.rpartition(".")[2] for one in bots.blocked(session)] == ["finished"]
    assert session.root.tags["session.blocked_count"] >= 1


@pytest.mark.parametrize("scope", ["session", "turn"])
async def test_it_arrives_in_the_trace_of_what_it_is_part_of(agent: TestAgent, scope: Any) -> None:
    await bots.run_all([bots.tool_sleeps], trace_scope=scope)
    tracer.flush()

    def arrived() -> list[dict[str, Any]] | None:
        found = {
            one["name"]: one
            for one in agent.spans()
            if one["name"] != "pipecat.blocked" or one["resource"].endswith(".forecast")
        }
        names = ("pipecat.session", "pipecat.turn", "pipecat.tool", "pipecat.blocked")
        return [found[name] for name in names] if found.keys() >= set(names) else None

    session, turn, tool, blocked = await asyncio.to_thread(agent.wait, arrived)
    assert blocked["parent_id"] == tool["span_id"]
    assert blocked["trace_id"] == tool["trace_id"] == turn["trace_id"]
    assert (blocked["trace_id"] == session["trace_id"]) is (scope == "session")
    assert blocked["start"] >= tool["start"]


async def test_zero_turns_it_off() -> None:
    async def sleep_and_look(bot: Bot) -> None:
        bots.block()
        assert not watching_threads()

    with capture() as seen:
        await bots.run_all([sleep_and_look], blocked_ms=0)
    session = seen.session("session-0")
    assert not bots.blocked(session)
    assert "session.blocked_count" not in session.root.tags


async def test_a_session_counts_by_its_own_threshold() -> None:
    with capture() as seen:
        await bots.run_all([bots.tool_sleeps, None], blocked_ms=[1_000, 50])
    patient, impatient = (seen.session(f"session-{number}") for number in range(2))
    assert not bots.blocked(patient)
    assert "session.blocked_count" not in patient.root.tags
    assert impatient.root.tags["session.blocked_count"] >= 1


@pytest.mark.parametrize("wrong", [1, 19.9, -5, 60_001, float("nan"), True, "often"])
def test_a_wrong_threshold_is_refused(wrong: Any) -> None:
    with pytest.raises((ValueError, TypeError), match=r"blocked_ms=.*must be"):
        DatadogObserver(blocked_ms=wrong)


def test_a_failure_of_the_watch_reaches_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_guard, "event_loop", _guard.Part("watching the event loop"))

    def fail(*_: Any) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(loop_watch, "see", fail)
    with capture() as seen:
        asyncio.run(bots.run_all([bots.tool_sleeps]))
    assert seen.session("session-0").one("pipecat.tool").tags["tool.outcome"] == "completed"
    until(is_nothing_left)

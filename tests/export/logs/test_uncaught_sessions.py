"""Whose an uncaught exception is: the session's whose work raised it, or none's."""

import asyncio
import gc
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pipecat_dd import DatadogObserver
from tests.support.bot import Bot
from tests.support.lines import Lines, written_lines


@pytest.fixture
def lines() -> Iterator[Lines]:
    before = sys.excepthook, threading.excepthook
    sys.excepthook = threading.excepthook = lambda *args: None
    with written_lines() as written:
        yield written
    sys.excepthook, threading.excepthook = before


def run(main: Callable[..., Any], *args: Any) -> None:
    """Run a program to its end, as the interpreter does: in a thread, since a loop runs here."""
    try:
        result = main(*args)
        if asyncio.iscoroutine(result):
            asyncio.run(result)
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)


def session_of(lines: Lines, text: str = "it broke") -> str | None:
    return lines.one(f": {text}").get("session_id")


async def call(observer: DatadogObserver) -> None:
    async with Bot(observer) as bot:
        await bot.ask("How are you?")
        await bot.end()


async def breaks_after_its_call() -> None:
    await call(DatadogObserver(session_id="s1"))
    raise RuntimeError("it broke")


def test_what_a_bots_function_raises_after_its_call_is_the_calls(lines: Lines) -> None:
    run(breaks_after_its_call)
    line = lines.one(": it broke")
    assert line["session_id"] == "s1"
    spans = [one["dd.trace_id"] for one in lines.all if one.get("session_id") == "s1"]
    assert line["dd.trace_id"] == line["pipecat.trace_id"] in spans


async def breaks_when_all_is_collected() -> None:
    await call(DatadogObserver(session_id="s1"))
    gc.collect()
    raise RuntimeError("it broke")


async def collects() -> None:
    try:
        await breaks_when_all_is_collected()
    finally:
        gc.collect()
        await asyncio.sleep(0.01)
        gc.collect()


def test_it_is_the_calls_also_when_nothing_else_is_left_of_it(lines: Lines) -> None:
    run(collects)
    assert session_of(lines) == "s1"


async def makes_and_breaks() -> None:
    DatadogObserver(session_id="s1")
    gc.collect()
    raise RuntimeError("it broke")


def test_a_session_that_never_ran_names_nothing_when_it_is_gone(lines: Lines) -> None:
    run(makes_and_breaks)
    assert session_of(lines) is None


async def awaits_bots(*bots: Any) -> None:
    await asyncio.gather(*(bot() for bot in bots))


async def goes_well() -> None:
    await call(DatadogObserver(session_id="s2"))


def test_of_several_calls_it_is_the_one_that_broke(lines: Lines) -> None:
    run(awaits_bots, goes_well, breaks_after_its_call)
    assert session_of(lines) == "s1"


async def groups_bots() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(goes_well())
        group.create_task(breaks_after_its_call())


def test_a_group_of_one_sessions_exceptions_is_that_sessions(lines: Lines) -> None:
    run(groups_bots)
    assert lines.one("ExceptionGroup")["session_id"] == "s1"


async def raises_beside_a_call() -> None:
    made = asyncio.Event()

    async def bot() -> None:
        observer = DatadogObserver(session_id="s1")
        made.set()
        await asyncio.sleep(60)
        del observer

    task = asyncio.create_task(bot())
    await made.wait()
    try:
        raise RuntimeError("it broke")
    finally:
        task.cancel()


def test_what_breaks_beside_a_call_is_no_calls(lines: Lines) -> None:
    run(raises_beside_a_call)
    assert session_of(lines) is None


async def takes_call_after_call(calls: list[str]) -> None:
    for one in [*calls, None]:
        if one is None:
            raise RuntimeError("it broke")
        await call(DatadogObserver(session_id=one))


def test_a_loop_that_breaks_before_its_next_call_is_no_calls(lines: Lines) -> None:
    run(takes_call_after_call, ["s1"])
    assert session_of(lines) is None


async def breaks_in_its_second_call() -> None:
    for number in (1, 2):
        observer = DatadogObserver(session_id=f"s{number}")
        await call(observer)
        if number == 2:
            raise RuntimeError("it broke")


def test_a_loop_that_breaks_in_a_call_is_that_calls(lines: Lines) -> None:
    run(breaks_in_its_second_call)
    assert session_of(lines) == "s2"


async def may_observe(session_id: str | None) -> None:
    if session_id is not None:
        await call(DatadogObserver(session_id=session_id))
        return
    raise RuntimeError("it broke")


async def some_observed() -> None:
    for session_id in ("s1", None):
        await may_observe(session_id)


def test_a_call_that_nobody_observed_is_not_the_one_before(lines: Lines) -> None:
    run(some_observed)
    assert session_of(lines) is None


def breaks_without_a_loop() -> None:
    DatadogObserver(session_id="s1")
    raise RuntimeError("it broke")


def test_a_function_without_an_event_loop_is_its_observers(lines: Lines) -> None:
    run(breaks_without_a_loop)
    # Its session never ran, and so names what its function does, and that alone.
    assert session_of(lines) in (None, "s1")


def work() -> None:
    raise RuntimeError("it broke")


async def in_threads(*, of_a_call: bool) -> None:
    await asyncio.to_thread(lambda: None)
    started = threading.Thread(target=work, name="worker")

    async def bot() -> None:
        observer = DatadogObserver(session_id="s1")
        async with Bot(observer) as bot:
            await bot.ask("How are you?")
            if of_a_call:
                started.start()
                started.join()
            await bot.end()

    await bot()
    if not of_a_call:
        started.start()
        started.join()


@pytest.mark.parametrize("of_a_call", [True, False])
def test_a_thread_is_the_calls_that_started_it(lines: Lines, of_a_call: bool) -> None:
    asyncio.run(in_threads(of_a_call=of_a_call))
    assert session_of(lines) == ("s1" if of_a_call else None)


def test_a_thread_a_call_is_each_its_own(lines: Lines) -> None:
    async def bot(number: int) -> None:
        await call(DatadogObserver(session_id=f"s{number}"))
        raise RuntimeError(f"{number} broke")

    threads = [threading.Thread(target=lambda n=n: asyncio.run(bot(n))) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(4):
        assert session_of(lines, f"{number} broke") == f"s{number}"

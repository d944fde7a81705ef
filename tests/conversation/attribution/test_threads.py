"""A thread works where it was started; a thread of a pool where its work was submitted."""

import asyncio
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.pool import ThreadPool
from typing import Any

import pytest

from pipecat_dd import DatadogObserver, _guard, current_session
from tests.conversation.attribution.calls import NOBODY, count, name, run, worker_with, write, wrong
from tests.support.lines import Lines, written_lines


@pytest.fixture
def lines() -> Iterator[Lines]:
    with written_lines("INFO") as written:
        yield written
        assert not wrong(written.all)
        assert count(written.all) >= 2


class Subclass(threading.Thread):
    def __init__(self, work: Callable[[], object]) -> None:
        super().__init__()
        self._work = work

    def run(self) -> None:
        self._work()


def plain(work: Callable[[], object]) -> threading.Thread:
    return threading.Thread(target=work)


def timer(work: Callable[[], object]) -> threading.Thread:
    return threading.Timer(0, work)


def by_a_thread(work: Callable[[], object]) -> threading.Thread:
    def start() -> None:
        joined(Subclass(work))

    return plain(start)


KINDS = {
    "plain": plain,
    "a subclass": Subclass,
    "a timer": timer,
    "started by a thread": by_a_thread,
}


def joined(thread: threading.Thread) -> None:
    thread.start()
    thread.join(10)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
async def test_a_thread_is_of_the_session_that_starts_it(
    lines: Lines, kind: Callable[[Callable[[], object]], threading.Thread]
) -> None:
    joined(kind(lambda: write(NOBODY, "before any session")))

    async def take(number: int) -> None:
        joined(kind(lambda: write(NOBODY, "another may be going on")))
        observer = DatadogObserver(session_id=name(number))
        thread = kind(lambda: write(name(number), "in a thread"))
        joined(thread)
        assert "run" not in vars(thread), "nothing of ours stays on it"
        await run(worker_with(observer))
        joined(kind(lambda: write(name(number), "after the call")))

    await asyncio.gather(*(asyncio.create_task(take(number)) for number in range(3)))
    joined(kind(lambda: write(NOBODY, "after all of them")))


async def test_a_thread_keeps_its_session_for_as_long_as_it_runs(lines: Lines) -> None:
    over = threading.Event()

    async def take(number: int, thread: threading.Thread) -> None:
        observer = DatadogObserver(session_id=name(number))
        thread.start()
        await run(worker_with(observer))

    def outlive(number: int) -> None:
        over.wait(10)
        write(name(number), "goes on")
        joined(plain(lambda: write(name(number), "and starts another")))

    threads = [plain(lambda number=number: outlive(number)) for number in range(2)]  # type: ignore[misc]
    for number, thread in enumerate(threads):
        await take(number, thread)
    over.set()
    for thread in threads:
        await asyncio.to_thread(thread.join, 10)


async def test_a_daemon_made_before_any_session_is_of_none(lines: Lines) -> None:
    tell = threading.Event()

    def work() -> None:
        tell.wait(10)
        write(NOBODY, "a job of the server's")

    thread = threading.Thread(target=work, daemon=True)
    thread.start()

    async def take() -> None:
        observer = DatadogObserver(session_id=name(0))
        write(name(0), "goes on")
        tell.set()
        await asyncio.to_thread(thread.join, 10)
        await run(worker_with(observer))

    await asyncio.create_task(take())


@pytest.mark.parametrize("first", ["before any session", "by a session"])
async def test_a_pool_works_for_each_that_submits(lines: Lines, first: str) -> None:
    with ThreadPoolExecutor(1) as executor, ThreadPool(1) as pool:

        async def submit(whose: str) -> None:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(executor, write, whose, "in an executor")
            await loop.run_in_executor(None, write, whose, "in the default executor")
            await asyncio.to_thread(write, whose, "by to_thread")
            for work in (
                lambda: pool.apply(write, (whose, "in a pool")),
                lambda: pool.map(lambda text: write(whose, text), ["mapped"]),
                lambda: list(pool.imap(lambda text: write(whose, text), ["imapped"])),
                lambda: pool.starmap(write, [(whose, "starmapped")]),
            ):
                result: Any = work()
                assert result in (None, [None])

        async def take(number: int) -> None:
            observer = DatadogObserver(session_id=name(number))
            await submit(name(number))
            await run(worker_with(observer))

        if first == "before any session":
            await submit(NOBODY)
        for number in range(2):
            await asyncio.create_task(take(number))
            await submit(NOBODY)
        await asyncio.gather(*(asyncio.create_task(take(number)) for number in (3, 4)))


async def test_what_a_thread_raises_and_how_often_it_is_started_stay_its_own() -> None:
    raised: list[BaseException | None] = []
    before, threading.excepthook = threading.excepthook, lambda args: raised.append(args.exc_value)
    try:

        async def take() -> None:
            observer = DatadogObserver()
            assert current_session()

            def fail() -> None:
                raise LookupError("mine")

            thread = plain(fail)
            joined(thread)
            with pytest.raises(RuntimeError, match="once"):
                thread.start()
            del observer

        await asyncio.create_task(take())
    finally:
        threading.excepthook = before
    assert [type(error) for error in raised] == [LookupError]


async def test_a_thread_that_cannot_be_started_is_no_failure_of_ours() -> None:
    class Forgets(threading.Thread):
        def __init__(self) -> None:
            pass

    observer = DatadogObserver()
    assert current_session()
    before = _guard.instrumentation.failures
    with pytest.raises(RuntimeError, match="not called"):
        Forgets().start()
    assert _guard.instrumentation.failures == before
    del observer


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
async def test_a_process_forked_from_a_thread_of_a_session_is_of_none(lines: Lines) -> None:
    found: list[int] = []

    def fork() -> None:
        child = os.fork()
        if child == 0:
            joined(plain(lambda: found.append(bool(current_session()))))
            os._exit(1 if current_session() or found != [False] else 0)
        found.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        write(name(0), "has forked")

    async def take() -> None:
        observer = DatadogObserver(session_id=name(0))
        await asyncio.to_thread(joined, plain(fork))
        await run(worker_with(observer))
        write(name(0), "is over")

    await asyncio.create_task(take())
    assert found == [0]

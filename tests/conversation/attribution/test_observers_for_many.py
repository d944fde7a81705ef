"""Whose the lines are of functions that make an observer and do not run the call themselves."""

import asyncio
import gc
import threading
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from pipecat_dd import DatadogObserver
from tests.conversation.attribution.calls import NOBODY, count, name, run, worker_with, write, wrong
from tests.support.lines import Lines, written_lines
from tests.support.versions import needs_pipecat


@pytest.fixture
def lines() -> Iterator[Lines]:
    with written_lines("INFO") as written:
        yield written
        assert not wrong(written.all)
        assert count(written.all) >= 4


@asynccontextmanager
async def going_on(observer: DatadogObserver) -> AsyncIterator[None]:
    """Take a call in the way of a server: in a task that the making function knows nothing of."""
    started, over = asyncio.Event(), asyncio.Event()

    async def take() -> None:
        worker = worker_with(observer, ends=False)

        async def begin(*_: object) -> None:
            started.set()
            await over.wait()
            await worker.cancel()

        worker.add_event_handler("on_pipeline_started", begin)
        await run(worker)

    calls = {asyncio.create_task(take())}
    await started.wait()
    yield
    over.set()
    await asyncio.gather(*calls)


async def write_soon() -> None:
    await asyncio.sleep(0)
    write(NOBODY, "in a task")


async def test_one_that_is_made_when_it_is_first_asked_for(lines: Lines) -> None:
    made: list[DatadogObserver] = []

    def the_observer() -> DatadogObserver:
        if not made:
            made.append(DatadogObserver(session_id=name("first")))
        return made[0]

    async def warm_up() -> None:
        the_observer()
        jobs.append(asyncio.create_task(job()))

    async def job() -> None:
        await over.wait()
        write(NOBODY, "a job of the server's")

    jobs: list[asyncio.Task[None]] = []
    over = asyncio.Event()
    await asyncio.create_task(warm_up())
    for _ in range(2):
        write(NOBODY, "waiting")
        async with going_on(the_observer()):
            write(NOBODY, "a job beside the call")
    over.set()
    await asyncio.gather(*jobs)


def test_a_thread_that_a_main_function_starts(lines: Lines) -> None:
    observer, over = DatadogObserver(session_id=name("first")), threading.Event()

    def job() -> None:
        over.wait(10)
        for _ in range(4):
            write(NOBODY, "a job of the server's")

    thread = threading.Thread(target=job)
    thread.start()

    async def serve() -> None:
        for _ in range(2):
            await asyncio.create_task(run(worker_with(observer)))

    asyncio.run(serve())
    over.set()
    thread.join(10)


def test_bots_that_are_prepared_without_an_event_loop(lines: Lines) -> None:
    kept: list[Any] = []

    def prepare(number: int) -> None:
        write(NOBODY, "prepares")
        kept.append(DatadogObserver(session_id=name(number)))
        write(name(number), "has prepared")

    for number in range(4):
        prepare(number)
        write(NOBODY, "one is prepared")


def test_nothing_of_a_function_without_an_event_loop_is_kept(lines: Lines) -> None:
    class Owned:
        pass

    kept: list[weakref.ref[Any]] = []

    def take(number: int) -> None:
        owned = Owned()
        observer = DatadogObserver(session_id=name(number))
        worker = worker_with_loop(observer)
        write(name(number), "the call is over")
        kept.extend(weakref.ref(one) for one in (owned, observer, worker))

    def worker_with_loop(observer: DatadogObserver) -> Any:
        async def hold() -> Any:
            worker = worker_with(observer)
            await run(worker)
            return worker

        return asyncio.run(hold())

    for number in range(4):
        take(number)
    gc.collect()
    assert not [one for one in (held() for held in kept) if one is not None]


class Bot:
    """Holds its worker in an attribute, and is run in the background."""

    def __init__(self, observer: DatadogObserver) -> None:
        self.worker = worker_with(observer, ends=False)
        self.started = asyncio.Event()
        self.worker.add_event_handler("on_pipeline_started", lambda *_: self.started.set())

    async def run(self) -> None:
        await run(self.worker)


async def by_an_attribute(observer: DatadogObserver) -> None:
    bot = Bot(observer)
    running = asyncio.create_task(bot.run())
    await bot.started.wait()
    await asyncio.sleep(0)
    write(name(0), "it runs")
    await bot.worker.cancel()
    await running


async def by_gathering(observer: DatadogObserver) -> None:
    async def hold() -> None:
        await run(worker_with(observer))

    async def watch() -> None:
        for _ in range(5):
            await asyncio.sleep(0.01)
            write(name(0), "is watched")

    await asyncio.gather(hold(), watch())


async def by_a_group(observer: DatadogObserver) -> None:
    async def hold() -> None:
        await run(worker_with(observer))

    async with asyncio.TaskGroup() as group:
        group.create_task(hold())


async def with_a_limit(observer: DatadogObserver) -> None:
    async def hold() -> None:
        await run(worker_with(observer))

    await asyncio.wait_for(hold(), 60)


async def waiting(observer: DatadogObserver) -> None:
    async def hold() -> None:
        await run(worker_with(observer))

    await asyncio.wait({asyncio.create_task(hold())}, timeout=60)


@pytest.mark.parametrize("hold", [by_an_attribute, by_gathering, by_a_group, with_a_limit, waiting])
async def test_a_function_that_has_to_do_with_the_run_is_of_the_call(
    lines: Lines, hold: Callable[[DatadogObserver], Awaitable[None]]
) -> None:
    async def upload() -> None:
        await over.wait()
        write(name(0), "uploads the recording")

    async def take() -> None:
        write(NOBODY, "somebody rings")
        observer = DatadogObserver(session_id=name(0))
        uploading = asyncio.create_task(upload())
        await hold(observer)
        write(name(0), "the call is over")
        over.set()
        await uploading

    over = asyncio.Event()
    await asyncio.create_task(take())
    write(NOBODY, "waiting")


@needs_pipecat("1.8", "an observer is not set up, and so does not see which task runs its bot")
async def test_bots_that_are_all_made_before_they_are_started_together(lines: Lines) -> None:
    class Bot:
        def __init__(self, number: int) -> None:
            self.observer = DatadogObserver(session_id=name(number))

        async def run(self) -> None:
            started = asyncio.Event()
            worker = worker_with(self.observer, ends=False)

            async def begin(*_: object) -> None:
                started.set()

            worker.add_event_handler("on_pipeline_started", begin)
            running = asyncio.create_task(run(worker))
            await started.wait()
            # The context is that of the bot which was made last: whose it is cannot be known.
            write(NOBODY, "in a bot's own function")
            await write_soon()
            await worker.cancel()
            await running

    bots = [Bot(number) for number in range(3)]
    await asyncio.gather(*(bot.run() for bot in bots))


async def test_bots_that_are_started_one_by_one_as_they_are_made(lines: Lines) -> None:
    async def run_bot(number: int, worker: Any) -> None:
        write(name(number), "about to run")
        await run(worker)
        write(name(number), "the call is over")

    def start(number: int) -> "asyncio.Task[None]":
        worker = worker_with(DatadogObserver(session_id=name(number)))
        return asyncio.create_task(run_bot(number, worker))

    await asyncio.gather(*[start(number) for number in range(3)])

"""What an observer binds where it is made ends with the call that made it."""

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from pipecat.frames.frames import EndFrame, Frame, TextFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.processors.filters.identity_filter import IdentityFilter
from pipecat.processors.frame_processor import FrameDirection

from pipecat_dd import DatadogObserver, current_session
from pipecat_dd.cli.demo.versions import PipelineWorker
from tests.conversation.attribution.calls import NOBODY, count, name, run, worker_with, write, wrong
from tests.support.lines import Lines, written_lines


@pytest.fixture
def lines() -> Iterator[Lines]:
    with written_lines("INFO") as written:
        yield written
        assert not wrong(written.all)
        assert count(written.all) >= 4


async def call(number: int) -> None:
    write(NOBODY, "somebody rings")
    observer = DatadogObserver(session_id=name(number))
    write(name(number), "the bot is made")
    worker = worker_with(
        observer,
    )
    write(name(number), "the bot is about to run")
    await run(worker)
    write(name(number), "the call is over")


async def test_a_function_that_is_called_for_each(lines: Lines) -> None:
    for number in range(3):
        write(NOBODY, "waiting")
        await call(number)
        write(NOBODY, "a call was taken")
    await asyncio.create_task(write_soon(NOBODY))


async def write_soon(whose: object) -> None:
    await asyncio.sleep(0)
    write(whose, "in a task")


async def test_a_loop_that_takes_them_itself(lines: Lines) -> None:
    for number in range(3):
        write(NOBODY, "waiting")
        await asyncio.create_task(write_soon(NOBODY))
        observer = DatadogObserver(session_id=name(number))
        await run(worker_with(observer))
        write(name(number), "the call is over")
        await asyncio.create_task(write_soon(name(number)))


async def test_a_loop_whose_condition_awaits_the_next(lines: Lines) -> None:
    numbers = iter(range(3))

    async def accept() -> int | None:
        write(NOBODY, "waiting")
        await asyncio.sleep(0)
        return next(numbers, None)

    while (number := await accept()) is not None:
        await run(worker_with(DatadogObserver(session_id=name(number))))
        write(name(number), "the call is over")


async def test_a_loop_that_refuses_some_and_fails_to_take_others(lines: Lines) -> None:
    class Closes:
        async def __aenter__(self) -> None:
            pass

        def __init__(self, whose: str) -> None:
            self.whose = whose

        async def __aexit__(self, *_: object) -> None:
            write(self.whose, "closes what the call had")

    async def accept(number: int) -> None:
        await asyncio.sleep(0)
        if number == 3:
            raise ConnectionError

    for number in range(6):
        try:
            await accept(number)
            if number % 2 == 0:
                async with Closes(name(number)):
                    await run(worker_with(DatadogObserver(session_id=name(number))))
                    if number == 4:
                        raise LookupError
                write(name(number), "the call is over")
            else:
                write(NOBODY, "refused")
        except ConnectionError:
            write(NOBODY, "could not be taken")
        except LookupError:
            write(name(number), "failed")


async def test_a_call_within_what_it_opened_before(lines: Lines) -> None:
    class Opened:
        async def __aenter__(self) -> None:
            write(NOBODY, "opens")

        async def __aexit__(self, *_: object) -> None:
            write(name(0), "closes")

    async with Opened():
        await run(worker_with(DatadogObserver(session_id=name(0))))
        write(name(0), "the call is over")
    write(name(0), "and all is closed")


async def test_a_stream_of_calls_some_of_which_are_refused(lines: Lines) -> None:
    async def ringing() -> AsyncIterator[int]:
        for number in range(4):
            write(NOBODY, "ringing")
            yield number

    async def take(number: int) -> None:
        if number % 2 == 0:
            await run(worker_with(DatadogObserver(session_id=name(number))))
            write(name(number), "the call is over")
        else:
            await asyncio.sleep(0)
            write(NOBODY, "refused")

    async for number in ringing():
        await take(number)


async def test_a_function_that_takes_the_next_call_itself(lines: Lines) -> None:
    async def take(number: int) -> None:
        await run(worker_with(DatadogObserver(session_id=name(number))))
        write(name(number), "the call is over")
        if number < 2:
            await asyncio.create_task(take(number + 1))
        write(name(number), "and so is what it waited for")

    await take(0)


async def test_a_loop_that_starts_them_and_does_not_wait(lines: Lines) -> None:
    going_on = asyncio.Event()
    tasks: list[asyncio.Task[None]] = []

    async def hold(number: int, worker: Any) -> None:
        write(name(number), "in the call's task")
        await going_on.wait()
        await run(worker)
        write(name(number), "the call is over")

    def start(number: int) -> None:
        worker = worker_with(DatadogObserver(session_id=name(number)))
        write(name(number), "started")
        tasks.append(asyncio.create_task(hold(number, worker)))

    async def take(number: int) -> None:
        write(NOBODY, "somebody rings")
        start(number)
        write(NOBODY, "taken")

    for number in range(3):
        write(NOBODY, "waiting")
        await take(number)
        await asyncio.sleep(0)
        await asyncio.create_task(write_soon(NOBODY))
    going_on.set()
    await asyncio.gather(*tasks)
    write(NOBODY, "all calls are over")


async def test_calls_that_run_while_the_next_one_rings(lines: Lines) -> None:
    started, going_on = asyncio.Semaphore(0), asyncio.Event()

    async def serve(number: int) -> None:
        observer = DatadogObserver(session_id=name(number))
        worker = worker_with(observer, ends=False)

        async def begin(*_: object) -> None:
            write(name(number), "the pipeline has started")
            started.release()
            await going_on.wait()
            await worker.cancel()

        worker.add_event_handler("on_pipeline_started", begin)
        await run(worker)
        write(name(number), "the call is over")

    async def ring(number: int) -> asyncio.Task[None]:
        task = asyncio.create_task(serve(number))
        await started.acquire()
        return task

    tasks = []
    for number in range(2):
        write(NOBODY, "waiting")
        tasks.append(await ring(number))
        write(NOBODY, "it has begun")
        await asyncio.create_task(write_soon(NOBODY))
    going_on.set()
    await asyncio.gather(*tasks)


async def test_one_that_never_ran_and_one_that_was_thrown_away(lines: Lines) -> None:
    kept: list[Any] = []

    async def prepare(*, keep: bool) -> None:
        worker = worker_with(DatadogObserver(session_id=name("prepared")), ends=False)
        write(name("prepared"), "is made")
        await asyncio.sleep(0)
        if keep:
            kept.append(worker)

    for keep in (True, False):
        await prepare(keep=keep)
        gc.collect()
        write(NOBODY, "between")
        await asyncio.create_task(write_soon(NOBODY))
        await call(int(keep))


async def test_what_a_call_started_goes_on_as_its_own(lines: Lines) -> None:
    over = asyncio.Event()

    async def upload(number: int) -> None:
        await over.wait()
        write(name(number), "uploads the recording")

    async def take(number: int) -> asyncio.Task[None]:
        observer = DatadogObserver(session_id=name(number))
        task = asyncio.create_task(upload(number))
        await run(worker_with(observer))
        return task

    tasks = [await take(number) for number in range(3)]
    write(NOBODY, "waiting for the uploads")
    over.set()
    await asyncio.gather(*tasks)


async def test_a_method_and_a_helper_that_make_the_observer(lines: Lines) -> None:
    class Call:
        def __init__(self, number: int) -> None:
            self.number = number
            self.worker = worker_with(DatadogObserver(session_id=name(number)))

        async def hold(self) -> None:
            await run(self.worker)

    for number in range(2):
        write(NOBODY, "waiting")
        await Call(number).hold()
        await asyncio.sleep(0)
        write(NOBODY, "the call is over")
        write(NOBODY, "and the next may come")


async def test_a_helper_that_builds_the_bot_which_its_caller_runs(lines: Lines) -> None:
    def build(number: int) -> Any:
        return worker_with(DatadogObserver(session_id=name(number)), ends=False)

    async def take(number: int) -> None:
        worker = build(number)
        started = asyncio.Event()
        worker.add_event_handler("on_pipeline_started", lambda *_: started.set())
        running = asyncio.create_task(run(worker))
        await started.wait()
        write(name(number), "it runs")
        await asyncio.create_task(write_soon(name(number)))
        await worker.cancel()
        await running
        write(name(number), "it has run")

    for number in range(2):
        write(NOBODY, "waiting")
        await take(number)
        await asyncio.create_task(write_soon(NOBODY))


async def test_one_that_a_helper_made_and_that_never_ran(lines: Lines) -> None:
    def prepare() -> Any:
        return worker_with(DatadogObserver(session_id=name("prepared")), ends=False)

    kept = prepare()
    for number in range(2):
        write(NOBODY, "waiting")
        await asyncio.create_task(call(number))
        await call(number + 2)
    del kept


def test_an_event_loop_for_each_call(lines: Lines) -> None:
    def take(number: int) -> None:
        write(NOBODY, "somebody rings")
        asyncio.run(call(number))
        write(NOBODY, "the call is over")

    for number in range(2):
        take(number)


def test_a_function_without_an_event_loop_of_its_own(lines: Lines) -> None:
    async def serve(observer: DatadogObserver, number: int) -> None:
        # A whole server could be run here: that it was made for one call is not known.
        await run(worker_with(observer))
        del number

    def take(number: int) -> None:
        write(NOBODY, "somebody rings")
        if number == 1:
            write(NOBODY, "refused, where another call would have been over")
            return
        observer = DatadogObserver(session_id=name(number))
        write(name(number), "the bot is made")
        asyncio.run(serve(observer, number))
        write(name(number), "the call is over")

    def refuse(number: int) -> None:
        take(number)
        write(NOBODY, "next")

    for number in range(3):
        refuse(number)


async def test_the_session_of_the_code_that_asks_ends_with_it(lines: Lines) -> None:
    async def take(number: int) -> None:
        assert not current_session()
        observer = DatadogObserver(session_id=name(number))
        for _ in range(2):
            session = current_session()
            assert session.id == name(number)
        await run(worker_with(observer))
        write(name(number), "over")
        assert current_session()

    for number in range(4):
        await take(number)
        assert not current_session()


async def test_a_bot_that_starts_another(lines: Lines) -> None:
    class Starts(IdentityFilter):
        async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
            if isinstance(frame, TextFrame):
                await asyncio.create_task(other(2))
                write(name(1), "back in the first")
                await other(3)
                write(name(1), "back again")
            await super().process_frame(frame, direction)

    async def other(number: int) -> None:
        write(name(1), "another is wanted")
        observer = DatadogObserver(session_id=name(number))
        write(name(number), "it is made")
        await asyncio.create_task(write_soon(name(number)))
        await run(worker_with(observer))
        write(name(number), "it is over")

    async def first() -> None:
        observer = DatadogObserver(session_id=name(1))
        worker = PipelineWorker(Pipeline([Starts()]), observers=[observer])
        await worker.queue_frames([TextFrame("go"), EndFrame()])
        await run(worker)
        write(name(1), "the first is over")

    await asyncio.create_task(first())

"""Whose work runs is the same, seen from another thread as by the code itself."""

import asyncio
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pipecat_dd import DatadogObserver, current_session
from pipecat_dd.conversation.context import WorkContext, current_context, open_stage
from pipecat_dd.export import correlation
from pipecat_dd.instrumentation.code_places import Spot, place_of, stack_of
from pipecat_dd.instrumentation.running_code import Caller, Sighting, see
from tests.conversation.attribution.calls import NOBODY, name, run, worker_with, write
from tests.support.conversation import converse
from tests.support.lines import written_lines


class Beside:
    """A thread that looks at what the thread which asks it runs."""

    def __init__(self) -> None:
        self._asked: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def sees(self) -> Sighting | None:
        found: list[Any] = []
        done = threading.Event()
        loop, thread_id = asyncio.get_running_loop(), threading.get_ident()

        def look() -> None:
            try:
                found.append(see(loop, thread_id, Caller(is_asyncios=True, depth=0)))
            except BaseException as error:
                found.append(error)
            done.set()

        self._asked.put(look)
        done.wait(10)
        if isinstance(found[0], BaseException):
            raise found[0]
        sighting: Sighting | None = found[0]
        return sighting

    def close(self) -> None:
        self._asked.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (asked := self._asked.get()) is not None:
            asked()


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Compare, for each line that is written in an event loop; what was compared."""
    beside, all_compared, wrong = Beside(), [], []

    def compare() -> WorkContext | None:
        work = current_context()
        if asyncio._get_running_loop() is None:
            return work
        seen = beside.sees()
        found = None if seen is None else seen.work
        session = None if work is None else work.session
        all_compared.append("none" if session is None else session.id)
        ours, theirs = described(work), described(found)
        if ours != theirs:
            wrong.append(f"{theirs}, which is {ours}, from {sys._getframe(4).f_code.co_qualname}")
        return work

    monkeypatch.setattr(correlation, "current_context", compare)
    yield all_compared
    beside.close()
    assert not wrong, "\n".join(wrong)


def described(work: WorkContext | None) -> tuple[Any, ...]:
    if work is None or work.session is None:
        return ("nobody's",)
    processor = None if work.processor is None else work.processor.name
    stage = open_stage(work)
    return work.session.id, processor, work.bound, stage


async def test_in_calls_that_one_function_takes_one_after_another(compared: list[str]) -> None:
    async def in_task(whose: object) -> None:
        await asyncio.sleep(0)
        write(whose, "in a task")

    with written_lines("INFO"):
        for number in range(3):
            write(NOBODY, "waiting")
            worker = worker_with(DatadogObserver(session_id=name(number)))
            write(name(number), "about to run")
            task = asyncio.create_task(in_task(name(number)))
            await run(worker)
            write(name(number), "the call is over")
            await task
    assert {NOBODY, *(name(number) for number in range(3))} <= set(compared)


async def test_in_two_calls_that_one_function_takes_at_once(compared: list[str]) -> None:
    with written_lines("DEBUG"):
        workers = [worker_with(DatadogObserver(session_id=name(number))) for number in range(2)]
        assert not current_session()
        write(NOBODY, "whose is it?")
        await asyncio.gather(*(run(worker) for worker in workers))
    assert {NOBODY, name(0), name(1)} <= set(compared)


async def test_in_every_part_of_a_conversation(compared: list[str]) -> None:
    with written_lines("DEBUG"):
        await converse(lambda: [DatadogObserver(session_id="all")])
    assert compared.count("all") > 20


async def test_no_absolute_path_and_no_value_is_told() -> None:
    def with_secret(secret: str) -> Sighting | None:
        beside = Beside()
        try:
            return beside.sees()
        finally:
            beside.close()

    seen = with_secret("hunter2")
    assert seen is not None
    stack = stack_of(seen.spots)
    assert "hunter2" not in stack
    assert "tests/instrumentation/test_running_code.py" in stack
    assert not [line for line in stack.splitlines() if "(/" in line]


@pytest.mark.parametrize(
    ("filename", "module", "expected"),
    [
        ("/somewhere/else/alice/bot.py", "bot", "alice/bot.py:7"),
        ("<string>", "__main__", "<string>:7"),
    ],
)
def test_a_file_is_named_in_short(filename: str, module: str, expected: str) -> None:
    code = compile("def f(): pass", filename, "exec")
    assert place_of(Spot(code, 7, module)).location == expected

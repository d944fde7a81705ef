"""What asyncio tells of a task that nobody awaited is told as the work of that task."""

import asyncio
import contextvars
import gc
import logging
from collections.abc import Callable
from typing import Any

import pytest
from loguru import logger

from pipecat_dd.conversation.context import WorkContext, current
from pipecat_dd.conversation.live_sessions import register
from pipecat_dd.conversation.model import Session

MINE, THEIRS = Session("mine", "bot"), Session("theirs", "bot")


@pytest.fixture(autouse=True)
def _two_sessions() -> None:
    register(MINE)
    register(THEIRS)


def within(session: Session, work: Callable[[], Any]) -> Any:
    context = contextvars.copy_context()
    context.run(current.set, WorkContext(session))
    return context.run(work)


async def fail() -> None:
    raise ValueError("lost")


async def lost_by(session: Session) -> None:
    """Leave a failed task behind that only the garbage collector finds."""
    task: asyncio.Task[None] = within(session, lambda: asyncio.create_task(fail()))
    await asyncio.wait([task])
    cycle: list[Any] = [task]
    cycle.append(cycle)


async def test_a_task_that_is_collected_in_another_sessions_work(configured: Any) -> None:
    lines = configured()
    gc.disable()
    try:
        await lost_by(MINE)
        within(THEIRS, gc.collect)
    finally:
        gc.enable()
    assert lines.one["session_id"] == "mine"
    assert lines.one["error"]["kind"] == "ValueError"
    assert lines.one["name"] == "asyncio"


async def test_a_task_that_is_collected_while_a_line_is_written(configured: Any) -> None:
    lines = configured()
    gc.disable()
    try:
        await lost_by(MINE)
        # As when the garbage of writing a line calls the collector.
        handler = logger.add(lambda _: gc.collect())
        within(THEIRS, lambda: logger.info("hello"))
        logger.remove(handler)
        await asyncio.sleep(0)  # the event loop comes round
    finally:
        gc.enable()
    told = {line["name"]: line["session_id"] for line in lines.all}
    assert told == {__name__: "theirs", "asyncio": "mine"}


async def test_a_callback_that_fails(configured: Any) -> None:
    lines = configured()
    done = asyncio.Event()

    def callback() -> None:
        done.set()
        raise ValueError("lost")

    within(MINE, lambda: asyncio.get_running_loop().call_soon(callback))
    await done.wait()
    assert lines.one["session_id"] == "mine"


async def test_what_names_no_task_belongs_to_nobody_known(configured: Any) -> None:
    lines = configured()
    loop = asyncio.get_running_loop()
    within(MINE, lambda: loop.call_exception_handler({"message": "Unclosed connector"}))
    assert "session_id" not in lines.one


async def test_an_event_loop_without_frames_of_its_own(configured: Any) -> None:
    lines = configured()
    asyncios = logging.getLogger("asyncio")
    within(MINE, lambda: asyncios.error("Task exception was never retrieved\nfuture: …"))
    within(MINE, lambda: asyncios.warning("Executing took 0.2 seconds"))
    collected, other = lines.all
    assert "session_id" not in collected
    assert other["session_id"] == "mine"


async def test_what_was_contextualized_there_comes_along(configured: Any) -> None:
    lines = configured()
    with logger.contextualize(customer_tier="gold"):
        task = asyncio.create_task(fail())
    await asyncio.wait([task])
    del task
    gc.collect()
    assert lines.one["customer_tier"] == "gold"

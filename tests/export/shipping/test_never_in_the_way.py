"""The bot's logging call and its event loop wait for nothing of shipping's."""

import asyncio
import threading
import time

import pytest
from loguru import logger

from pipecat_dd.export.logs import unconfigure_logging
from pipecat_dd.export.shipping import lifecycle, shipping_counts
from tests.export.shipping.conftest import ShipTo, check_sum
from tests.support.intake import Intake, Reply, first

LINES = 5_000


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("how", ["hangs", "is down", "is well"])
async def test_the_event_loop_is_not_held_up(intake: Intake, ship_to: ShipTo, how: str) -> None:
    hangs = threading.Event()
    if how == "hangs":
        intake.script = lambda number, lines: Reply(202, after=hangs)
    if how == "is down":
        intake.stop()
    ship_to(intake)
    logger.info("first")
    if how == "hangs":
        await asyncio.to_thread(intake.wait_for_requests, 1)
    longest = 0.0
    stopped = asyncio.Event()

    async def watch() -> None:
        nonlocal longest
        while not stopped.is_set():
            begun = time.perf_counter()
            await asyncio.sleep(0)
            longest = max(longest, time.perf_counter() - begun)

    watching = asyncio.create_task(watch())
    slowest = 0.0
    for number in range(LINES):
        begun = time.perf_counter()
        logger.bind(number=number).info("x" * 500)
        slowest = max(slowest, time.perf_counter() - begun)
        if number % 20 == 0:
            await asyncio.sleep(0)
    stopped.set()
    await watching
    # A request that is waited for takes seconds; a turn of the interpreter's other threads on a
    # busy machine some tens of milliseconds.
    assert slowest < 0.5
    assert longest < 0.5
    assert shipping_counts().written == LINES + 1
    check_sum()
    hangs.set()


def test_a_line_can_be_written_while_a_line_is_taken(intake: Intake, ship_to: ShipTo) -> None:
    # As a finalizer or a signal's handler does that runs in the middle of it.
    from pipecat_dd.export.shipping.counting import COUNTERS

    ship_to(intake)
    with COUNTERS.lock:
        logger.info("in the middle")
    intake.wait_for_lines(1)


@pytest.mark.usefixtures("impatient")
def test_a_signals_handler_that_ends_the_bot_while_a_line_is_taken_does_not_wait_for_ever(
    intake: Intake, ship_to: ShipTo
) -> None:
    from pipecat_dd.export.shipping.counting import COUNTERS

    ship_to(intake, flush_interval_secs=60)
    logger.info("one")
    begun = time.monotonic()
    with COUNTERS.lock:  # as the interrupted line holds it, so that the thread cannot go on
        lifecycle.finish()
    assert time.monotonic() - begun < 2
    unconfigure_logging()
    counted = check_sum()
    assert counted.waiting == 0
    assert counted.shipped + counted.dropped_in_all == 1
    assert len(intake.lines) == counted.shipped


def test_ending_with_an_intake_that_hangs_takes_two_seconds(
    intake: Intake, ship_to: ShipTo
) -> None:
    hangs = threading.Event()
    intake.script = lambda number, lines: Reply(202, after=hangs, keeps=False)
    ship_to(intake, timeout_secs=60)
    logger.info("one")
    intake.wait_for_requests(1)
    logger.info("two")
    begun = time.monotonic()
    unconfigure_logging()
    assert time.monotonic() - begun < 2.5
    counted = check_sum()
    assert counted.dropped == {"exit": 2}
    assert counted.waiting == 0
    hangs.set()


@pytest.mark.usefixtures("impatient")
def test_after_an_end_that_was_none_lines_are_shipped_again(
    intake: Intake, ship_to: ShipTo
) -> None:
    # As where a handler of SIGTERM lets the process go on.
    hangs = threading.Event()
    intake.script = first(Reply(202, after=hangs, keeps=False))
    ship_to(intake, timeout_secs=60)
    logger.info("one")
    intake.wait_for_requests(1)
    lifecycle.finish()
    assert shipping_counts().dropped == {"exit": 1}
    logger.info("two")
    intake.wait_for_lines(1, timeout_secs=5)
    assert intake.messages == ["two"]
    hangs.set()


def test_ending_while_a_name_is_looked_up_takes_two_seconds(
    intake: Intake, ship_to: ShipTo, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipecat_dd.export.shipping import _http

    looks_up, found = threading.Event(), threading.Event()

    def stuck(self: object, timeout_secs: float) -> None:
        looks_up.set()
        found.wait(60)
        raise OSError

    monkeypatch.setattr(_http.Intake, "_open", stuck)
    ship_to(intake)
    logger.info("one")
    assert looks_up.wait(5)
    begun = time.monotonic()
    unconfigure_logging()
    assert time.monotonic() - begun < 2.5
    assert check_sum().dropped == {"exit": 1}
    found.set()

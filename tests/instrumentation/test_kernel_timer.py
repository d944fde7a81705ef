"""The watch's timer is put off without waking the thread that waits, and may be taken away."""

import asyncio
import ctypes
import os
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from pipecat_dd.instrumentation import blocked_loop, kernel_timer, loop_watch
from pipecat_dd.instrumentation.kernel_timer import KernelTimer
from pipecat_dd.instrumentation.thread_counters import ThreadCounters
from pipecat_dd.testing import capture
from tests.instrumentation import blocking_bots as bots
from tests.instrumentation.blocking_bots import Bot
from tests.instrumentation.waiting_bot import watching_threads

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has such a timer")


@pytest.fixture(params=["python", "c_library"])
def timer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[KernelTimer]:
    if request.param == "python" and not hasattr(os, "timerfd_create"):
        pytest.skip("os.timerfd_create is new in Python 3.13")
    functions = getattr(kernel_timer, f"_of_{request.param}")
    monkeypatch.setattr(kernel_timer, "_functions", functions)
    found = KernelTimer.open()
    assert found is not None
    yield found
    found.close()


def test_it_fires_when_it_is_due_and_stays_so_until_it_is_set_again(timer: KernelTimer) -> None:
    began_secs = time.monotonic()
    timer.set(0.05)
    assert timer.wait()
    assert time.monotonic() - began_secs >= 0.05
    assert timer.wait()


def test_to_put_it_off_does_not_wake_the_thread_that_waits(timer: KernelTimer) -> None:
    waits = threading.Event()
    found: list[float] = []
    native_ids: list[int] = []

    def wait() -> None:
        native_ids.append(threading.get_native_id())
        waits.set()
        assert timer.wait()
        found.append(time.monotonic())

    timer.set(0.5)
    thread = threading.Thread(target=wait)
    thread.start()
    waits.wait()
    counters = ThreadCounters(native_ids[0])
    time.sleep(0.1)  # by then it sleeps
    before = counters.read()
    for _ in range(30):
        time.sleep(0.01)  # a heartbeat
        timer.set(0.5)
        put_off_secs = time.monotonic()
    after = counters.read()
    thread.join()
    counters.close()
    assert found[0] - put_off_secs >= 0.499
    if before is not None and after is not None:  # a kernel that counts
        assert after.runs == before.runs


def test_zero_is_at_once(timer: KernelTimer) -> None:
    timer.set(60)
    timer.set(0)
    assert timer.wait()


def test_one_that_is_closed_does_nothing(timer: KernelTimer) -> None:
    timer.close()
    timer.close()
    timer.set(1)
    assert not timer.wait()


def test_it_is_not_inherited_by_programs_that_the_bot_starts(timer: KernelTimer) -> None:
    assert timer._file is not None
    assert not os.get_inheritable(timer._file)


def test_where_the_system_has_none_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking() -> None:
        raise AttributeError("timerfd_create")

    monkeypatch.setattr(kernel_timer, "_functions", lacking)
    assert KernelTimer.open() is None


def test_on_windows_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def of_windows(name: str | None, **_: object) -> None:
        raise TypeError("argument of type 'NoneType' is not iterable")  # "/" in name

    monkeypatch.delattr(os, "timerfd_create", raising=False)
    monkeypatch.setattr(ctypes, "PyDLL", of_windows)
    kernel_timer._functions.cache_clear()
    assert KernelTimer.open() is None


# The watch


async def is_watch_over() -> None:
    """Wait for the watch's thread, which announces nothing."""
    async with asyncio.timeout(5):
        while watching_threads():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def block(bot: Bot) -> None:
    await asyncio.create_task(blocking())


async def blocking() -> None:
    bots.block()


async def test_without_it_a_block_is_reported_as_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KernelTimer, "open", lambda: None)
    await is_block_reported()


async def is_block_reported() -> None:
    with capture() as seen:
        await bots.run_all([block])
    (found,) = bots.blocked(seen.session("session-0"))
    assert found.resource == f"{__name__}.blocking"
    await is_watch_over()


async def test_a_program_that_closes_all_files_goes_on_being_watched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened: list[KernelTimer] = []
    real = KernelTimer.open

    def noted() -> KernelTimer | None:
        timer = real()
        assert timer is not None
        opened.append(timer)
        return timer

    monkeypatch.setattr(KernelTimer, "open", noted)

    async def close_and_block(bot: Bot) -> None:
        (timer,) = opened
        assert timer._file is not None
        os.close(timer._file)
        reused = os.open(os.devnull, os.O_RDONLY)  # gets its number
        assert reused == timer._file
        try:
            # Until the heartbeat has found it out.
            while timer._file is not None:  # noqa: ASYNC110
                await asyncio.sleep(loop_watch.HEARTBEAT_SECS)
            await block(bot)
        finally:
            os.fstat(reused)  # we have not closed a file of the bot's
            os.close(reused)

    with capture() as seen:
        await bots.run_all([close_and_block])
    (found,) = bots.blocked(seen.session("session-0"))
    assert found.resource == f"{__name__}.blocking"
    await is_watch_over()


async def test_a_watch_that_becomes_more_patient_does_not_spin() -> None:
    timer_waits = 0

    async def raise_threshold(bot: Bot) -> None:
        nonlocal timer_waits
        (found,) = blocked_loop._loops.values()
        real = KernelTimer.wait

        def counted(timer: KernelTimer) -> bool:
            nonlocal timer_waits
            timer_waits += 1
            return real(timer)

        KernelTimer.wait = counted  # type: ignore[method-assign]
        try:
            found.watch.min_secs = 10.0
            bots.block()
        finally:
            KernelTimer.wait = real  # type: ignore[method-assign]

    with capture():
        await bots.run_all([raise_threshold])
    assert timer_waits < 5


async def test_a_fork_in_a_block_leaves_the_parents_timer_as_it_is() -> None:
    def forking() -> None:
        if (child := os.fork()) == 0:
            os._exit(0)
        os.waitpid(child, 0)
        bots.block()

    async def fork_and_block(bot: Bot) -> None:
        asyncio.get_running_loop().call_soon(forking)
        await asyncio.sleep(0)

    with capture() as seen:
        await bots.run_all([fork_and_block])
    names = {one.resource.rpartition(".")[2] for one in bots.blocked(seen.session("session-0"))}
    assert "forking" in names

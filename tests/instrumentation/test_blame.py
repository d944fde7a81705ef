"""Who is blamed where a loop has just begun, several pieces of code block it, or a session ends."""

import asyncio
import contextvars
import time
from collections.abc import Callable
from typing import Any

import pytest
from pipecat.frames.frames import (
    Frame,
    StartFrame,
    UserStartedSpeakingFrame,
    VADUserStartedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.llm_service import FunctionCallParams

from pipecat_dd.testing import capture
from tests.instrumentation import blocking_bots as bots
from tests.instrumentation.blocking_bots import Bot, Poked


def on_asyncio(main: Any) -> None:
    asyncio.run(main)


def on_uvloop(main: Any) -> None:
    pytest.importorskip("uvloop").run(main)


class SlowToSetUp(Poked):
    async def setup(self, *args: Any) -> None:
        bots.block()
        await super().setup(*args)


class SlowToStart(Poked):
    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        if isinstance(frame, StartFrame):
            bots.block()
        await super().process_frame(frame, direction)


@pytest.mark.parametrize("run", [on_asyncio, on_uvloop])
@pytest.mark.parametrize("slow", [SlowToSetUp.setup, SlowToStart.process_frame])
def test_what_blocks_as_the_loops_first_session_begins_is_named(
    run: Callable[[Any], None], slow: Any
) -> None:
    async def main() -> None:
        poked = {"setup": SlowToSetUp}.get(slow.__name__, SlowToStart)
        await Bot(0, poked=poked).run(bots.Together(1), None)

    found: list[str] = []
    for _ in range(3):  # a machine may be so busy that nobody is blamed
        with capture() as seen:
            run(main())
        found = found or [one.resource for one in bots.blocked(seen.session("session-0"))]
    assert found == [f"{__name__}.{slow.__qualname__}"]


# What a turn says


async def test_a_turn_counts_what_its_user_spoke_through_though_it_was_noticed_later() -> None:
    async def speak(bot: Bot) -> None:
        bots.block()
        speech = VADUserStartedSpeakingFrame(start_secs=2 * bots.BLOCK_SECS)
        await bot.worker.queue_frames([speech, UserStartedSpeakingFrame()])
        await asyncio.sleep(0.1)

    with capture() as seen:
        await bots.run_all([speak])
    greeting, spoken = seen.session("session-0").named("pipecat.turn")
    assert spoken.resource == "user"
    assert float(spoken.tags["turn.blocked_seconds"]) > 0.9 * bots.BLOCK_SECS
    assert "turn.blocked_seconds" not in greeting.tags


async def test_a_turn_says_nothing_of_a_block_after_its_end() -> None:
    async def block_twice(bot: Bot) -> None:
        for _ in range(2):
            await asyncio.sleep(0.1)
            bots.block()

    with capture() as seen:
        await bots.run_all([block_twice])
    session = seen.session("session-0")
    (turn,) = session.named("pipecat.turn")
    assert turn.secs < 0.1
    assert "turn.blocked_seconds" not in turn.tags
    assert float(session.root.tags["session.blocked_count"]) >= 2


async def test_a_turn_says_how_long_it_waited_for_another_sessions_code() -> None:
    started, waited = asyncio.Event(), asyncio.Event()

    async def wait(bot: Bot) -> None:
        async def patient(params: FunctionCallParams) -> None:
            started.set()
            await waited.wait()
            await params.result_callback({"done": True})
            bot.done.set()

        bot.llm.register_function("patient", patient)
        await bot.call("patient")

    async def block(bot: Bot) -> None:
        await started.wait()
        bots.block()
        await asyncio.sleep(bots.SETTLE_SECS)
        waited.set()

    acts = enumerate((wait, block))
    with capture() as seen:
        await asyncio.gather(*(Bot(number).run(bots.Together(1), act) for number, act in acts))
    turn = seen.session("session-0").named("pipecat.turn")[-1]
    assert float(turn.tags["turn.blocked_seconds"]) > 0.9 * bots.BLOCK_SECS


# Several pieces of code in one standstill


@pytest.mark.parametrize("run", [on_asyncio, on_uvloop])
def test_each_session_that_blocks_in_the_same_round_of_the_loop_is_blamed_for_its_own(
    run: Callable[[Any], None],
) -> None:
    count = 5

    async def main() -> None:
        all_here = asyncio.Barrier(count)

        async def block_together(bot: Bot) -> None:
            await all_here.wait()
            bots.block()

        async def one(number: int) -> None:
            await Bot(number).run(bots.Together(1), block_together)

        await asyncio.gather(*(one(number) for number in range(count)))

    with capture() as seen:
        run(main())
    found = [bots.blocked(seen.session(f"session-{number}")) for number in range(count)]
    secs = [one.secs for blocks in found for one in blocks]
    assert len([blocks for blocks in found if len(blocks) == 1]) >= count - 1  # a busy machine
    assert max(secs) < 1.5 * bots.BLOCK_SECS
    for number in range(count):
        waited_secs = float(seen.session(f"session-{number}").root.tags["session.blocked_seconds"])
        assert waited_secs > 0.9 * count * bots.BLOCK_SECS


async def test_what_runs_after_a_block_is_not_blamed_for_it() -> None:
    def longer() -> None:
        time.sleep(2 * bots.BLOCK_SECS)

    async def block_twice(bot: Bot) -> None:
        loop = asyncio.get_running_loop()
        loop.call_soon(longer)
        loop.call_soon(shorter)

    def shorter() -> None:
        bots.block()

    with capture() as seen:
        await bots.run_all([block_twice])
    found = bots.blocked(seen.session("session-0"))
    assert [one.resource.rpartition(".")[2] for one in found] == ["longer", "shorter"]
    assert found[0].secs == pytest.approx(2 * bots.BLOCK_SECS, abs=0.05)
    assert found[1].secs == pytest.approx(bots.BLOCK_SECS, abs=0.05)
    assert found[0].end_ns == pytest.approx(found[1].start_ns, abs=1_000)


async def test_many_short_callbacks_together_blame_nobody() -> None:
    took_secs = []

    def take_a_moment() -> None:
        began_secs = time.monotonic()
        time.sleep(0.05)
        took_secs.append(time.monotonic() - began_secs)

    async def block_often(bot: Bot) -> None:
        for _ in range(6):
            asyncio.get_running_loop().call_soon(take_a_moment)

    with capture() as seen:
        await bots.run_all([block_often])
    session = seen.session("session-0")
    # A busy machine makes one of them long.
    assert len(bots.blocked(session)) <= sum(secs > 0.09 for secs in took_secs)
    assert float(session.root.tags["session.blocked_seconds"]) > 0.2
    assert [line for line in seen.lines if "many callbacks together" in line["message"]]


# What is private


async def test_a_task_that_is_named_after_a_telephone_number_is_told_without_it() -> None:
    async def dial() -> None:
        bots.block()

    async def dial_in_task(bot: Bot) -> None:
        await asyncio.create_task(dial(), name="dial +4915112345678")

    with capture() as seen:
        await bots.run_all([dial_in_task])
    (found,) = bots.blocked(seen.session("session-0"))
    assert found.tags["blocked.task"] == "dial [number]"


# The end of a session


async def test_a_session_that_ends_right_after_nobodys_code_blocked_is_not_said_to_have() -> None:
    def blocking_nobody() -> None:
        bots.block()

    async def end_after_it(bot: Bot) -> None:
        asyncio.get_running_loop().call_soon(blocking_nobody, context=contextvars.Context())
        await asyncio.sleep(0)
        await bot.observer.cleanup()

    with capture() as seen:
        await bots.run_all([end_after_it])
    session = seen.session("session-0")
    (line,) = [one for one in seen.lines if "blocking_nobody" in one["message"]]
    assert "session_id" not in line
    assert not bots.blocked(session)
    assert float(session.root.tags["session.blocked_seconds"]) > 0.9 * bots.BLOCK_SECS

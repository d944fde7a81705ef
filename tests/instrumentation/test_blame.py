"""Who is blamed where a loop has just begun, several pieces of code block it, or a session ends."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from pipecat.frames.frames import Frame, StartFrame
from pipecat.processors.frame_processor import FrameDirection

from pipecat_dd.instrumentation import blocked_loop
from pipecat_dd.testing import capture
from tests.instrumentation import blocking_bots as bots
from tests.instrumentation.blocking_bots import Bot, Poked


@pytest.fixture(autouse=True)
def lines_for_all_places() -> None:
    blocked_loop.forget_lines()


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

    with capture() as seen:
        run(main())
    found = bots.blocked(seen.session("session-0"))
    assert [one.resource for one in found] == [f"{__name__}.{slow.__qualname__}"]

"""What failed before the pipeline had started: on the startup of the processor that did."""

from typing import Any

import pytest
from pipecat.frames.frames import ErrorFrame, Frame, StartFrame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from tests.conversation.stages.test_errors import only_error, told
from tests.support.agent import TestAgent
from tests.support.bot import Bot
from tests.support.shapes import watching
from tests.support.trees import tree
from tests.support.versions import needs_pipecat

pytestmark = needs_pipecat("1.8", "observers hear nothing of a startup")


class Unready(FrameProcessor):
    """Fails to be set up: by raising, by reporting, or in a task made for it."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how

    async def setup(self, *args: Any, **kwargs: Any) -> None:
        await super().setup(*args, **kwargs)
        if self.how == "raises":
            raise RuntimeError("no microphone")
        if self.how == "reports":
            await self.push_error("no microphone", exception=RuntimeError("no microphone"))
        if self.how == "connects":
            self.create_task(self._connect())

    async def _connect(self) -> None:
        await self.push_error("no microphone", exception=RuntimeError("no microphone"))

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)


@pytest.mark.parametrize("how", ["raises", "reports", "connects"])
async def test_what_fails_before_the_start_is_on_the_processors_startup(
    agent: TestAgent, how: str
) -> None:
    observer = watching()
    async with Bot(observer, before=[Unready(how)]) as bot:
        await bot.until(StartFrame)
        await bot.end()

    trace = told(agent, observer)
    usable = "false" if how == "raises" else "true"
    assert (
        tree(trace)
        == f"""session [bot]
  startup [Unready] ! type:RuntimeError category:unknown usable:{usable}"""
    )
    failed = only_error(trace)
    assert "no microphone" in failed["error.message"]
    if how == "raises":
        assert "in setup" in failed["error.stack"]


async def test_a_session_that_ends_before_it_started_says_what_failed(agent: TestAgent) -> None:
    observer = watching()
    async with Bot(observer, before=[Unready("raises")]) as bot:
        await bot.watch.until(lambda: bot.watch.count(ErrorFrame) > 0)
        await bot.worker.cancel()

    failed = only_error(told(agent, observer))
    assert (failed.name, failed.resource) == ("pipecat.startup", "Unready")

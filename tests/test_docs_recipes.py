"""What a page has a reader do, done: the bots of the quickstart and of Pipecat Cloud."""

import asyncio
import re
from pathlib import Path
from typing import Any

from loguru import logger
from pipecat.frames.frames import Frame, StartFrame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from pipecat_dd import unconfigure_logging
from pipecat_dd.testing import capture
from tests.support.docs import DOCS, blocks
from tests.support.intake import KEY, running_intake
from tests.support.programs import run_python
from tests.support.versions import needs_pipecat

pytestmark = needs_pipecat("1.3", "PipelineWorker, by that name")

CLOUD = "deploy/pipecat-cloud.md"


def python_of(page: str) -> str:
    (code,) = (one.text for one in blocks(DOCS / page) if one.language == "python")
    return code


FRAMES = 3
"""How many frames that comes to see: the start, the wish to end, and the end."""


class HangUp(FrameProcessor):
    """Stands where a user has their processors; ends the call as it begins."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        logger.info(f"working on {frame.name}")
        await self.push_frame(frame, direction)
        if isinstance(frame, StartFrame):
            from pipecat.frames.frames import EndWorkerFrame

            await self.push_frame(EndWorkerFrame())


async def test_the_quickstart_s_bot_has_spans_and_lines_of_one_session() -> None:
    namespace: dict[str, Any] = {"HangUp": HangUp}
    with capture() as seen:
        try:
            exec(python_of("quickstart.md").replace("[...]", "[HangUp()]"), namespace)
            await asyncio.wait_for(namespace["bot"](None), 20)
        finally:
            unconfigure_logging()
    session = seen.session()
    assert session.root.name == "pipecat.session"
    assert len(session.saying("working on ")) == FRAMES


BASE_IMAGE = """
import asyncio, sys
from bot import bot
from loguru import logger

logger.remove()
logger.add(sys.stderr, format="{level} | {extra[session_id]} - {message}", level="DEBUG")
logger.configure(extra={"session_id": "NONE"})

async def run():
    logger.info("starting")
    with logger.contextualize(session_id="cloud-7"):
        await bot(None)

asyncio.run(run())
"""
"""What Pipecat Cloud's base image does with Loguru and with the bot, in that order."""

REST_OF_THE_BOT = """
    from pipecat.pipeline.pipeline import Pipeline
    from pipecat.pipeline.worker import PipelineWorker
    from pipecat.workers.runner import WorkerRunner
    from tests.test_docs_recipes import HangUp

    worker = PipelineWorker(Pipeline([HangUp()]), observers=[observer])
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await runner.run()
"""


def test_on_pipecat_cloud_lines_are_shipped_with_its_session_s_id(tmp_path: Path) -> None:
    code, replaced = re.subn(r"^    \.\.\..*\n", REST_OF_THE_BOT, python_of(CLOUD), flags=re.M)
    assert replaced == 1
    (tmp_path / "bot.py").write_text(code, "utf8")
    (tmp_path / "app.py").write_text(BASE_IMAGE, "utf8")
    with running_intake() as intake:
        variables = {"DD_API_KEY": KEY, "PIPECAT_DD_SHIP_URL": intake.url}
        done = run_python("app.py", cwd=tmp_path, variables=variables)
        assert done.returncode == 0, done.stderr
        shipped = [line for line in intake.lines if line["message"].startswith("working on ")]
    assert len(shipped) == FRAMES
    assert {line["session_id"] for line in shipped} == {"cloud-7"}
    assert all("dd.trace_id" in line for line in shipped)
    # Pipecat Cloud's own viewer has its lines, and not ours.
    assert done.stderr.count("| cloud-7 - working on ") == FRAMES
    assert done.stdout == ""

"""The doctor's access to Pipecat: a minimal bot that runs on every supported version.

Importing Pipecat takes a second, so import this module only when a session is to run.
"""

import asyncio
import logging
from typing import Any

from loguru import logger
from pipecat.frames.frames import EndFrame, Frame, TextFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

try:
    from pipecat.pipeline.worker import PipelineWorker
    from pipecat.workers.runner import WorkerRunner
except ImportError:  # before 1.3
    from pipecat.pipeline.runner import PipelineRunner
    from pipecat.pipeline.task import PipelineTask as PipelineWorker

    WorkerRunner = None  # type: ignore[assignment, misc]

BY_LOGURU = "pipecat-dd doctor: a line from process_frame"
BY_LOGGING = "pipecat-dd doctor: a line from process_frame, with logging"


class LineWriter(FrameProcessor):
    """Logs one line with Loguru and one with ``logging`` while it processes a text frame."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Log the lines and pass the frame on."""
        await super().process_frame(frame, direction)
        if isinstance(frame, TextFrame):
            logger.info(BY_LOGURU)
            logging.getLogger("pipecat_dd.cli.doctor").info(BY_LOGGING)
        await self.push_frame(frame, direction)


async def run_session(observer: Any, timeout_secs: float) -> None:
    """Run a session: one frame goes through one processor, and the pipeline ends.

    Args:
        observer: The pipeline's only observer.
        timeout_secs: The time limit for the session, in seconds.

    Raises:
        TimeoutError: The session did not end in time.
    """
    worker = PipelineWorker(Pipeline([LineWriter()]), observers=[observer])
    await worker.queue_frames([TextFrame("Hello"), EndFrame()])
    async with asyncio.timeout(timeout_secs):
        if WorkerRunner is None:
            await PipelineRunner(handle_sigint=False).run(worker)
            return
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(worker)
        await runner.run()

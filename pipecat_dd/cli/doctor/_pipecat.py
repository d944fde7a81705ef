"""The doctor's door to Pipecat: the smallest bot there is, on every version that is supported.

Imports Pipecat, and with it a second of its time: imported when a session is to be held.
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
BY_LOGGING = "pipecat-dd doctor: a line from process_frame, by logging"


class Speaking(FrameProcessor):
    """Writes a line by each of the two ways that there are, while it works on a frame."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Write the lines, and pass the frame on."""
        await super().process_frame(frame, direction)
        if isinstance(frame, TextFrame):
            logger.info(BY_LOGURU)
            logging.getLogger("pipecat_dd.cli.doctor").info(BY_LOGGING)
        await self.push_frame(frame, direction)


async def hold(observer: Any, timeout_secs: float) -> None:
    """Hold a session: one frame goes through one processor, and the pipeline ends.

    Args:
        observer: Who watches it.
        timeout_secs: How long it may take, in seconds.

    Raises:
        TimeoutError: It did not end in time.
    """
    worker = PipelineWorker(Pipeline([Speaking()]), observers=[observer])
    await worker.queue_frames([TextFrame("Hello"), EndFrame()])
    async with asyncio.timeout(timeout_secs):
        if WorkerRunner is None:
            await PipelineRunner(handle_sigint=False).run(worker)
            return
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(worker)
        await runner.run()

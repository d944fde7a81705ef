"""A bot without an Agent: its traces go by ddtrace's agentless mode, its lines are shipped.

As a user sets it up, but for the address: ddtrace's intake is an address in its code, and
nothing but its code can be told another. Its writer is made anew for that.
"""

import asyncio
import os
from typing import Any

from ddtrace.internal.writer import writer
from ddtrace.trace import tracer

made: Any = tracer._span_aggregator  # type: ignore[attr-defined]
assert made.writer.agentless
assert made.writer.intake_url == "https://public-trace-http-intake.logs.datadoghq.com/v1/input"
writer.compute_agentless_intake_url = lambda site: os.environ["TEST_TRACE_INTAKE"]
writer.compute_agentless_stats_url = lambda site: f"{os.environ['TEST_TRACE_INTAKE']}/stats"
assert made.configure_agentless_writer(False)
assert made.configure_agentless_writer(True)

from loguru import logger  # noqa: E402
from pipecat.frames.frames import EndFrame, Frame, TextFrame  # noqa: E402
from pipecat.pipeline.pipeline import Pipeline  # noqa: E402
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor  # noqa: E402

from pipecat_dd import DatadogObserver, configure_logging  # noqa: E402
from pipecat_dd.cli.demo.versions import PipelineWorker, WorkerRunner  # noqa: E402


class Greeter(FrameProcessor):
    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, TextFrame):
            logger.info("Greeting")
        await self.push_frame(frame, direction)


async def main() -> None:
    worker = PipelineWorker(
        Pipeline([Greeter()]),
        observers=[DatadogObserver(session_id="agentless-1", frame_spans="all")],
    )
    await worker.queue_frames([TextFrame("Hello"), EndFrame()])
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await runner.run()


if __name__ == "__main__":
    configure_logging()
    asyncio.run(main())

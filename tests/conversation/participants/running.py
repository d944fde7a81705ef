"""A bot that does nothing but be there, on whatever transport it is given."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from loguru import logger
from pipecat.frames.frames import EndFrame, Frame
from pipecat.observers.base_observer import BaseObserver
from pipecat.pipeline.pipeline import Pipeline
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from pipecat_dd.cli.demo.versions import PipelineWorker, WorkerRunner

PATIENCE_SECS = 15.0


class Heard:
    """What the user's handlers were called with, awaitable."""

    def __init__(self) -> None:
        self.all: list[tuple[str, tuple[Any, ...]]] = []
        self._news = asyncio.Event()

    def note(self, event: str, *args: Any) -> None:
        self.all.append((event, args))
        self._news.set()

    def count(self, event: str) -> int:
        return sum(name == event for name, _ in self.all)

    async def until(self, event: str, times: int = 1) -> None:
        """Wait until handlers of an event have been called so many times."""
        async with asyncio.timeout(PATIENCE_SECS):
            while self.count(event) < times:
                self._news.clear()
                await self._news.wait()

    def handle(self, transport: Any, *events: str) -> None:
        """Register a handler of each event, which writes a line."""
        for event in events:
            transport.add_event_handler(event, self._handler(event))

    def _handler(self, event: str) -> Callable[..., Awaitable[None]]:
        async def handler(transport: Any, *args: Any) -> None:
            logger.info(f"handling {event}")
            self.note(event, *args)

        return handler


class Listener(FrameProcessor):
    """Writes a line for each frame of the classes it listens for."""

    def __init__(self, *kinds: type[Frame], heard: Heard | None = None) -> None:
        super().__init__()
        self.kinds = kinds
        self.heard = heard or Heard()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, self.kinds):
            logger.info(f"working on {type(frame).__name__} {getattr(frame, 'text', '')}")
            self.heard.note(type(frame).__name__, frame)
        await self.push_frame(frame, direction)


@asynccontextmanager
async def bot_on(
    transport: Any, *observers: BaseObserver, processors: Sequence[FrameProcessor] = ()
) -> AsyncIterator[Any]:
    """Run a bot on a transport; it ends in order at the end of the block."""
    worker = PipelineWorker(
        Pipeline([transport.input(), *processors, transport.output()]), observers=list(observers)
    )
    running = asyncio.create_task(_run(worker))
    try:
        yield worker
        await worker.queue_frame(EndFrame())
        async with asyncio.timeout(PATIENCE_SECS):
            await running
    finally:
        if not running.done():
            await worker.cancel()
            await asyncio.wait([running], timeout=PATIENCE_SECS)


async def _run(worker: Any) -> None:
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await runner.run()


async def from_thread(*calls: Callable[[], object]) -> None:
    """Make calls in order from a thread that asyncio knows nothing of, as an SDK does."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def work() -> None:
        try:
            for call in calls:
                call()
        except BaseException as error:
            loop.call_soon_threadsafe(done.set_exception, error)
        else:
            loop.call_soon_threadsafe(done.set_result, None)

    threading.Thread(target=work, name="sdk", daemon=True).start()
    async with asyncio.timeout(PATIENCE_SECS):
        await done

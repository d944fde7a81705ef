"""The pipeline and the frames for comparing observers.

The pipeline consists of Pipecat's own parts: a runner, a worker, and eight processors that only
pass on frames, so runs differ only in the observer. Seven processors are Pipecat's and one is not,
as in a bot: pipecat_dd creates spans for frames that a user's own processor processes. The worker's
own observers (turn tracking, RTVI and idle detection) are turned off unless a contender needs them.

The frames are created in advance, used once, as in a bot, and dropped at the end of the pipeline.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from itertools import cycle, islice
from typing import Any

from pipecat.frames import frames as f
from pipecat.pipeline.pipeline import Pipeline
from pipecat.processors.filters.identity_filter import IdentityFilter
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from benchmarks.recording import makers

try:
    from pipecat.pipeline.worker import PipelineWorker
    from pipecat.workers.runner import WorkerRunner
except ImportError:  # before Pipecat 1.3
    from pipecat.pipeline.runner import PipelineRunner as WorkerRunner
    from pipecat.pipeline.task import PipelineTask as PipelineWorker

__all__ = [
    "BARE",
    "DEFAULT",
    "MIXES",
    "PROCESSORS",
    "Last",
    "PipelineWorker",
    "Running",
    "at_work",
    "make_frames",
    "make_worker",
    "running",
]

PROCESSORS = 8

_TIMEOUT_SECS = 60.0
_SAMPLE_RATE = 16_000
_CHUNK = bytes(2 * _SAMPLE_RATE * 20 // 1_000)
"""20 ms of audio from a caller's microphone."""


# Frames


def _audio() -> f.Frame:
    return f.InputAudioRawFrame(audio=_CHUNK, sample_rate=_SAMPLE_RATE, num_channels=1)


def _word() -> f.Frame:
    return f.LLMTextFrame(text="word ")


def _transcript() -> f.Frame:
    return f.TranscriptionFrame(text="Hello there.", user_id="caller", timestamp="")


Make = Callable[[], f.Frame]

# One turn: the user speaks, the model answers, the bot speaks. It has only two seconds of audio, so
# that it contains more of the frames that cost something than a real conversation.
_TURN: tuple[Make, ...] = (
    f.VADUserStartedSpeakingFrame,
    f.UserStartedSpeakingFrame,
    *[_audio] * 25,
    f.VADUserStoppedSpeakingFrame,
    _transcript,
    f.UserStoppedSpeakingFrame,
    f.LLMFullResponseStartFrame,
    *[_word, _audio] * 11,
    f.BotStartedSpeakingFrame,
    *[_word, _audio, _audio] * 9,
    f.LLMFullResponseEndFrame,
    *[_audio] * 16,
    f.TTSStoppedFrame,
    f.BotStoppedSpeakingFrame,
)

MIXES: dict[str, tuple[Make, ...]] = {
    "mixed": _TURN,
    "audio": (_audio,),
    "recorded": makers(),
}
"""The mixes of frames. ``mixed`` is a conversation: 70 % audio, 20 % streamed text, 10 % control.
``audio`` is what a bot receives while no one speaks, which is most of the time. ``recorded`` is a
real conversation of half a minute, frame by frame; see :mod:`benchmarks.recording`."""


def make_frames(mix: str, count: int) -> deque[f.Frame]:
    """Create new frames. They cannot be reused, since observers identify a frame by its id.

    Args:
        mix: A key of :data:`MIXES`.
        count: The number of frames.
    """
    return deque(make() for make in islice(cycle(MIXES[mix]), count))


# Pipeline


class Last(FrameProcessor):
    """The last processor, and the only one that is not Pipecat's: it counts the frames."""

    def __init__(self) -> None:
        super().__init__()
        self._missing = 0
        self._all_here = asyncio.Event()

    def expect(self, count: int) -> asyncio.Event:
        """Return an event that is set after this many more frames have arrived."""
        self._missing = count
        self._all_here.clear()
        return self._all_here

    async def process_frame(self, frame: f.Frame, direction: FrameDirection) -> None:
        """Pass the frame on and count it."""
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)
        self._missing -= 1
        if self._missing == 0:
            self._all_here.set()


BARE: dict[str, Any] = {
    "enable_rtvi": False,
    "enable_turn_tracking": False,
    "idle_timeout_secs": None,
}
"""The options of a worker without its own observers."""

DEFAULT: dict[str, Any] = {
    "enable_rtvi": True,
    "enable_turn_tracking": True,
    "idle_timeout_secs": 300,
}
"""The options of Pipecat's default worker, with its own observers."""


def make_worker(pipeline: Pipeline, **options: Any) -> PipelineWorker:
    """Create a worker without its own observers.

    Args:
        pipeline: The worker's pipeline.
        **options: The options of a contender, which override :data:`BARE`.
    """
    return PipelineWorker(pipeline, **{**BARE, **options})


class Running:
    """A running pipeline that waits for frames."""

    def __init__(self, worker: PipelineWorker, last: Last) -> None:
        self._worker = worker
        self._last = last

    async def queue(self, frame: f.Frame) -> None:
        """Send a frame without waiting for it to arrive."""
        await self._worker.queue_frame(frame)

    async def send(self, frames: deque[f.Frame], in_flight: int) -> None:
        """Send frames through all processors, and wait for the observers.

        Returns when the last frame has arrived and each observer has handled all its events, so
        that the measurement includes all the work of the observers.

        Args:
            frames: The frames to send; empty afterwards.
            in_flight: The number of frames to send before waiting for them to arrive. In a bot in
                real time it is 1: audio comes every 20 ms and takes less than 1 ms.
        """
        while frames:
            count = min(in_flight, len(frames))
            all_here = self._last.expect(count)
            for _ in range(count):
                await self._worker.queue_frame(frames.popleft())
            await all_here.wait()
        async with asyncio.timeout(_TIMEOUT_SECS):  # an observer whose task failed never does
            for queue in _observers_queues(self._worker):
                await queue.join()


def _observers_queues(worker: PipelineWorker) -> Iterator["asyncio.Queue[Any]"]:
    # No public API reports that an observer has handled all events. If a later Pipecat changes this
    # attribute, the benchmark must fail instead of measuring only a part of the work.
    proxies = worker._observer._proxies
    for proxy in list((proxies or {}).values()):
        yield proxy.queue


@asynccontextmanager
async def running(build: Callable[..., PipelineWorker], **options: Any) -> AsyncIterator[Running]:
    """Run the pipeline on its own worker, and end it with the block.

    Args:
        build: Creates the worker, with its observers.
        **options: The options of the worker.

    Yields:
        The running pipeline.
    """
    last = Last()
    relay: Callable[[], FrameProcessor] = IdentityFilter
    worker = build(Pipeline([*(relay() for _ in range(PROCESSORS - 1)), last]), **options)
    async with at_work(worker):
        yield Running(worker, last)


@asynccontextmanager
async def at_work(worker: PipelineWorker) -> AsyncIterator[None]:
    """Run a worker: its pipeline has started when the block begins, and ends with the block."""
    started = asyncio.Event()

    async def on_pipeline_started(*_: object) -> None:
        started.set()

    worker.add_event_handler("on_pipeline_started", on_pipeline_started)

    runner = WorkerRunner(handle_sigint=False)
    if hasattr(runner, "add_workers"):
        await runner.add_workers(worker)
        run = asyncio.create_task(runner.run())
    else:
        run = asyncio.create_task(runner.run(worker))
    try:
        async with asyncio.timeout(_TIMEOUT_SECS):
            await started.wait()
        yield
        await worker.queue_frame(f.EndFrame())
        async with asyncio.timeout(_TIMEOUT_SECS):
            await run
    finally:
        if not run.done():
            run.cancel()
            with suppress(asyncio.CancelledError):
                await run

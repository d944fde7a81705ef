"""The pipeline and the frames that observers are compared on.

The pipeline is Pipecat's own from end to end: a worker on a runner, with eight processors that
pass on what they are given. They do nothing else, so all that differs between two runs is the
observer. Seven are Pipecat's and one is not, as in a bot: pipecat_dd gives a user's own
processor a span for the data it works on. Nor does anything else of the worker's listen: its
turn tracking, its RTVI and its watch for idleness, all observers themselves, are left out where
a contender does not need them.

The frames are made beforehand and used once, as in a bot, and dropped on arrival.
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
    "make_frames",
    "make_worker",
    "running",
]

PROCESSORS = 8

_PATIENCE_SECS = 60.0
_SAMPLE_RATE = 16_000
_CHUNK = bytes(2 * _SAMPLE_RATE * 20 // 1_000)
"""20 ms of a caller's microphone."""


# Frames


def _audio() -> f.Frame:
    return f.InputAudioRawFrame(audio=_CHUNK, sample_rate=_SAMPLE_RATE, num_channels=1)


def _word() -> f.Frame:
    return f.LLMTextFrame(text="word ")


def _transcript() -> f.Frame:
    return f.TranscriptionFrame(text="Hello there.", user_id="caller", timestamp="")


Make = Callable[[], f.Frame]

# One turn: what the user says, what the model answers, what the bot says. With a turn in two
# seconds of audio it has more of all that costs something than a conversation between people.
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
"""What is sent. ``mixed`` is a conversation: 70 % audio, 20 % streamed text, 10 % control.
``audio`` is what a bot hears while nobody says anything, which is most of its life. ``recorded``
is a real conversation of half a minute, frame by frame; see :mod:`benchmarks.recording`."""


def make_frames(mix: str, count: int) -> deque[f.Frame]:
    """Make frames, fresh ones each time: observers know a frame by its id.

    Args:
        mix: One of :data:`MIXES`.
        count: How many.
    """
    return deque(make() for make in islice(cycle(MIXES[mix]), count))


# Pipeline


class Last(FrameProcessor):
    """The last processor, and the user's own: says when all that was sent has come through."""

    def __init__(self) -> None:
        super().__init__()
        self._missing = 0
        self._all_here = asyncio.Event()

    def expect(self, count: int) -> asyncio.Event:
        """Return an event that is set when so many more frames have come through.

        Args:
            count: How many.
        """
        self._missing = count
        self._all_here.clear()
        return self._all_here

    async def process_frame(self, frame: f.Frame, direction: FrameDirection) -> None:
        """Pass it on, to the end of the pipeline, and count it."""
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
"""The options of a worker that nothing observes but what is asked for."""

DEFAULT: dict[str, Any] = {
    "enable_rtvi": True,
    "enable_turn_tracking": True,
    "idle_timeout_secs": 300,
}
"""The options of a worker as users have it, with observers of Pipecat's own."""


def make_worker(pipeline: Pipeline, **options: Any) -> PipelineWorker:
    """Make a worker that nothing observes but what is asked for.

    Args:
        pipeline: Its pipeline.
        **options: What a contender needs, over the bare worker.
    """
    return PipelineWorker(pipeline, **{**BARE, **options})


class Running:
    """A pipeline that has started and waits for frames."""

    def __init__(self, worker: PipelineWorker, last: Last) -> None:
        self._worker = worker
        self._last = last

    async def queue(self, frame: f.Frame) -> None:
        """Send one frame, without waiting for it to come through."""
        await self._worker.queue_frame(frame)

    async def send(self, frames: deque[f.Frame], in_flight: int) -> None:
        """Send frames through all processors, and let the observers catch up.

        Returns when the last frame has come through and each observer has handled all that
        it was told: one that is still behind has not done its work yet.

        Args:
            frames: What is sent; empty afterwards.
            in_flight: How many are sent before the pipeline is idle again. A bot in real time
                has one on its way: audio comes every 20 ms and passes in less than one.
        """
        while frames:
            count = min(in_flight, len(frames))
            all_here = self._last.expect(count)
            for _ in range(count):
                await self._worker.queue_frame(frames.popleft())
            await all_here.wait()
        async with asyncio.timeout(_PATIENCE_SECS):  # one whose task has failed never does
            for queue in _observers_queues(self._worker):
                await queue.join()


def _observers_queues(worker: PipelineWorker) -> Iterator["asyncio.Queue[Any]"]:
    # Nothing public says that an observer has caught up. Should this move in a later Pipecat,
    # the benchmark must fail, not measure observers that are behind.
    proxies = worker._observer._proxies
    for proxy in list((proxies or {}).values()):
        yield proxy.queue


@asynccontextmanager
async def running(build: Callable[..., PipelineWorker], **options: Any) -> AsyncIterator[Running]:
    """Run such a pipeline on a worker of its own; end it on leaving.

    Args:
        build: Makes the worker, with whatever observes it.
        **options: The worker's options.

    Yields:
        The pipeline, which has started.
    """
    last = Last()
    relay: Callable[[], FrameProcessor] = IdentityFilter
    worker = build(Pipeline([*(relay() for _ in range(PROCESSORS - 1)), last]), **options)
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
        async with asyncio.timeout(_PATIENCE_SECS):
            await started.wait()
        yield Running(worker, last)
        await worker.queue_frame(f.EndFrame())
        async with asyncio.timeout(_PATIENCE_SECS):
            await run
    finally:
        if not run.done():
            run.cancel()
            with suppress(asyncio.CancelledError):
                await run

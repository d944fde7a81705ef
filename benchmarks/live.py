"""Calls in real time: audio comes in every 20 ms, and the bot's voice goes out as it plays.

A call is a pipeline of eight processors. The first and the last but one are transports of Pipecat's
own base classes, which do all that Pipecat does for a real one: a queue and a task for the audio
that comes in, another for the audio that goes out, written in pieces of 40 ms, each as long as it
plays. One processor is not Pipecat's, as in a bot. The others only pass frames on.

Every ten seconds the user speaks for two and a half, and the bot answers for five. Its words and
its voice come in twice as fast as they play, as those of a service do. Recognition, models and
synthesis are not at work, and a voice activity detector only where it is asked for. They cost the
same with every observer, so what an observer costs weighs more here than in a bot that has them.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from itertools import chain
from typing import Any

from pipecat.frames import frames as f
from pipecat.pipeline.pipeline import Pipeline
from pipecat.processors.filters.identity_filter import IdentityFilter
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.transports.base_input import BaseInputTransport
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import TransportParams

from benchmarks.workload import PROCESSORS, PipelineWorker, at_work

TICK_SECS = 0.02
"""How often audio comes in."""

_RATE = 16_000
_HEARD = bytes(2 * int(_RATE * TICK_SECS))
_SPOKEN = bytes(2 * int(_RATE * 2 * TICK_SECS))

Make = Callable[[], f.Frame]


def _voice() -> f.Frame:
    return f.TTSAudioRawFrame(audio=_SPOKEN, sample_rate=_RATE, num_channels=1)


def _word() -> f.Frame:
    return f.LLMTextFrame(text="word ")


def _transcript() -> f.Frame:
    return f.TranscriptionFrame(text="Hello there.", user_id="caller", timestamp="")


_SPREAD = 0.618034
"""Multiples of the golden ratio are spread evenly, however many there are."""

_CYCLE = 500
"""The ticks of ten seconds."""


def _script() -> list[list[Make]]:
    script: list[list[Make]] = [[] for _ in range(_CYCLE)]
    script[0] = [f.VADUserStartedSpeakingFrame, f.UserStartedSpeakingFrame]
    script[125] = [f.VADUserStoppedSpeakingFrame, _transcript, f.UserStoppedSpeakingFrame]
    script[140] = [f.LLMFullResponseStartFrame]
    for tick in range(141, 190):
        script[tick].append(_word)
    script[150].append(f.TTSStartedFrame)
    for tick in range(151, 276):
        script[tick].append(_voice)
    script[190].append(f.LLMFullResponseEndFrame)
    script[276].append(f.TTSStoppedFrame)
    return script


_SCRIPT = _script()
FRAMES_PER_SEC = (_CYCLE + len(list(chain.from_iterable(_SCRIPT)))) / (_CYCLE * TICK_SECS)
"""How many frames come into each call in a second."""


class Microphone(BaseInputTransport):
    """Takes the user's audio."""

    def __init__(self) -> None:
        super().__init__(TransportParams(audio_in_enabled=True, audio_in_sample_rate=_RATE))

    async def start(self, frame: f.StartFrame) -> None:
        """Start, and be ready at once."""
        await super().start(frame)
        await self.set_transport_ready(frame)


class Loudspeaker(BaseOutputTransport):
    """Plays the bot's voice: a piece takes as long as it lasts."""

    def __init__(self) -> None:
        super().__init__(TransportParams(audio_out_enabled=True, audio_out_sample_rate=_RATE))
        self._free_secs = 0.0

    async def start(self, frame: f.StartFrame) -> None:
        """Start, and be ready at once."""
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def write_audio_frame(self, frame: f.OutputAudioRawFrame) -> bool:
        """Wait until the device is free, as Pipecat's websocket transports do."""
        now_secs = time.monotonic()
        wait_secs = max(0.0, self._free_secs - now_secs)
        self._free_secs = max(self._free_secs, now_secs) + len(frame.audio) / 2 / _RATE
        await asyncio.sleep(wait_secs)
        return True


class Own(FrameProcessor):
    """The one processor that is not Pipecat's: it counts the frames of its call.

    Attributes:
        frames: How many frames it has passed on downstream.
    """

    def __init__(self) -> None:
        super().__init__()
        self.frames = 0

    async def process_frame(self, frame: f.Frame, direction: FrameDirection) -> None:
        """Pass the frame on."""
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)
        self.frames += direction is FrameDirection.DOWNSTREAM


def _detector() -> FrameProcessor:
    from pipecat.audio.vad.silero import SileroVADAnalyzer
    from pipecat.processors.audio.vad_processor import VADProcessor

    return VADProcessor(vad_analyzer=SileroVADAnalyzer())


class Call:
    """A call that has been set up. Nobody says anything until :meth:`begin`."""

    def __init__(self, build: Callable[..., PipelineWorker], *, vad: bool, **options: Any) -> None:
        """Create the call's pipeline.

        Args:
            build: Creates the worker, with its observers.
            vad: Whether Silero's voice activity detector listens to the user's audio.
            **options: The options of the worker.
        """
        self._microphone = Microphone()
        self._own = Own()
        relays: list[FrameProcessor] = [IdentityFilter() for _ in range(PROCESSORS - 3)]
        if vad:
            relays[0] = _detector()
        pipeline = Pipeline(
            [self._microphone, *relays[:-1], self._own, Loudspeaker(), relays[-1]],
        )
        self._worker = build(pipeline, **options)
        self._talking: asyncio.Task[None] | None = None

    @property
    def secs(self) -> float:
        """How much of the call has been processed, in seconds: less than it lasts if that lags."""
        return self._own.frames / FRAMES_PER_SEC

    async def set_up(self, stack: AsyncExitStack) -> None:
        """Start the pipeline. It ends with the stack."""
        await stack.enter_async_context(at_work(self._worker))

    def begin(self, number: int) -> None:
        """Have user and bot speak from now on.

        Args:
            number: The call's number. Calls are spread over the ten seconds, and over the 20 ms
                between two pieces of audio, by their numbers.
        """
        if self._talking is None:
            self._talking = asyncio.create_task(self._talk(number))

    async def end(self) -> None:
        """Have them fall silent. The pipeline goes on."""
        talking, self._talking = self._talking, None
        if talking is not None:
            talking.cancel()
            await asyncio.gather(talking, return_exceptions=True)

    async def _talk(self, number: int) -> None:
        tick = int(_CYCLE * (number * _SPREAD % 1))
        due_secs = time.monotonic() + TICK_SECS * (number * _SPREAD * _CYCLE % 1)
        while True:
            due_secs += TICK_SECS
            await asyncio.sleep(max(0.0, due_secs - time.monotonic()))
            await self._microphone.push_audio_frame(
                f.InputAudioRawFrame(audio=_HEARD, sample_rate=_RATE, num_channels=1)
            )
            for make in _SCRIPT[tick % _CYCLE]:
                await self._worker.queue_frame(make())
            tick += 1

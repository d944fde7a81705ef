"""Calls that go as fast as they can: an hour of one in a minute, a thousand one after another."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from typing import Any, Self

from pipecat.frames.frames import (
    EndFrame,
    Frame,
    InputAudioRawFrame,
    InterruptionFrame,
    LLMTextFrame,
    TranscriptionFrame,
    TTSSpeakFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.observers.base_observer import BaseObserver
from pipecat.pipeline.pipeline import Pipeline
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.llm_service import FunctionCallParams
from pipecat.services.stt_service import STTService
from pipecat.transports.base_transport import TransportParams

from pipecat_dd.cli.demo.versions import PipelineWorker, WorkerRunner
from tests.support.bot import QuickOutput
from tests.support.scripted import ScriptedLLM, ScriptedTTS, asked

AUDIO = bytes(640)
"""20 ms of a microphone."""


class ScriptedSTT(STTService):
    """Transcribes every other stretch of speech; of the rest nothing comes, as of a cough."""

    def __init__(self) -> None:
        super().__init__()
        self._stretches = 0

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, VADUserStoppedSpeakingFrame):
            self._stretches += 1
            if self._stretches % 2:
                await self.push_frame(TranscriptionFrame("hello", "caller", "now"))

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        yield None


class Listener(FrameProcessor):
    """Keeps what the bot says, and says when it has answered."""

    def __init__(self, keeps: int) -> None:
        super().__init__()
        self.said: deque[str] = deque(maxlen=keeps)
        self.answered = asyncio.Event()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, (LLMTextFrame, TTSSpeakFrame)):
            self.said.append(str(frame.text))
            self.answered.set()
        await self.push_frame(frame, direction)


class Call:
    """One call; use as an async context manager. It ends in order.

    Attributes:
        worker: The bot's worker.
        listener: What the bot says.
    """

    def __init__(self, observers: Sequence[BaseObserver], keeps: int = 100) -> None:
        self.listener = Listener(keeps)
        llm = ScriptedLLM()

        async def quick(params: FunctionCallParams) -> None:
            await params.result_callback({"done": True})

        llm.register_function("quick", quick)
        output = QuickOutput(TransportParams(audio_out_enabled=True))
        self.worker: Any = PipelineWorker(
            Pipeline([ScriptedSTT(), llm, self.listener, ScriptedTTS(), output]),
            observers=list(observers),
            cancel_on_idle_timeout=False,
        )
        self._running: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(self.worker)
        self._running = asyncio.create_task(runner.run())
        return self

    async def __aexit__(self, *failed: object) -> None:
        assert self._running is not None
        await (self.worker.cancel() if failed[0] else self.worker.queue_frame(EndFrame()))
        await asyncio.wait_for(self._running, 60)

    async def turn(self, word: str = "say it", audio_frames: int = 5) -> None:
        """Have the user speak, and wait until the bot begins to answer."""
        answered = self.listener.answered
        answered.clear()
        await self.worker.queue_frames(
            [
                VADUserStartedSpeakingFrame(),
                UserStartedSpeakingFrame(),
                InterruptionFrame(),
                *(InputAudioRawFrame(AUDIO, 16_000, 1) for _ in range(audio_frames)),
                VADUserStoppedSpeakingFrame(),
                UserStoppedSpeakingFrame(),
                # A tool's result asks for a response only where an aggregator stands.
                *([asked("call quick")] if word == "call quick" else []),
                asked("say it"),
            ]
        )
        await asyncio.wait_for(answered.wait(), 30)


async def call(observers: Sequence[BaseObserver], turns: int) -> list[str]:
    """Hold a whole call, and return what the bot said in it."""
    async with Call(observers) as going_on:
        for number in range(turns):
            await going_on.turn("call quick" if number % 5 == 0 else "say it")
    return list(going_on.listener.said)

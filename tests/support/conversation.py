"""A conversation with a bit of everything, which says what the bot did in it.

The same words, in the same order, whatever else goes on: that is what a test compares.
"""

import asyncio
from collections.abc import Callable

from loguru import logger
from pipecat.frames.frames import (
    BotStoppedSpeakingFrame,
    EndFrame,
    Frame,
    InputAudioRawFrame,
    InterruptionFrame,
    LLMTextFrame,
    MetricsFrame,
    TextFrame,
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
from pipecat.transports.base_transport import TransportParams

from pipecat_dd.cli.demo.versions import PipelineWorker, WorkerRunner
from tests.support.bot import QuickOutput
from tests.support.scripted import ScriptedLLM, ScriptedTTS, asked


class Recorder(FrameProcessor):
    """Keeps what passes."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, str]] = []
        self.silent = asyncio.Event()
        self.answered = asyncio.Event()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, (TextFrame, TTSSpeakFrame, InterruptionFrame, EndFrame)):
            self.seen.append((type(frame).__name__, str(getattr(frame, "text", ""))))
        if isinstance(frame, LLMTextFrame):
            self.answered.set()
        if isinstance(frame, BotStoppedSpeakingFrame):
            self.silent.set()
        if isinstance(frame, TTSSpeakFrame) and frame.text == "broken":
            raise ValueError("broken")
        logger.info(f"saw {type(frame).__name__}") if not isinstance(
            frame, (MetricsFrame, InputAudioRawFrame)
        ) else None
        await self.push_frame(frame, direction)


async def converse(make: Callable[[], list[BaseObserver]]) -> list[tuple[str, str]]:
    """Hold a conversation with a bit of everything, and return what the bot did in it."""
    recorder, llm = Recorder(), ScriptedLLM()

    async def quick(params: FunctionCallParams) -> None:
        logger.bind(n=1).info("in the tool")
        await params.result_callback({"done": True})

    llm.register_function("quick", quick)
    worker = PipelineWorker(
        Pipeline(
            [llm, recorder, ScriptedTTS(), QuickOutput(TransportParams(audio_out_enabled=True))]
        ),
        observers=make(),
    )
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    running = asyncio.create_task(runner.run())

    async def turn(word: str) -> None:
        await worker.queue_frames(
            [
                VADUserStartedSpeakingFrame(),
                UserStartedSpeakingFrame(),
                InterruptionFrame(),
                InputAudioRawFrame(b"\0\0" * 160, 16_000, 1),
                VADUserStoppedSpeakingFrame(),
                TranscriptionFrame(word, "u", "now"),
                UserStoppedSpeakingFrame(),
            ]
        )
        await worker.queue_frame(asked(word))

    recorder.answered.clear()
    await turn("say it")
    await asyncio.wait_for(recorder.silent.wait(), 5)
    recorder.answered.clear()
    await turn("hang on")
    await asyncio.wait_for(recorder.answered.wait(), 5)
    recorder.silent.clear()
    recorder.answered.clear()
    await turn("say more")
    await asyncio.wait_for(recorder.answered.wait(), 5)
    await worker.queue_frame(TTSSpeakFrame("broken"))
    await turn("fail now")
    await turn("call quick")
    await worker.queue_frame(EndFrame())
    await asyncio.wait_for(running, 10)
    return recorder.seen

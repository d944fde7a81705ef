"""A real bot in a real pipeline, driven by frames, with the provider on loopback.

Pipecat's OpenAI services talk to a local server that speaks OpenAI's protocol; the output is a
real output transport that writes ten times as fast as it plays. What the user does comes as
the frames that a voice activity detector would send.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Self

from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    EndFrame,
    Frame,
    InputAudioRawFrame,
    OutputAudioRawFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.observers.base_observer import BaseObserver, FramePushed
from pipecat.pipeline.pipeline import Pipeline
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.services.openai.stt import OpenAISTTService
from pipecat.services.openai.tts import OpenAITTSService
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import TransportParams
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies

from pipecat_dd.cli.demo.provider import Answer, Delays, Provider, Say
from pipecat_dd.cli.demo.versions import PipelineParams, PipelineWorker, WorkerRunner

RATE = 16_000
CHUNK_SECS = 0.02
SILENCE = b"\0" * int(RATE * CHUNK_SECS * 2)
START_SECS = 0.01
"""How long the voice activity detector takes to be sure."""
SPEED = 10.0
"""How much faster than it plays the output writes audio."""

QUICK = Delays(
    transcription_secs=0.02, first_token_secs=0.03, token_secs=0.002, first_audio_secs=0.02
)


class QuickOutput(BaseOutputTransport):
    """An output that takes a tenth of the time that its audio plays."""

    async def start(self, frame: Any) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        await asyncio.sleep(len(frame.audio) / 2 / frame.sample_rate / SPEED)
        return True


class Watch(BaseObserver):
    """Lets a test await what happens in the pipeline."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Frame] = []
        self._ids: set[int] = set()
        self._news = asyncio.Event()

    async def on_push_frame(self, data: FramePushed) -> None:
        frame = data.frame
        if frame.id in self._ids:
            return
        self._ids |= {frame.id, frame.broadcast_sibling_id or frame.id}
        self.seen.append(frame)
        self._news.set()

    def count(self, kind: type[Frame]) -> int:
        return sum(isinstance(frame, kind) for frame in self.seen)

    async def until(self, done: Callable[[], bool], timeout_secs: float = 15.0) -> None:
        async with asyncio.timeout(timeout_secs):
            while not done():
                self._news.clear()
                await self._news.wait()


class Bot:
    """A bot that is running; use as an async context manager."""

    def __init__(
        self,
        *observers: BaseObserver,
        script: Callable[[list[dict[str, Any]], list[dict[str, Any]]], Answer] = (
            lambda messages, tools: Say("Fine, thank you.")
        ),
        delays: Delays = QUICK,
        tools: Any = None,
        register: Callable[[OpenAILLMService], None] = lambda llm: None,
        extra: Sequence[FrameProcessor] = (),
        before: Sequence[FrameProcessor] = (),
        between: Sequence[FrameProcessor] = (),
        params: dict[str, Any] | None = None,
        worker: dict[str, Any] | None = None,
        user: dict[str, Any] | None = None,
    ) -> None:
        self.answer: Answer | None = None
        """What the model answers from now on, whatever it is asked."""

        def answers(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> Answer:
            return self.answer or script(messages, tools)

        self.provider = Provider(answers, delays=delays)
        self.watch = Watch()
        self._observers = observers
        self._tools = tools
        self._register = register
        self._extra = extra
        self._before = before
        self._between = between
        self._params = {"enable_metrics": True, "enable_usage_metrics": True, **(params or {})}
        self._worker_args = worker or {}
        self._user = user or {}
        self.worker: Any = None
        self.running: asyncio.Task[None] | None = None

    def build(self, base_url: str) -> Any:
        """Build the worker, in the context of the caller."""
        self.stt = OpenAISTTService(
            api_key="any",
            base_url=base_url,
            settings=OpenAISTTService.Settings(model="gpt-transcribe"),
        )
        self.llm = OpenAILLMService(
            api_key="any",
            base_url=base_url,
            settings=OpenAILLMService.Settings(model="gpt-4.1"),
        )
        self.tts = OpenAITTSService(
            api_key="any",
            base_url=base_url,
            settings=OpenAITTSService.Settings(voice="alloy"),
        )
        self.output = QuickOutput(TransportParams(audio_out_enabled=True))
        self._register(self.llm)
        context = LLMContext(tools=self._tools) if self._tools else LLMContext()
        pair = LLMContextAggregatorPair(
            context,
            user_params=LLMUserAggregatorParams(
                user_turn_strategies=UserTurnStrategies(
                    stop=[SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=0.05)]
                ),
                **self._user,
            ),
        )
        self.context, self.aggregators = context, pair
        self.worker = PipelineWorker(
            Pipeline(
                [
                    *self._before,
                    self.stt,
                    pair.user(),
                    *self._between,
                    self.llm,
                    *self._extra,
                    self.tts,
                    self.output,
                    pair.assistant(),
                ]
            ),
            params=PipelineParams(**self._params),
            observers=[self.watch, *self._observers],
            **self._worker_args,
        )
        return self.worker

    async def __aenter__(self) -> Self:
        await self.provider.__aenter__()
        if self.worker is None:
            self.build(self.provider.url)
        self.running = asyncio.create_task(self._run())
        return self

    async def _run(self) -> None:
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(self.worker)
        await runner.run()

    async def __aexit__(self, *_: object) -> None:
        try:
            assert self.running is not None
            if not self.running.done():
                await self.worker.cancel()
            async with asyncio.timeout(15):
                await asyncio.gather(self.running, return_exceptions=True)
        finally:
            await self.provider.__aexit__(None, None, None)

    async def push(self, *frames: Frame) -> None:
        """Send frames into the pipeline's beginning."""
        await self.worker.queue_frames(list(frames))

    async def user_says(self, text: str, secs: float = 0.2) -> None:
        """Have the user say something, as a voice activity detector would tell it."""
        self.provider.next_transcript = text
        await self.push(VADUserStartedSpeakingFrame(start_secs=START_SECS))
        for _ in range(int(secs / CHUNK_SECS)):
            await self.push(InputAudioRawFrame(SILENCE, RATE, 1))
            await asyncio.sleep(CHUNK_SECS)
        await self.push(VADUserStoppedSpeakingFrame(stop_secs=0.01))

    async def answered(self, times: int = 1) -> None:
        """Wait until the bot has spoken to the end so many times."""
        await self.watch.until(lambda: self.watch.count(BotStoppedSpeakingFrame) >= times)

    async def speaks(self, times: int = 1) -> None:
        """Wait until the bot has begun to speak so many times."""
        await self.watch.until(lambda: self.watch.count(BotStartedSpeakingFrame) >= times)

    async def until(self, kind: type[Frame], times: int = 1) -> None:
        """Wait until frames of a class have been pushed so many times."""
        await self.watch.until(lambda: self.watch.count(kind) >= times)

    async def end(self) -> None:
        """Have the bot end in order."""
        assert self.running is not None
        await self.push(EndFrame())
        async with asyncio.timeout(15):
            await self.running

    async def ask(self, text: str) -> None:
        """Have the user say something, and wait for the bot to have answered."""
        before = self.watch.count(BotStoppedSpeakingFrame)
        await self.user_says(text)
        await self.answered(before + 1)


Step = Callable[[Bot], Awaitable[None]]

"""Bots of any shape: the caller says what stands in the pipeline."""

from collections.abc import Callable
from typing import Any

from pipecat.observers.base_observer import BaseObserver
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
from pipecat.transports.base_transport import TransportParams
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies

from pipecat_dd import DatadogObserver
from pipecat_dd.cli.demo.versions import PipelineParams, PipelineWorker
from tests.support.bot import Bot, QuickOutput

NEVER_SLOW_MS = 60_000.0
"""So that a slow machine has no more spans than a fast one."""


def watching(**options: Any) -> DatadogObserver:
    """Return an observer whose spans do not depend on how fast the machine is."""
    return DatadogObserver(name="bot", slow_frame_ms=NEVER_SLOW_MS, **options)


class Shaped(Bot):
    """A bot with the processors that ``shape`` returns, given the bot."""

    def __init__(
        self,
        shape: Callable[["Shaped"], list[FrameProcessor]],
        *observers: BaseObserver,
        **options: Any,
    ) -> None:
        super().__init__(*observers, **options)
        self._shape = shape

    def make_stt(self, model: str = "gpt-transcribe") -> OpenAISTTService:
        """Make a service that transcribes."""
        settings = OpenAISTTService.Settings(model=model)
        return OpenAISTTService(api_key="any", base_url=self.base_url, settings=settings)

    def make_llm(self, model: str = "gpt-4.1") -> OpenAILLMService:
        """Make a service that answers."""
        settings = OpenAILLMService.Settings(model=model)
        llm = OpenAILLMService(api_key="any", base_url=self.base_url, settings=settings)
        self._register(llm)
        return llm

    def make_tts(self, voice: str = "alloy") -> OpenAITTSService:
        """Make a service that speaks."""
        settings = OpenAITTSService.Settings(voice=voice)
        return OpenAITTSService(api_key="any", base_url=self.base_url, settings=settings)

    def make_pair(self, **user: Any) -> LLMContextAggregatorPair:
        """Make the two aggregators around a model, with a context of their own."""
        strategy = SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=0.05)
        options = {"user_turn_strategies": UserTurnStrategies(stop=[strategy]), **user}
        self.context = LLMContext(tools=self._tools) if self._tools else LLMContext()
        params = LLMUserAggregatorParams(**options)
        return LLMContextAggregatorPair(self.context, user_params=params)

    def build(self, base_url: str) -> Any:
        """Build the worker, in the context of the caller."""
        self.base_url = base_url
        self.pair = self.make_pair(**self._user)
        self.output = QuickOutput(TransportParams(audio_out_enabled=True))
        self.worker = PipelineWorker(
            Pipeline(self._shape(self)),
            params=PipelineParams(**self._params),
            observers=[self.watch, *self._observers],
            **self._worker_args,
        )
        return self.worker

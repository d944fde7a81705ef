"""The bot of ``pipecat-dd demo``, written as a user of Pipecat would write it.

Only three lines of it are about Datadog: ``ddtrace.patch``, ``configure_logging`` and
``DatadogObserver``. Everything else is an ordinary bot. It talks to a local server instead of
OpenAI because ``OPENAI_BASE_URL`` is set in its environment.
"""

import argparse
import asyncio
from pathlib import Path

import aiohttp
import ddtrace
from loguru import logger
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.pipeline.pipeline import Pipeline
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.serializers.protobuf import ProtobufFrameSerializer
from pipecat.services.llm_service import FunctionCallParams
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.services.openai.stt import OpenAISTTService
from pipecat.services.openai.tts import OpenAITTSService
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies

from pipecat_dd import DatadogObserver, configure_logging
from pipecat_dd.cli.demo.versions import (
    FunctionSchema,
    PipelineParams,
    PipelineWorker,
    SingleClientWebsocketServerParams,
    SingleClientWebsocketServerTransport,
    ToolsSchema,
    WorkerRunner,
    split_sentences_offline,
)

WEATHER_ATTEMPTS = 3

get_weather_schema = FunctionSchema(
    name="get_weather",
    description="The weather in a city right now.",
    properties={"city": {"type": "string", "description": "The city's name."}},
    required=["city"],
)


async def run_bot(host: str, port: int, weather_url: str) -> None:
    """Serve one user on a websocket until they hang up."""
    transport = SingleClientWebsocketServerTransport(
        params=SingleClientWebsocketServerParams(
            serializer=ProtobufFrameSerializer(),
            audio_in_enabled=True,
            audio_out_enabled=True,
        ),
        host=host,
        port=port,
    )

    stt = OpenAISTTService()
    llm = OpenAILLMService(
        settings=OpenAILLMService.Settings(
            model="gpt-4.1",
            system_instruction="You report the weather. Your answers are spoken, so be brief.",
        )
    )
    tts = OpenAITTSService(settings=OpenAITTSService.Settings(voice="alloy"))

    async def get_weather(params: FunctionCallParams) -> None:
        city = params.arguments["city"]
        logger.info(f"Looking up the weather in {city}")
        async with aiohttp.ClientSession() as http:
            for attempt in range(1, WEATHER_ATTEMPTS + 1):
                async with http.get(f"{weather_url}/{city}") as response:
                    if response.ok:
                        await params.result_callback(await response.json())
                        return
                logger.bind(status_code=response.status, attempt=attempt).warning(
                    f"The weather service answered {response.status}"
                )
        await params.result_callback({"error": "The weather service does not answer."})

    llm.register_function("get_weather", get_weather)

    context = LLMContext(tools=ToolsSchema(standard_tools=[get_weather_schema]))
    aggregators = LLMContextAggregatorPair(
        context,
        user_params=LLMUserAggregatorParams(
            vad_analyzer=SileroVADAnalyzer(),
            # By default, Pipecat asks a model whether the user has finished speaking. That model
            # was not trained on synthetic voices, and is often wrong about this user's.
            user_turn_strategies=UserTurnStrategies(
                stop=[SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=0.4)]
            ),
        ),
    )

    pipeline = Pipeline(
        [
            transport.input(),
            stt,
            aggregators.user(),
            llm,
            tts,
            transport.output(),
            aggregators.assistant(),
        ]
    )

    worker = PipelineWorker(
        pipeline,
        params=PipelineParams(enable_metrics=True, enable_usage_metrics=True),
        observers=[DatadogObserver()],
    )

    @transport.event_handler("on_client_connected")  # type: ignore[untyped-decorator]
    async def on_client_connected(transport: object, client: object) -> None:
        logger.info("The user has connected")

    @transport.event_handler("on_client_disconnected")  # type: ignore[untyped-decorator]
    async def on_client_disconnected(transport: object, client: object) -> None:
        logger.info("The user has hung up")
        await worker.cancel()

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await runner.run()


def main() -> None:
    """Read the command line and run the bot."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8765)
    parser.add_argument("--weather-url", required=True)
    parser.add_argument("--log-file", type=Path, required=True)
    args = parser.parse_args()

    # The openai SDK uses httpx2 since version 3. Older versions of ddtrace do not support it.
    ddtrace.patch(raise_errors=False, openai=True, httpx=True, httpx2=True, aiohttp=True)
    configure_logging(args.log_file, level="DEBUG")
    split_sentences_offline()
    asyncio.run(run_bot(args.host, args.port, args.weather_url))


if __name__ == "__main__":
    main()

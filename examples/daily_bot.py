"""A voice bot with Daily, Deepgram, OpenAI and Cartesia that you can observe with Datadog.

It is an ordinary Pipecat bot. Comments that begin with "Datadog:" mark the lines for Datadog. Copy
the file, or copy those lines into your own bot.

    pip install "pipecat-dd[daily]"
    DD_SERVICE=pipecat-chatbot python daily_bot.py -t webrtc

With uv, write ``uv pip install`` for ``pip install``. Then open http://localhost:7860. It needs
DEEPGRAM_API_KEY, OPENAI_API_KEY and CARTESIA_API_KEY, in the environment or in a file ``.env``.
With ``-t daily`` the bot meets you in a Daily room, which needs DAILY_API_KEY, too.
"""

import os
import sys

from dotenv import load_dotenv

# Datadog: before all other imports, since ddtrace reads the DD_ variables when it is imported.
load_dotenv(override=True)

import ddtrace.auto  # noqa: F401 - Datadog: spans for OpenAI, HTTP and more; before their imports
from loguru import logger
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.frames.frames import LLMRunFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.runner.types import RunnerArguments
from pipecat.runner.utils import create_transport
from pipecat.services.cartesia.tts import CartesiaTTSService
from pipecat.services.deepgram.stt import DeepgramSTTService
from pipecat.services.llm_service import FunctionCallParams
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.transports.base_transport import BaseTransport, TransportParams
from pipecat.transports.daily.transport import DailyParams, DailyTransport
from pipecat.workers.runner import WorkerRunner

from pipecat_dd import DatadogObserver, configure_logging

# Datadog: from here on, every log line is a line of JSON with the ids of its session and span.
configure_logging()

KEYS = ("DEEPGRAM_API_KEY", "OPENAI_API_KEY", "CARTESIA_API_KEY")

# Functions, so that only the parameters of the transport in use are created.
transport_params = {
    "daily": lambda: DailyParams(audio_in_enabled=True, audio_out_enabled=True),
    "webrtc": lambda: TransportParams(audio_in_enabled=True, audio_out_enabled=True),
}


def check_keys() -> None:
    """Exit with a message that names all missing keys, if any are missing."""
    missing = [key for key in KEYS if not os.environ.get(key)]
    if missing:
        sys.exit(f"Please set {', '.join(missing)} in the environment or in a file named .env.")


async def get_weather(params: FunctionCallParams, city: str) -> None:
    """Get the current weather.

    Args:
        params: The function call and its result callback; not part of the tool's schema.
        city: The name of the city, e.g. "Paris".
    """
    # A real bot would call a weather service here. The request would be a span of this turn.
    weather = {"conditions": "sunny", "celsius": 22}
    # Datadog: each bound value is a field of the line: search for it with @city:Paris.
    logger.bind(city=city, **weather).info("Looked up the weather")
    await params.result_callback(weather)


async def run_bot(
    transport: BaseTransport, runner_args: RunnerArguments, observer: DatadogObserver
) -> None:
    """Run one conversation, from when the first participant joins until the last one leaves."""
    stt = DeepgramSTTService(api_key=os.environ["DEEPGRAM_API_KEY"])
    llm = OpenAILLMService(
        api_key=os.environ["OPENAI_API_KEY"],
        settings=OpenAILLMService.Settings(
            system_instruction="You are a friendly assistant in a voice conversation. Answer in "
            "one or two short sentences, without emojis, lists or other formatting.",
        ),
    )
    tts = CartesiaTTSService(
        api_key=os.environ["CARTESIA_API_KEY"],
        settings=CartesiaTTSService.Settings(
            voice="71a7ad14-091c-4e8e-a314-022ece01c121",  # British Reading Lady
        ),
    )

    context = LLMContext(tools=[get_weather])
    user_aggregator, assistant_aggregator = LLMContextAggregatorPair(
        context,
        user_params=LLMUserAggregatorParams(vad_analyzer=SileroVADAnalyzer()),
    )

    pipeline = Pipeline(
        [
            transport.input(),
            stt,
            user_aggregator,
            llm,
            tts,
            transport.output(),
            assistant_aggregator,
        ]
    )

    worker = PipelineWorker(
        pipeline,
        params=PipelineParams(enable_metrics=True, enable_usage_metrics=True),
        idle_timeout_secs=runner_args.pipeline_idle_timeout_secs,
        observers=[observer],  # Datadog: a span for each stage of the conversation.
    )

    runner = WorkerRunner(handle_sigint=runner_args.handle_sigint)
    await runner.add_workers(worker)

    @transport.event_handler("on_client_connected")
    async def on_client_connected(transport, client):
        # The bot speaks first.
        context.add_message({"role": "developer", "content": "Say hello and offer your help."})
        await worker.queue_frames([LLMRunFrame()])

    @transport.event_handler("on_client_disconnected")
    async def on_client_disconnected(transport, client):
        logger.info("The user has left")
        await runner.cancel()

    if isinstance(transport, DailyTransport):  # others have clients, but no participants

        @transport.event_handler("on_participant_joined")
        async def on_participant_joined(transport, participant):
            # Datadog: lines in a participant's event handler carry the participant: search for
            # them with @participant_id:… or @participant.name:…
            logger.info("Participant joined the room")

    await runner.run()


async def bot(runner_args: RunnerArguments) -> None:
    """Start the bot. Pipecat's runner or Pipecat Cloud calls this for each conversation."""
    # Datadog: first, so that every line from here on carries the session's id.
    observer = DatadogObserver()
    check_keys()
    transport = await create_transport(runner_args, transport_params)
    await run_bot(transport, runner_args, observer)


if __name__ == "__main__":
    from pipecat.runner.run import main

    check_keys()
    main()

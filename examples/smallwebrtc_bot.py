"""The smallest voice bot that you can talk to in the browser, observed with Datadog.

It shows the three lines that a bot needs for Datadog; comments that begin with "Datadog:" mark
them. Each browser tab that connects is a session of its own, also several at once.

    pip install pipecat-dd "pipecat-ai[cartesia,deepgram,openai,runner,silero,webrtc]"
    DD_SERVICE=pipecat-chatbot python smallwebrtc_bot.py

With uv, write ``uv pip install`` for ``pip install``. Then open http://localhost:7860. It needs
DEEPGRAM_API_KEY, OPENAI_API_KEY and CARTESIA_API_KEY, in the environment or in a file ``.env``.
"""

import os

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
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.transports.base_transport import TransportParams
from pipecat.workers.runner import WorkerRunner

from pipecat_dd import DatadogObserver, configure_logging

# Datadog: from here on, every log line is a line of JSON with the ids of its session and span.
configure_logging()

transport_params = {
    "webrtc": lambda: TransportParams(audio_in_enabled=True, audio_out_enabled=True),
}


async def bot(runner_args: RunnerArguments) -> None:
    """Run one conversation. Pipecat's runner calls this for each browser that connects."""
    # Datadog: first, so that every line from here on carries the session's id.
    observer = DatadogObserver()
    transport = await create_transport(runner_args, transport_params)

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

    context = LLMContext()
    user_aggregator, assistant_aggregator = LLMContextAggregatorPair(
        context,
        user_params=LLMUserAggregatorParams(vad_analyzer=SileroVADAnalyzer()),
    )

    worker = PipelineWorker(
        Pipeline(
            [
                transport.input(),
                stt,
                user_aggregator,
                llm,
                tts,
                transport.output(),
                assistant_aggregator,
            ]
        ),
        params=PipelineParams(enable_metrics=True, enable_usage_metrics=True),
        idle_timeout_secs=runner_args.pipeline_idle_timeout_secs,
        observers=[observer],  # Datadog: a span for each stage of the conversation.
    )

    runner = WorkerRunner(handle_sigint=runner_args.handle_sigint)
    await runner.add_workers(worker)

    @transport.event_handler("on_client_connected")
    async def on_client_connected(transport, client):
        logger.info("The user has connected")
        context.add_message({"role": "developer", "content": "Say hello and offer your help."})
        await worker.queue_frames([LLMRunFrame()])

    @transport.event_handler("on_client_disconnected")
    async def on_client_disconnected(transport, client):
        logger.info("The user has left")
        await runner.cancel()

    await runner.run()


if __name__ == "__main__":
    from pipecat.runner.run import main

    main()

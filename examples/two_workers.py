"""A bot in which two workers take turns talking to the user, observed with Datadog.

It shows that workers of one conversation share an observer: one session and one trace, in which
``worker.name`` says whose work a stage is. A greeter finds out what the user is interested in and
hands over to a specialist; a third worker has the transport, speech to text and text to speech.
Comments that begin with "Datadog:" mark the lines for Datadog.

    pip install pipecat-dd "pipecat-ai[cartesia,deepgram,openai,runner,silero,webrtc]"
    DD_SERVICE=pipecat-chatbot python two_workers.py

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
from pipecat.bus import BusBridgeProcessor
from pipecat.frames.frames import FunctionCallResultProperties
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
from pipecat.transports.base_transport import TransportParams
from pipecat.workers.llm import LLMWorker, LLMWorkerActivationArgs, tool
from pipecat.workers.runner import WorkerRunner

from pipecat_dd import DatadogObserver, configure_logging

# Datadog: from here on, every log line is a line of JSON with the ids of its session and span.
configure_logging()

transport_params = {
    "webrtc": lambda: TransportParams(audio_in_enabled=True, audio_out_enabled=True),
}

STYLE = (
    "This is a voice conversation: answer in one or two short sentences, without emojis, lists or "
    "other formatting. Do not mention that you transfer the user."
)


class Colleague(LLMWorker):
    """A worker with a model, which can hand the user over to another one."""

    @tool(cancel_on_interruption=False)
    async def transfer(self, params: FunctionCallParams, to: str, reason: str) -> None:
        """Transfer the user to a colleague.

        Args:
            params: The function call and its result callback; not part of the tool's schema.
            to: The colleague: "greeter" or "specialist".
            reason: What the user wants.
        """
        # Datadog: this line carries the session, its span is that of the tool.
        logger.bind(transferred_to=to).info("Handing over")
        # The colleague answers, so this worker's model need not.
        await params.result_callback(
            {"status": "transferred"}, properties=FunctionCallResultProperties(run_llm=False)
        )
        await self.activate_worker(
            to,
            args=LLMWorkerActivationArgs(messages=[{"role": "developer", "content": reason}]),
            deactivate_self=True,
        )


def colleague(name: str, instruction: str) -> Colleague:
    """Return a worker with a model of its own.

    Args:
        name: The worker's name.
        instruction: What its model is to do.
    """
    llm = OpenAILLMService(
        api_key=os.environ["OPENAI_API_KEY"],
        settings=OpenAILLMService.Settings(system_instruction=f"{instruction} {STYLE}"),
    )
    # With ``bridged`` its frames come from the worker that has the transport, and go back there.
    return Colleague(name, llm=llm, bridged=())


async def bot(runner_args: RunnerArguments) -> None:
    """Run one conversation. Pipecat's runner calls this for each browser that connects."""
    # Datadog: first, so that every line from here on carries the session's id.
    observer = DatadogObserver()
    transport = await create_transport(runner_args, transport_params)
    runner = WorkerRunner(handle_sigint=runner_args.handle_sigint)

    stt = DeepgramSTTService(api_key=os.environ["DEEPGRAM_API_KEY"])
    tts = CartesiaTTSService(
        api_key=os.environ["CARTESIA_API_KEY"],
        settings=CartesiaTTSService.Settings(
            voice="71a7ad14-091c-4e8e-a314-022ece01c121",  # British Reading Lady
        ),
    )
    user_aggregator, assistant_aggregator = LLMContextAggregatorPair(
        LLMContext(),
        user_params=LLMUserAggregatorParams(vad_analyzer=SileroVADAnalyzer()),
    )

    worker = PipelineWorker(
        Pipeline(
            [
                transport.input(),
                stt,
                user_aggregator,
                BusBridgeProcessor(bus=runner.bus, worker_name="main"),  # where a model would be
                tts,
                transport.output(),
                assistant_aggregator,
            ]
        ),
        name="main",
        params=PipelineParams(enable_metrics=True, enable_usage_metrics=True),
        idle_timeout_secs=runner_args.pipeline_idle_timeout_secs,
        observers=[observer],  # Datadog: a span for each stage of the conversation.
    )
    greeter = colleague(
        "greeter",
        "You greet the visitors of a shop for rocket boots and tornado kits. Find out which of "
        "them the user is interested in, then transfer the user to the specialist.",
    )
    specialist = colleague(
        "specialist",
        "You know all about rocket boots (299 dollars, 60 miles an hour) and tornado kits (199 "
        "dollars, batteries included). For anything else, transfer the user to the greeter.",
    )
    # Datadog: the same observer, since it is the same conversation.
    greeter.add_observer(observer)
    specialist.add_observer(observer)
    await runner.add_workers(greeter, specialist, worker)

    @transport.event_handler("on_client_connected")
    async def on_client_connected(transport, client):
        logger.info("The user has connected")
        welcome = "Welcome the user and ask what you can show them."
        await worker.activate_worker(
            "greeter",
            args=LLMWorkerActivationArgs(messages=[{"role": "developer", "content": welcome}]),
        )

    @transport.event_handler("on_client_disconnected")
    async def on_client_disconnected(transport, client):
        logger.info("The user has left")
        await runner.cancel()

    await runner.run()


if __name__ == "__main__":
    from pipecat.runner.run import main

    main()

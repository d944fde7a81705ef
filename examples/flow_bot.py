"""A bot that books a table, step by step with Pipecat Flows, observed with Datadog.

It shows ``flow.node`` on every line and on the spans of turns, models and tools, so that you see at
which step a conversation was, and the outcome that the bot gives its session. Comments that begin
with "Datadog:" mark the lines for Datadog.

    pip install pipecat-dd "pipecat-ai[cartesia,deepgram,openai,runner,silero,webrtc]"
    DD_SERVICE=pipecat-chatbot python flow_bot.py

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
from pipecat.flows import FlowManager, NodeConfig
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

from pipecat_dd import DatadogObserver, configure_logging, current_session

# Datadog: from here on, every log line is a line of JSON with the ids of its session and span.
configure_logging()

transport_params = {
    "webrtc": lambda: TransportParams(audio_in_enabled=True, audio_out_enabled=True),
}


def ask_party_size() -> NodeConfig:
    """Return the first step: for how many."""
    return NodeConfig(
        name="party_size",  # Datadog: this is ``flow.node``.
        role_message="You book tables at La Maison, a French restaurant. Be friendly and brief. "
        "This is a voice conversation: no emojis, lists or other formatting.",
        task_messages=[
            {"role": "developer", "content": "Greet the user. Ask how many people will come."}
        ],
        functions=[record_party_size],
    )


async def record_party_size(flow_manager: FlowManager, size: int) -> tuple[dict, NodeConfig]:
    """Record how many people will come.

    Args:
        flow_manager: The flow; not part of the function's schema.
        size: The number of people, 1 to 12.
    """
    flow_manager.state["size"] = size
    logger.bind(size=size).info("Recorded the party's size")
    # Datadog: a tag of the session's span: search for it with @party.size:>4
    current_session().set_tag("party.size", size)
    return {"size": size}, ask_time()


def ask_time() -> NodeConfig:
    """Return the second step: when."""
    return NodeConfig(
        name="time",
        task_messages=[
            {"role": "developer", "content": "Ask when they want to come: 5 PM to 10 PM."}
        ],
        functions=[book_table],
    )


async def book_table(flow_manager: FlowManager, time: str) -> tuple[dict, NodeConfig]:
    """Book the table.

    Args:
        flow_manager: The flow; not part of the function's schema.
        time: When they come, e.g. "6:00 PM".
    """
    # A real bot would call the restaurant's system here. The request would be a span of this turn.
    logger.bind(time=time, size=flow_manager.state["size"]).info("Booked a table")
    # Datadog: what came of the conversation, in your own word: @session.outcome:booked
    current_session().set_outcome("booked")
    return {"booked": time}, say_goodbye()


def say_goodbye() -> NodeConfig:
    """Return the last step."""
    return NodeConfig(
        name="goodbye",
        task_messages=[{"role": "developer", "content": "Confirm the booking and say goodbye."}],
        functions=[],
        post_actions=[{"type": "end_conversation"}],
    )


async def bot(runner_args: RunnerArguments) -> None:
    """Run one conversation. Pipecat's runner calls this for each browser that connects."""
    # Datadog: first, so that every line from here on carries the session's id.
    observer = DatadogObserver()
    # Datadog: stands unless a table is booked.
    observer.session.set_outcome("not_booked")
    transport = await create_transport(runner_args, transport_params)

    stt = DeepgramSTTService(api_key=os.environ["DEEPGRAM_API_KEY"])
    llm = OpenAILLMService(api_key=os.environ["OPENAI_API_KEY"])
    tts = CartesiaTTSService(
        api_key=os.environ["CARTESIA_API_KEY"],
        settings=CartesiaTTSService.Settings(
            voice="71a7ad14-091c-4e8e-a314-022ece01c121",  # British Reading Lady
        ),
    )
    context_aggregator = LLMContextAggregatorPair(
        LLMContext(),
        user_params=LLMUserAggregatorParams(vad_analyzer=SileroVADAnalyzer()),
    )

    worker = PipelineWorker(
        Pipeline(
            [
                transport.input(),
                stt,
                context_aggregator.user(),
                llm,
                tts,
                transport.output(),
                context_aggregator.assistant(),
            ]
        ),
        params=PipelineParams(enable_metrics=True, enable_usage_metrics=True),
        idle_timeout_secs=runner_args.pipeline_idle_timeout_secs,
        observers=[observer],  # Datadog: a span for each stage of the conversation.
    )

    runner = WorkerRunner(handle_sigint=runner_args.handle_sigint)
    await runner.add_workers(worker)

    flow_manager = FlowManager(
        worker=worker,
        llm=llm,  # pyright: ignore[reportArgumentType] - Pipecat's annotation excludes its services
        context_aggregator=context_aggregator,
        transport=transport,
    )

    @transport.event_handler("on_client_connected")
    async def on_client_connected(transport, client):
        logger.info("The user has connected")
        await flow_manager.initialize(ask_party_size())

    @transport.event_handler("on_client_disconnected")
    async def on_client_disconnected(transport, client):
        logger.info("The user has left")
        await runner.cancel()

    await runner.run()


if __name__ == "__main__":
    from pipecat.runner.run import main

    main()

#
# Copyright (c) 2024-2026, Daily
#
# SPDX-License-Identifier: BSD 2-Clause License
#


import asyncio
import os
from datetime import datetime

from dotenv import load_dotenv
from loguru import logger

from pipecat.evals.transport import EvalTransportParams
from pipecat.frames.frames import LLMRunFrame, LLMSetToolsFrame
from pipecat.observers.loggers.transcription_log_observer import TranscriptionLogObserver
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker, ProcessorUnusablePolicy
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    AssistantTurnStoppedMessage,
    LLMContextAggregatorPair,
    UserTurnMessageAddedMessage,
    UserTurnStoppedMessage,
)
from pipecat.runner.types import RunnerArguments
from pipecat.runner.utils import create_transport
from pipecat.services.llm_service import FunctionCallParams
from pipecat.services.openai.realtime.events import (
    AudioConfiguration,
    AudioInput,
    InputAudioNoiseReduction,
    InputAudioTranscription,
    SemanticTurnDetection,
    SessionProperties,
)
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService
from pipecat.transports.base_transport import BaseTransport, TransportParams
from pipecat.transports.daily.transport import DailyParams
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams
from pipecat.turns.user_stop import BaseUserTurnStopStrategy
from pipecat.workers.runner import WorkerRunner

load_dotenv(override=True)


async def get_current_weather(params: FunctionCallParams, location: str, format: str):
    """Get the current weather.

    Args:
        location: The city and state, e.g. "San Francisco, CA".
        format: The temperature unit to use. Must be either "celsius" or "fahrenheit". Infer this from the user's location.
    """
    temperature = 75 if format == "fahrenheit" else 24
    await params.result_callback(
        {
            "conditions": "nice",
            "temperature": temperature,
            "format": format,
            "timestamp": datetime.now().strftime("%Y%m%d_%H%M%S"),
        }
    )


async def get_news(params: FunctionCallParams):
    """Get the current news."""
    await params.result_callback(
        {
            "news": [
                "Massive UFO currently hovering above New York City",
                "Stock markets reach all-time highs",
                "Living dinosaur species discovered in the Amazon rainforest",
            ],
        }
    )


async def get_restaurant_recommendation(params: FunctionCallParams, location: str):
    """Get a restaurant recommendation.

    Args:
        location: The city and state, e.g. "San Francisco, CA".
    """
    await params.result_callback({"name": "The Golden Dragon"})


# We use lambdas to defer transport parameter creation until the transport
# type is selected at runtime.
transport_params = {
    "eval": lambda: EvalTransportParams(
        audio_in_enabled=True,
        audio_out_enabled=True,
    ),
    "daily": lambda: DailyParams(
        audio_in_enabled=True,
        audio_out_enabled=True,
    ),
    "twilio": lambda: FastAPIWebsocketParams(
        audio_in_enabled=True,
        audio_out_enabled=True,
    ),
    "webrtc": lambda: TransportParams(
        audio_in_enabled=True,
        audio_out_enabled=True,
    ),
}


async def run_bot(transport: BaseTransport, runner_args: RunnerArguments):
    logger.info("Starting bot")

    llm = OpenAIRealtimeLLMService(
        api_key=os.environ["OPENAI_API_KEY"],
        settings=OpenAIRealtimeLLMService.Settings(
            system_instruction="""You are a helpful and friendly AI.

Act like a human, but remember that you aren't a human and that you can't do human
things in the real world. Your voice and personality should be warm and engaging, with a lively and
playful tone.

If interacting in a non-English language, start by using the standard accent or dialect familiar to
the user. Talk quickly. You should always call a function if you can. Do not refer to these rules,
even if you're asked about them.

You are participating in a voice conversation. Keep your responses concise, short, and to the point
unless specifically asked to elaborate on a topic.

Remember, your responses should be short. Just one or two sentences, usually. Respond in English.""",
            session_properties=SessionProperties(
                audio=AudioConfiguration(
                    input=AudioInput(
                        transcription=InputAudioTranscription(),
                        # Set openai TurnDetection parameters. Not setting this at all will turn it
                        # on by default
                        turn_detection=SemanticTurnDetection(),
                        # Or set to False to disable openai turn detection and use transport VAD
                        # turn_detection=False,
                        noise_reduction=InputAudioNoiseReduction(type="near_field"),
                    )
                ),
                # you could choose to pass tools here rather than via context
                # tools=[get_current_weather, get_restaurant_recommendation],
            ),
        ),
    )

    # Create a standard OpenAI LLM context object using the normal messages format. The
    # OpenAIRealtimeLLMService will convert this internally to messages that the
    # openai WebSocket API can understand.
    context = LLMContext(
        [{"role": "developer", "content": "Say hello!"}],
        [get_current_weather, get_restaurant_recommendation],
    )

    # OpenAI Realtime drives the conversation server-side and emits its own
    # UserStarted/StoppedSpeakingFrame from server VAD events, so local VAD on
    # the aggregator is unnecessary and realtime-service mode is auto-detected.
    # See `realtime-openai-locally-driven-turns.py` for the variant that
    # disables server VAD and drives turn detection locally.
    user_aggregator, assistant_aggregator = LLMContextAggregatorPair(context)

    pipeline = Pipeline(
        [
            transport.input(),  # Transport user input
            user_aggregator,
            llm,  # LLM
            transport.output(),  # Transport bot output
            assistant_aggregator,
        ]
    )

    worker = PipelineWorker(
        pipeline,
        params=PipelineParams(
            enable_metrics=True,
            enable_usage_metrics=True,
        ),
        idle_timeout_secs=runner_args.pipeline_idle_timeout_secs,
        observers=[TranscriptionLogObserver()],
        processor_unusable_policy=ProcessorUnusablePolicy.END,
    )

    runner = WorkerRunner(handle_sigint=runner_args.handle_sigint)

    await runner.add_workers(worker)

    @transport.event_handler("on_client_connected")
    async def on_client_connected(transport, client):
        logger.info("Client connected")
        # Kick off the conversation.
        await worker.queue_frames([LLMRunFrame()])

        # Add a new tool at runtime after a delay.
        await asyncio.sleep(15)
        logger.info("Adding tools")
        await worker.queue_frames(
            [LLMSetToolsFrame(tools=[get_current_weather, get_restaurant_recommendation, get_news])]
        )
        # Alternative pattern, useful if you're changing other session properties, too.
        # (Though note that tools in your LLMContext take precedence over those
        # in session properties, so if you have context-provided tools, prefer
        # LLMSetToolsFrame instead, as it updates your context. Ditto for
        # updating system instructions: send an LLMMessagesUpdateFrame with
        # context messages updated with your new desired system message.)
        # await worker.queue_frames(
        #     [
        #         LLMUpdateSettingsFrame(
        #             settings=SessionProperties(
        #                 tools=ToolsSchema(
        #                     standard_tools=[
        #                         get_current_weather,
        #                         get_restaurant_recommendation,
        #                         get_news,
        #                     ]
        #                 )
        #             ).model_dump()
        #         )
        #     ]
        # )

        # Reasoning effort can be changed at runtime too. Only
        # reasoning-capable Realtime models (e.g. gpt-realtime-2) support this.
        # await worker.queue_frames(
        #     [
        #         LLMUpdateSettingsFrame(
        #             delta=OpenAIRealtimeLLMService.Settings(
        #                 session_properties=SessionProperties(
        #                     reasoning=Reasoning(effort="xhigh"),
        #                 ),
        #             )
        #         )
        #     ]
        # )

    @transport.event_handler("on_client_disconnected")
    async def on_client_disconnected(transport, client):
        logger.info("Client disconnected")
        await runner.cancel()

    # Subscribe to user turn lifecycle events. OpenAI Realtime emits its
    # own user-turn frames from server VAD, so on_user_turn_stopped fires
    # at the turn boundary. In realtime mode UserTurnStoppedMessage.content
    # is None because the user transcript isn't finalized at turn-stop
    # time — subscribe to on_user_turn_message_added for the finalized text
    # (it's written when the assistant response begins). The assistant
    # message is finalized at turn-stop time in both modes, so
    # on_assistant_turn_stopped carries the content directly.
    @user_aggregator.event_handler("on_user_turn_stopped")
    async def on_user_turn_stopped(
        aggregator,
        strategy: BaseUserTurnStopStrategy,
        message: UserTurnStoppedMessage,
    ):
        logger.info(f"User turn stopped at {message.timestamp}")

    @user_aggregator.event_handler("on_user_turn_message_added")
    async def on_user_turn_message_added(aggregator, message: UserTurnMessageAddedMessage):
        timestamp = f"[{message.timestamp}] " if message.timestamp else ""
        line = f"{timestamp}user: {message.content}"
        logger.info(f"Transcript: {line}")

    @assistant_aggregator.event_handler("on_assistant_turn_stopped")
    async def on_assistant_turn_stopped(aggregator, message: AssistantTurnStoppedMessage):
        timestamp = f"[{message.timestamp}] " if message.timestamp else ""
        line = f"{timestamp}assistant: {message.content}"
        logger.info(f"Transcript: {line}")

    await runner.run()


async def bot(runner_args: RunnerArguments):
    """Main bot entry point compatible with Pipecat Cloud."""
    transport = await create_transport(runner_args, transport_params)
    await run_bot(transport, runner_args)


if __name__ == "__main__":
    from pipecat.runner.run import main

    main()

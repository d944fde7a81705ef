"""A FastAPI server that answers Twilio calls, many at once, observed with Datadog.

It shows one observer for each call in a process that has many: no line or span of a call carries
the ids of another one. Comments that begin with "Datadog:" mark the lines for Datadog.

    pip install pipecat-dd "pipecat-ai[cartesia,deepgram,openai,runner,silero,websocket]"
    DD_SERVICE=pipecat-telephone python twilio_server.py

With uv, write ``uv pip install`` for ``pip install``. The server listens on PORT (8765 if not set).
Let Twilio reach it, by ``ngrok http 8765`` for example, and have your number's webhook for a call
POST to https://YOUR-HOST/. It needs TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN, DEEPGRAM_API_KEY,
OPENAI_API_KEY and CARTESIA_API_KEY, in the environment or in a file ``.env``.

It answers whoever knows its address, and each call costs money. Before you use it, check that both
requests come from Twilio, the webhook and the websocket: Twilio signs them in X-Twilio-Signature,
and ``RequestValidator`` in Twilio's Python library checks that.
"""

import os
from typing import Annotated
from xml.sax.saxutils import quoteattr

from dotenv import load_dotenv

load_dotenv(override=True)
# Datadog: else each of the hundred messages that a call has in a second is a trace of its own.
os.environ.setdefault("DD_TRACE_WEBSOCKET_MESSAGES_ENABLED", "false")

import ddtrace.auto  # noqa: F401 - Datadog: reads the DD_ variables, so after them; else first
import uvicorn
from fastapi import FastAPI, Form, Request, Response, WebSocket
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
from pipecat.runner.utils import parse_telephony_websocket
from pipecat.serializers.twilio import TwilioFrameSerializer
from pipecat.services.cartesia.tts import CartesiaTTSService
from pipecat.services.deepgram.stt import DeepgramSTTService
from pipecat.services.llm_service import FunctionCallParams
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.transports.websocket.fastapi import (
    FastAPIWebsocketParams,
    FastAPIWebsocketTransport,
)
from pipecat.workers.runner import WorkerRunner

from pipecat_dd import DatadogObserver, configure_logging, current_session

# Datadog: from here on, every log line is a line of JSON with the ids of its session and span.
configure_logging()

app = FastAPI()


@app.get("/health")
async def health() -> dict[str, str]:
    """Answer a load balancer's health check."""
    return {"status": "ok"}


@app.post("/")
async def incoming_call(
    request: Request, caller: Annotated[str, Form(alias="From")] = ""
) -> Response:
    """Answer Twilio's webhook: connect the call to the websocket of this server."""
    logger.info("A call comes in")  # Datadog: before the call's session, so without its id.
    url = quoteattr(f"wss://{request.headers['host']}/call")
    twiml = f"""<?xml version="1.0" encoding="UTF-8"?>
<Response>
  <Connect>
    <Stream url={url}>
      <Parameter name="from_number" value={quoteattr(caller)} />
    </Stream>
  </Connect>
</Response>"""
    return Response(twiml, media_type="application/xml")


async def get_order_status(params: FunctionCallParams, order_number: str) -> None:
    """Look up where an order is.

    Args:
        params: The function call and its result callback; not part of the tool's schema.
        order_number: The number of the order, e.g. "1234".
    """
    # A real bot would call your shop here. The request would be a span of this turn.
    status = "out for delivery"
    # Datadog: each bound value is a field of the line: search for it with @order_number:1234.
    logger.bind(order_number=order_number).info("Looked up the order")
    # Datadog: what came of the call, in your own word: search for it with @session.outcome:…
    current_session().set_outcome("order_status_given")
    await params.result_callback({"status": status})


@app.websocket("/call")
async def call(websocket: WebSocket) -> None:
    """Run one call, from when Twilio connects until somebody hangs up."""
    # Datadog: first, and one for each call, so that every line from here on carries its id.
    observer = DatadogObserver()
    await websocket.accept()
    _, call_data = await parse_telephony_websocket(websocket)
    # Datadog: search for the call that Twilio's console shows with @call_sid:CA…
    logger.bind(call_sid=call_data["call_id"]).info("Twilio has connected the call")

    transport = FastAPIWebsocketTransport(
        websocket,
        FastAPIWebsocketParams(
            audio_in_enabled=True,
            audio_out_enabled=True,
            serializer=TwilioFrameSerializer(
                stream_sid=call_data["stream_id"],
                call_sid=call_data["call_id"],
                account_sid=os.environ["TWILIO_ACCOUNT_SID"],
                auth_token=os.environ["TWILIO_AUTH_TOKEN"],
            ),
        ),
    )

    stt = DeepgramSTTService(api_key=os.environ["DEEPGRAM_API_KEY"])
    llm = OpenAILLMService(
        api_key=os.environ["OPENAI_API_KEY"],
        settings=OpenAILLMService.Settings(
            system_instruction="You answer the telephone of a shop. Ask for the number of the "
            "order and say where it is, in one or two short sentences without formatting.",
        ),
    )
    tts = CartesiaTTSService(
        api_key=os.environ["CARTESIA_API_KEY"],
        settings=CartesiaTTSService.Settings(
            voice="71a7ad14-091c-4e8e-a314-022ece01c121",  # British Reading Lady
        ),
    )

    context = LLMContext(tools=[get_order_status])
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
        params=PipelineParams(
            audio_in_sample_rate=8000,  # Twilio's
            enable_metrics=True,
            enable_usage_metrics=True,
        ),
        observers=[observer],  # Datadog: a span for each stage of the conversation.
    )

    # The server handles signals, for all its calls.
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)

    @transport.event_handler("on_client_connected")
    async def on_client_connected(transport, client):
        logger.info("Answered the call")
        context.add_message({"role": "developer", "content": "Say hello and offer your help."})
        await worker.queue_frames([LLMRunFrame()])

    @transport.event_handler("on_client_disconnected")
    async def on_client_disconnected(transport, client):
        logger.info("The caller has hung up")
        await runner.cancel()

    await runner.run()


if __name__ == "__main__":
    # Datadog: without a log_config of its own, so that uvicorn's lines are JSON, too.
    uvicorn.run(app, host="0.0.0.0", port=int(os.getenv("PORT", "8765")), log_config=None)

"""Calls on real transports, in which the caller's own end notes what it hears."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from pipecat.processors.frame_processor import FrameProcessor
from pipecat.serializers.protobuf import ProtobufFrameSerializer
from pipecat.serializers.twilio import TwilioFrameSerializer
from pipecat.transports.base_transport import TransportParams
from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection
from pipecat.transports.smallwebrtc.transport import SmallWebRTCTransport
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams, FastAPIWebsocketTransport

from pipecat_dd import DatadogObserver
from pipecat_dd.cli.demo.versions import (
    SingleClientWebsocketServerParams,
    SingleClientWebsocketServerTransport,
)
from tests.conversation.participants.running import PATIENCE_SECS, Heard, bot_on
from tests.conversation.participants.test_websocket import serving
from tests.support.playout import Caller, WebRTCCaller, WebsocketCaller, from_twilio
from tests.support.ports import free_port

AUDIO = {
    "audio_in_enabled": True,
    "audio_out_enabled": True,
    "audio_out_end_silence_secs": 0,
}


@dataclass
class Call:
    """A call that goes on.

    Attributes:
        worker: The bot's worker.
        caller: The caller, who has connected.
        observer: The bot's observer.
    """

    worker: Any
    caller: Caller
    observer: DatadogObserver


Line = Callable[..., AbstractAsyncContextManager[Call]]
"""Holds a call for as long as its block: takes the bot's processors, and options of the transport.

The bot ends in order at the block's end."""


@asynccontextmanager
async def websocket_server(
    *processors: FrameProcessor, is_narrow: bool = False, **options: Any
) -> AsyncIterator[Call]:
    """Call a bot on Pipecat's own websocket server."""
    port, observer, heard = free_port(), DatadogObserver(), Heard()
    transport = SingleClientWebsocketServerTransport(
        SingleClientWebsocketServerParams(
            serializer=ProtobufFrameSerializer(), **{**AUDIO, **options}
        ),
        host="127.0.0.1",
        port=port,
    )
    heard.handle(transport, "on_client_connected", "on_websocket_ready")
    caller = WebsocketCaller()
    async with bot_on(transport, observer, processors=processors) as worker:
        await heard.until("on_websocket_ready")
        await caller.call(f"ws://127.0.0.1:{port}", is_narrow=is_narrow)
        await heard.until("on_client_connected")
        yield Call(worker, caller, observer)
    await caller.hang_up()


@asynccontextmanager
async def _behind_fastapi(
    caller: WebsocketCaller,
    serializer: Any,
    processors: Sequence[FrameProcessor],
    is_narrow: bool = False,
    **options: Any,
) -> AsyncIterator[Call]:
    observer, heard, over = DatadogObserver(), Heard(), asyncio.Event()
    calls: list[Call] = []

    async def bot(websocket: Any) -> None:
        params = FastAPIWebsocketParams(serializer=serializer, **{**AUDIO, **options})
        transport = FastAPIWebsocketTransport(websocket, params)
        heard.handle(transport, "on_client_connected")
        async with bot_on(transport, observer, processors=processors) as worker:
            calls.append(Call(worker, caller, observer))
            await over.wait()

    async with serving(bot) as served:
        await caller.call(served.url, is_narrow=is_narrow)
        await heard.until("on_client_connected")
        try:
            yield calls[0]
        finally:
            over.set()
            await served.until_over()
    await caller.hang_up()


@asynccontextmanager
async def fastapi(*processors: FrameProcessor, **options: Any) -> AsyncIterator[Call]:
    """Call a bot behind FastAPI."""
    serializer = ProtobufFrameSerializer()
    async with _behind_fastapi(WebsocketCaller(), serializer, processors, **options) as call:
        yield call


@asynccontextmanager
async def twilio(*processors: FrameProcessor, **options: Any) -> AsyncIterator[Call]:
    """Call a bot by telephone: 8 kHz, as Twilio streams it."""
    params = TwilioFrameSerializer.InputParams(auto_hang_up=False)
    serializer = TwilioFrameSerializer("MZ1", params=params)
    options = {"audio_out_sample_rate": 8_000, **options}
    caller = WebsocketCaller(from_twilio)
    async with _behind_fastapi(caller, serializer, processors, **options) as call:
        yield call


@asynccontextmanager
async def webrtc(*processors: FrameProcessor, **options: Any) -> AsyncIterator[Call]:
    """Call a bot by WebRTC."""
    observer, heard, caller = DatadogObserver(), Heard(), WebRTCCaller()
    connection = SmallWebRTCConnection()
    transport = SmallWebRTCTransport(connection, TransportParams(**{**AUDIO, **options}))
    heard.handle(transport, "on_client_connected")

    async def answer(sdp: str, kind: str) -> tuple[str, str]:
        await connection.initialize(sdp=sdp, type=kind)
        found = connection.get_answer()
        assert found is not None
        return found["sdp"], found["type"]

    async with bot_on(transport, observer, processors=processors) as worker:
        await caller.call(answer)
        async with asyncio.timeout(PATIENCE_SECS):
            await heard.until("on_client_connected")
        yield Call(worker, caller, observer)
    await caller.hang_up()

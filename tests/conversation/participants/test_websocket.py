"""Participants of websockets: real transports, and real clients on loopback."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import ddtrace
import pytest
import uvicorn
from fastapi import FastAPI, WebSocket
from loguru import logger
from pipecat.frames.frames import InputAudioRawFrame, InputDTMFFrame
from pipecat.runner.utils import parse_telephony_websocket
from pipecat.serializers.exotel import ExotelFrameSerializer
from pipecat.serializers.plivo import PlivoFrameSerializer
from pipecat.serializers.protobuf import ProtobufFrameSerializer
from pipecat.serializers.telnyx import TelnyxFrameSerializer
from pipecat.serializers.twilio import TwilioFrameSerializer
from pipecat.transports.websocket.client import WebsocketClientParams, WebsocketClientTransport
from pipecat.transports.websocket.fastapi import (
    FastAPIWebsocketParams,
    FastAPIWebsocketTransport,
)
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve

from pipecat_dd import DatadogObserver
from pipecat_dd.cli.demo.versions import (
    SingleClientWebsocketServerParams,
    SingleClientWebsocketServerTransport,
)
from pipecat_dd.conversation.telephone import PhoneNumbers
from pipecat_dd.instrumentation.transports import TransportInstrumentation
from tests.conversation.participants.running import PATIENCE_SECS, Heard, Listener, bot_on
from tests.support.agent import TestAgent
from tests.support.lines import Lines
from tests.support.ports import free_port
from tests.support.spans import Span, Trace

QUIET = {"audio_out_end_silence_secs": 0}


def people(trace: Trace) -> list[Span]:
    trace.check()
    return trace.named("pipecat.participant")


def names(span: Span) -> list[str]:
    return [child.resource for child in span.children]


# A server of Pipecat's own


def server() -> tuple[SingleClientWebsocketServerTransport, str]:
    port = free_port()
    params = SingleClientWebsocketServerParams(
        serializer=ProtobufFrameSerializer(), audio_in_enabled=True, audio_out_enabled=True, **QUIET
    )
    transport = SingleClientWebsocketServerTransport(params, host="127.0.0.1", port=port)
    return transport, f"ws://127.0.0.1:{port}"


async def test_each_client_of_a_server_is_a_participant(agent: TestAgent, lines: Lines) -> None:
    observer = DatadogObserver()
    transport, url = server()
    heard = Heard()
    heard.handle(transport, "on_client_connected", "on_client_disconnected", "on_websocket_ready")
    async with bot_on(transport, observer):
        await heard.until("on_websocket_ready")
        async with connect(url):
            await heard.until("on_client_connected")
            logger.info("somebody is there")
        await heard.until("on_client_disconnected")
        gone = await connect(url)
        await heard.until("on_client_connected", 2)
        gone.transport.abort()
        await heard.until("on_client_disconnected", 2)
        last = await connect(url)
        await heard.until("on_client_connected", 3)
    await last.close()

    trace = agent.session(observer.session_id)
    first, vanished, stayed = people(trace)
    assert len({span["participant_id"] for span in (first, vanished, stayed)}) == 3
    reasons = [span["participant.leave_reason"] for span in (first, vanished, stayed)]
    assert reasons[:2] == ["disconnected", "connection_lost"]
    # Who hangs up first at the end differs between versions of Pipecat.
    assert reasons[2] in ("disconnected", "session_end")
    assert names(first) == ["on_client_connected", "on_client_disconnected"]
    assert first.resource.endswith("WebsocketServerTransport")
    handling = lines.saying("handling on_client")
    assert [line["participant_id"] for line in handling[:2]] == [first["participant_id"]] * 2
    assert lines.one("somebody is there")["participant_id"] == first["participant_id"]
    ready = trace.one("pipecat.participant.event", "on_websocket_ready")
    assert ready.parent is trace.one("pipecat.session")
    for line in handling[:5]:  # the sixth may come when the session is over
        assert trace.by_id[int(line["dd.span_id"])].name == "pipecat.participant.event"


# FastAPI


class Served:
    """A FastAPI application whose websocket endpoint runs a bot."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.over = asyncio.Event()
        self.failure: BaseException | None = None

    async def until_over(self) -> None:
        async with asyncio.timeout(PATIENCE_SECS):
            await self.over.wait()
        if self.failure is not None:
            raise self.failure


@asynccontextmanager
async def serving(bot: Callable[[Any], Awaitable[None]]) -> AsyncIterator[Served]:
    app = FastAPI()
    started = asyncio.Event()

    @app.websocket("/")
    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        try:
            await bot(websocket)
        except BaseException as error:
            served.failure = error
        finally:
            served.over.set()

    class Server(uvicorn.Server):
        async def startup(self, *args: Any, **kwargs: Any) -> None:
            await super().startup(*args, **kwargs)
            started.set()

    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", ws="websockets")
    uvicorn_server = Server(config)
    running = asyncio.create_task(uvicorn_server.serve())
    async with asyncio.timeout(PATIENCE_SECS):
        await started.wait()
    port = uvicorn_server.servers[0].sockets[0].getsockname()[1]
    served = Served(f"ws://127.0.0.1:{port}/")
    try:
        yield served
    finally:
        uvicorn_server.should_exit = True
        async with asyncio.timeout(PATIENCE_SECS):
            await running


class CallOnFastAPI:
    """A bot behind FastAPI."""

    def __init__(self, serializer: Any = None, **options: Any) -> None:
        self.heard = Heard()
        self.listener = Listener(InputAudioRawFrame)
        self.serializer = serializer or ProtobufFrameSerializer()
        self.options = options
        self.hang_up = asyncio.Event()
        self.observer: DatadogObserver | None = None

    async def __call__(self, websocket: Any) -> None:
        transport = FastAPIWebsocketTransport(
            websocket,
            FastAPIWebsocketParams(
                serializer=self.serializer, audio_in_enabled=True, audio_out_enabled=True, **QUIET
            ),
        )
        self.heard.handle(transport, "on_client_connected", "on_client_disconnected")
        self.observer = DatadogObserver(**self.options)
        async with bot_on(transport, self.observer, processors=[self.listener]):
            async with asyncio.timeout(PATIENCE_SECS):
                await self.hang_up.wait()


@pytest.mark.parametrize("leaves", ["closes", "vanishes", "stays"])
async def test_the_peer_of_a_fastapi_websocket_is_a_participant(
    agent: TestAgent, lines: Lines, leaves: str
) -> None:
    call = CallOnFastAPI()
    async with serving(call) as served:
        client = await connect(served.url)
        await call.heard.until("on_client_connected")
        if leaves == "closes":
            await client.close()
        elif leaves == "vanishes":
            client.transport.abort()
        if leaves != "stays":
            await call.heard.until("on_client_disconnected")
        call.hang_up.set()
        await served.until_over()
        await client.close()
    assert call.observer is not None
    trace = agent.session(call.observer.session_id)
    (peer,) = people(trace)
    reason = "session_end" if leaves == "stays" else "disconnected"
    assert peer["participant.leave_reason"] == reason
    assert peer.resource == "FastAPIWebsocketTransport"
    for line in lines.saying("handling on_client"):
        assert line["participant_id"] == peer["participant_id"]
        assert trace.by_id[int(line["dd.span_id"])].parent is peer


SILENCE = {"payload": base64.b64encode(b"\x7f" * 1_600).decode(), "track": "inbound"}
CALLS = {
    "twilio": (
        lambda: TwilioFrameSerializer(
            "MZ1", call_sid="CA1", params=TwilioFrameSerializer.InputParams(auto_hang_up=False)
        ),
        "CA1",
        "stream_stopped",
        {"event": "stop", "streamSid": "MZ1", "stop": {"callSid": "CA1"}},
    ),
    "telnyx": (
        lambda: TelnyxFrameSerializer(
            "s-1",
            "PCMU",
            "PCMU",
            call_control_id="v3:abc",
            params=TelnyxFrameSerializer.InputParams(auto_hang_up=False),
        ),
        "v3:abc",
        "stream_stopped",
        {"event": "stop", "stream_id": "s-1", "stop": {"call_control_id": "v3:abc"}},
    ),
    "plivo": (
        lambda: PlivoFrameSerializer(
            "p-1", call_id="call-1", params=PlivoFrameSerializer.InputParams(auto_hang_up=False)
        ),
        "call-1",
        "stream_stopped",
        {"event": "stop", "streamId": "p-1"},
    ),
    "exotel": (
        lambda: ExotelFrameSerializer("e-1", call_sid="exo-1"),
        "exo-1",
        "callended",
        {"event": "stop", "stream_sid": "e-1", "stop": {"reason": "callended"}},
    ),
}


@pytest.mark.parametrize("provider", CALLS)
async def test_a_telephone_call_is_a_participant_by_its_id(
    agent: TestAgent, lines: Lines, provider: str
) -> None:
    make, call_id, reason, stop = CALLS[provider]
    call = CallOnFastAPI(make())
    async with serving(call) as served, connect(served.url) as client:
        await call.heard.until("on_client_connected")
        for _ in range(5):
            await client.send(json.dumps({"event": "media", "media": SILENCE}))
        await call.listener.heard.until("InputAudioRawFrame")
        await client.send(json.dumps(stop))
        await client.close()
        await call.heard.until("on_client_disconnected")
        call.hang_up.set()
        await served.until_over()
    assert call.observer is not None
    trace = agent.session(call.observer.session_id)
    (caller,) = people(trace)
    assert caller["participant_id"] == call_id
    assert caller["telephony.provider"] == provider
    assert trace.one("pipecat.session")["telephony.call_id"] == call_id
    assert caller["participant.leave_reason"] == reason
    assert names(caller) == ["on_client_connected", "on_client_disconnected"]
    assert lines.saying("working on InputAudioRawFrame")[0]["participant_id"] == call_id
    assert "deserialize" not in vars(call.serializer), "put back as it was"


# What is keyed in


KEYS = {
    "twilio": lambda key: {"event": "dtmf", "streamSid": "MZ1", "dtmf": {"digit": key}},
    "telnyx": lambda key: {"event": "dtmf", "stream_id": "s-1", "dtmf": {"digit": key}},
    "plivo": lambda key: {"event": "dtmf", "dtmf": {"digit": key}},
    "exotel": lambda key: {"event": "dtmf", "dtmf": {"digit": key}},
}


@pytest.mark.parametrize("capture", [False, True])
@pytest.mark.parametrize("provider", CALLS)
async def test_a_key_that_is_pressed_is_told_as_it_is_elsewhere(
    agent: TestAgent, provider: str, capture: bool
) -> None:
    make, call_id, *_ = CALLS[provider]
    call = CallOnFastAPI(make(), capture_content=capture)
    call.listener = Listener(InputDTMFFrame)
    async with serving(call) as served, connect(served.url) as client:
        await call.heard.until("on_client_connected")
        for key in "47#":
            await client.send(json.dumps(KEYS[provider](key)))
        await call.listener.heard.until("InputDTMFFrame", 3)
        call.hang_up.set()
        await served.until_over()
    assert call.observer is not None
    trace = agent.session(call.observer.session_id)
    trace.check()
    (caller,) = people(trace)
    keys = [span for span in caller.children if span.resource == "on_dtmf_event"]
    assert [span["dtmf.tone"] for span in keys] == ["4", "7" if capture else "[left out]", "#"]
    for span in keys:
        assert span["participant_id"] == call_id
        assert span["event.count"] == 1


# Who is calling

PHONE_KEY = "a key for tests of sixteen bytes"
NUMBER, OURS = "+15550100123", "+15550199999"
STARTS: dict[str, dict[str, Any]] = {
    "twilio": {
        "event": "start",
        "streamSid": "MZ1",
        "start": {
            "streamSid": "MZ1",
            "callSid": "CA1",
            "customParameters": {"from_number": NUMBER, "to_number": OURS},
        },
    },
    "telnyx": {
        "event": "start",
        "stream_id": "s-1",
        "start": {
            "call_control_id": "v3:abc",
            "media_format": {"encoding": "PCMU"},
            "from": NUMBER,
            "to": OURS,
        },
    },
    "plivo": {
        "event": "start",
        "start": {"streamId": "p-1", "callId": "call-1"},
        "extra_headers": f"{{X-PH-callerNumber: {NUMBER}, X-PH-order: 12}}",
    },
    "exotel": {
        "event": "start",
        "start": {
            "stream_sid": "e-1",
            "call_sid": "exo-1",
            "account_sid": "a-1",
            "from": NUMBER,
            "to": OURS,
        },
    },
}
HASH = PhoneNumbers(PHONE_KEY.encode()).hash_of(NUMBER)


class ReadByPipecat(CallOnFastAPI):
    """A bot that lets Pipecat's runner read who is calling."""

    async def __call__(self, websocket: Any) -> None:
        _, call_data = await parse_telephony_websocket(websocket)
        assert call_data
        await super().__call__(websocket)


class ReadByHand(CallOnFastAPI):
    """A bot that reads the provider's messages itself."""

    async def __call__(self, websocket: Any) -> None:
        messages = websocket.iter_text()
        await anext(messages)
        self.started = json.loads(await anext(messages))
        await self.answer(websocket, self.started)

    async def answer(self, websocket: Any, started: dict[str, Any]) -> None:
        await super().__call__(websocket)


async def hash_told(
    agent: TestAgent, call: CallOnFastAPI, start: dict[str, Any], served: Served
) -> Span:
    async with connect(served.url) as client:
        await client.send(json.dumps({"event": "connected"}))
        await client.send(json.dumps(start))
        await call.heard.until("on_client_connected")
        call.hang_up.set()
        await served.until_over()
    assert call.observer is not None
    trace = agent.session(call.observer.session_id)
    (caller,) = people(trace)
    assert "0100123" not in str([span.raw for span in trace.spans])
    return caller


@pytest.mark.parametrize("reads", [ReadByPipecat, ReadByHand])
@pytest.mark.parametrize("provider", STARTS)
async def test_the_number_of_a_caller_is_hashed_wherever_it_is_known(
    agent: TestAgent, provider: str, reads: type[CallOnFastAPI]
) -> None:
    if provider == "plivo" and reads is ReadByPipecat:
        pytest.skip("Pipecat keeps nothing of who is calling by Plivo")
    call = reads(CALLS[provider][0](), phone_hash_key=PHONE_KEY)
    async with serving(call) as served:
        caller = await hash_told(agent, call, STARTS[provider], served)
    assert caller["participant.phone_hash"] == HASH


async def test_who_was_called_is_the_one_at_the_other_end_of_a_call_out(agent: TestAgent) -> None:
    start = json.loads(json.dumps(STARTS["twilio"]))
    start["start"]["customParameters"] = {
        "from": OURS,
        "to": NUMBER,
        "direction": "outbound-api",
    }
    call = ReadByHand(CALLS["twilio"][0](), phone_hash_key=PHONE_KEY)
    async with serving(call) as served:
        caller = await hash_told(agent, call, start, served)
    assert caller["participant.phone_hash"] == HASH


async def test_another_calls_number_is_nobodys(agent: TestAgent) -> None:
    start = json.loads(json.dumps(STARTS["twilio"]).replace("CA1", "CA2").replace("MZ1", "MZ2"))
    call = ReadByHand(CALLS["twilio"][0](), phone_hash_key=PHONE_KEY)
    async with serving(call) as served:
        caller = await hash_told(agent, call, start, served)
    assert caller.get("participant.phone_hash") is None


async def test_without_a_key_there_is_no_hash(agent: TestAgent) -> None:
    call = ReadByPipecat(CALLS["telnyx"][0]())
    async with serving(call) as served:
        caller = await hash_told(agent, call, STARTS["telnyx"], served)
    assert caller.get("participant.phone_hash") is None


async def test_it_is_said_once_that_ddtrace_traces_each_message(
    agent: TestAgent, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TransportInstrumentation, "_said_traced", False)

    async def calls(times: int) -> None:
        for _ in range(times):
            call = CallOnFastAPI()
            async with serving(call) as served, connect(served.url):
                await call.heard.until("on_client_connected")
                call.hang_up.set()
                await served.until_over()

    await calls(1)
    assert not lines.saying("DD_TRACE_WEBSOCKET_MESSAGES_ENABLED"), "FastAPI is not traced"
    ddtrace.patch(raise_errors=True, fastapi=True)
    # As is the default of newer versions of ddtrace.
    monkeypatch.setitem(ddtrace.config.fastapi, "trace_asgi_websocket_messages", True)
    try:
        await calls(2)
        line = lines.one("DD_TRACE_WEBSOCKET_MESSAGES_ENABLED=false")
        assert line["levelname"] == "WARNING"
        monkeypatch.setattr(TransportInstrumentation, "_said_traced", False)
        monkeypatch.setitem(ddtrace.config.fastapi, "trace_asgi_websocket_messages", False)
        await calls(1)
        assert len(lines.saying("DD_TRACE_WEBSOCKET_MESSAGES_ENABLED")) == 1
    finally:
        from ddtrace.contrib.internal.fastapi.patch import unpatch

        unpatch()


# The bot as the client


async def test_the_server_that_a_bot_connects_to_is_a_participant(
    agent: TestAgent, lines: Lines
) -> None:
    observer = DatadogObserver()
    heard = Heard()
    hang_up = asyncio.Event()

    async def other_end(websocket: Any) -> None:
        await hang_up.wait()
        websocket.transport.abort()

    async with serve(other_end, "127.0.0.1", 0) as listening:
        port = next(iter(listening.sockets)).getsockname()[1]
        transport = WebsocketClientTransport(
            f"ws://127.0.0.1:{port}", WebsocketClientParams(audio_out_enabled=True, **QUIET)
        )
        heard.handle(transport, "on_connected", "on_disconnected")
        async with bot_on(transport, observer):
            await heard.until("on_connected")
            hang_up.set()
            await heard.until("on_disconnected")
    # Pipecat 1.0 connects twice, and uses the second connection.
    *_, peer = people(agent.session(observer.session_id))
    assert peer["participant.leave_reason"] == "connection_lost"
    assert names(peer)[:2] == ["on_connected", "on_disconnected"]
    line = lines.saying("handling on_disconnected")[-1]
    assert line["participant_id"] == peer["participant_id"]

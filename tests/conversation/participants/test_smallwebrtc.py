"""The peer of a SmallWebRTC connection: a real aiortc peer on loopback."""

import asyncio
import contextvars
import json
from typing import Any

import aioice.ice
import pytest
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack
from ddtrace.trace import Context, tracer
from loguru import logger
from pipecat.transports.base_transport import TransportParams
from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection
from pipecat.transports.smallwebrtc.transport import SmallWebRTCTransport

from pipecat_dd import DatadogObserver
from pipecat_dd.conversation.telephone import PhoneNumbers
from tests.conversation.participants.running import PATIENCE_SECS, Heard, bot_on
from tests.support.agent import TestAgent
from tests.support.lines import Lines
from tests.support.spans import Span
from tests.support.versions import needs_pipecat


@pytest.fixture(autouse=True)
def on_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"])
    # Half a minute otherwise until it is noticed that a peer has vanished.
    monkeypatch.setattr(aioice.ice, "CONSENT_INTERVAL", 0.1)
    monkeypatch.setattr(aioice.ice, "CONSENT_FAILURES", 2)


class Caller:
    """A browser, as it were."""

    def __init__(self) -> None:
        self.pc = RTCPeerConnection()
        self.pc.addTrack(AudioStreamTrack())
        self.channel = self.pc.createDataChannel("app")
        self.opened = asyncio.Event()
        self.hung_up = asyncio.Event()
        self.channel.on("open", self.opened.set)
        self.connection = SmallWebRTCConnection()
        self.transport = SmallWebRTCTransport(
            self.connection,
            TransportParams(
                audio_in_enabled=True, audio_out_enabled=True, audio_out_end_silence_secs=0
            ),
        )

    async def connects(self) -> None:
        """Connect, as the web request that starts a call does."""
        await self.pc.setLocalDescription(await self.pc.createOffer())
        offer = self.pc.localDescription
        # It continues the browser's trace.
        tracer.context_provider.activate(Context(trace_id=7, span_id=8))
        with tracer.trace("web.request"):
            await self.connection.initialize(sdp=offer.sdp, type=offer.type)
            answer = self.connection.get_answer()
            assert answer is not None
            await self.pc.setRemoteDescription(RTCSessionDescription(answer["sdp"], answer["type"]))
            # The request goes on for as long as the call, as where a bot is run in it.
            await self.hung_up.wait()
            logger.info("in the request")

    async def connected(self) -> None:
        async with asyncio.timeout(PATIENCE_SECS):
            await self.opened.wait()

    def says(self, message: dict[str, Any]) -> None:
        self.channel.send(json.dumps(message))

    def vanishes(self) -> None:
        """Be gone without a word: a browser whose network is cut."""
        for transceiver in self.pc.getTransceivers():
            connection = transceiver.sender.transport.transport._connection
            for protocol in connection._protocols:
                protocol.transport.close()


def events(span: Span) -> list[str]:
    return [s.resource for s in span.children if s.name == "pipecat.participant.event"]


@pytest.mark.parametrize("leaves", ["closes", "vanishes", "stays"])
async def test_the_peer_is_a_participant_from_connecting_to_disconnecting(
    agent: TestAgent, lines: Lines, leaves: str
) -> None:
    outside = contextvars.copy_context()  # older than the observer, as a web server's
    observer = DatadogObserver()
    caller, heard = Caller(), Heard()
    handled = ("on_client_connected", "on_app_message", "on_client_disconnected")
    heard.handle(caller.transport, *handled)
    async with bot_on(caller.transport, observer):
        request = asyncio.create_task(caller.connects(), context=outside)
        await heard.until("on_client_connected")
        await caller.connected()
        caller.says({"type": "greeting", "text": "hello"})
        await heard.until("on_app_message")
        if leaves == "closes":
            await caller.pc.close()
        elif leaves == "vanishes":
            caller.vanishes()
        if leaves != "stays":
            await heard.until("on_client_disconnected")
        caller.hung_up.set()
        await request
    await caller.pc.close()

    trace = agent.session(observer.session_id)
    trace.check()
    peer = trace.one("pipecat.participant")
    assert peer.resource == "SmallWebRTCTransport"
    assert peer["participant_id"] == caller.connection.pc_id
    assert peer["participant.leave_reason"] == (
        "session_end" if leaves == "stays" else "disconnected"
    )
    expected = list(handled if leaves != "stays" else handled[:2])
    assert events(peer) == expected
    message = trace.one("pipecat.participant.event", "on_app_message")
    assert message["message.kind"] == "greeting"
    for event in expected:
        line = lines.one(f"handling {event}")
        assert line["participant_id"] == caller.connection.pc_id
        assert line["session_id"] == observer.session_id
        assert line["dd.trace_id"] == trace.id
        assert line["dd.span_id"] == str(trace.one("pipecat.participant.event", event).id)
    # Tasks of the connection write these, which began before the session and are not its work.
    states = lines.saying("onnection state")
    assert states
    assert {line.get("session_id") for line in states} == {observer.session_id}
    assert lines.one("in the request")["dd.trace_id"] != trace.id
    assert not trace.named("web.request"), "the request's span is the request's"


async def test_who_connected_before_the_bot_ran_is_a_participant(agent: TestAgent) -> None:
    caller, heard = Caller(), Heard()
    heard.handle(caller.transport, "on_client_connected")
    outside = contextvars.copy_context()
    caller.hung_up.set()
    await asyncio.create_task(caller.connects(), context=outside)
    await caller.connected()
    observer = DatadogObserver()
    async with bot_on(caller.transport, observer):
        await heard.until("on_client_connected")
    await caller.pc.close()
    trace = agent.session(observer.session_id)
    trace.check()
    assert trace.one("pipecat.participant")["participant_id"] == caller.connection.pc_id


@needs_pipecat("1.8", "the runner gives no call")
async def test_the_number_of_a_whatsapp_call_is_hashed(agent: TestAgent) -> None:
    from pipecat.runner.types import SmallWebRTCRunnerArguments
    from pipecat.transports.whatsapp.api import WhatsAppConnectCall

    key, number = "a key for tests of sixteen bytes", "15550100123"
    told = {"id": "w", "from": number, "to": "15550199999", "event": "connect", "timestamp": "1"}
    session = {"sdp": "", "sdp_type": "offer"}
    call = WhatsAppConnectCall.model_validate({**told, "direction": "inbound", "session": session})

    async def bot(runner_args: SmallWebRTCRunnerArguments) -> DatadogObserver:
        return DatadogObserver(phone_hash_key=key)

    caller, heard = Caller(), Heard()
    heard.handle(caller.transport, "on_client_connected")
    observer = await bot(SmallWebRTCRunnerArguments(caller.connection, body=call))
    caller.hung_up.set()
    async with bot_on(caller.transport, observer):
        request = asyncio.create_task(caller.connects(), context=contextvars.Context())
        await heard.until("on_client_connected")
        await request
    await caller.pc.close()
    trace = agent.session(observer.session_id)
    peer = trace.one("pipecat.participant")
    assert peer["participant.phone_hash"] == PhoneNumbers(key.encode()).hash_of(number)
    assert "0100123" not in str([span.raw for span in trace.spans])

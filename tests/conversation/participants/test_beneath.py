"""What lies beneath a transport: a connection that fails, a microphone turned off, Genesys."""

import asyncio
import contextvars
import json
from typing import Any

import aioice.stun
import pytest
from aiortc import RTCPeerConnection
from aiortc.mediastreams import AudioStreamTrack
from websockets.asyncio.client import connect

from pipecat_dd import _pipecat
from tests.conversation.participants.running import PATIENCE_SECS, Heard, bot_on
from tests.conversation.participants.test_smallwebrtc import Caller, on_loopback  # noqa: F401
from tests.conversation.participants.test_websocket import CallOnFastAPI, serving
from tests.support.agent import TestAgent
from tests.support.shapes import watching
from tests.support.spans import Trace
from tests.support.versions import needs_pipecat

EVENT = "pipecat.participant.event"


def told(agent: TestAgent, observer: Any) -> Trace:
    trace = agent.session(observer.session_id)
    trace.check()
    return trace


async def happened(connection: Any, event: str) -> asyncio.Event:
    """Return what is set when a connection has dispatched an event."""
    seen = asyncio.Event()

    async def handler(*_: Any) -> None:
        seen.set()

    connection.add_event_handler(event, handler)
    return seen


async def test_a_microphone_that_the_user_turns_off_is_told(agent: TestAgent) -> None:
    outside = contextvars.copy_context()
    observer = watching()
    caller, heard = Caller(), Heard()
    heard.handle(caller.transport, "on_client_connected")
    if "track-status" not in _pipecat.all_events(caller.connection):
        pytest.skip("this version does not say so")
    seen = await happened(caller.connection, "track-status")
    async with bot_on(caller.transport, observer):
        request = asyncio.create_task(caller.connects(), context=outside)
        await heard.until("on_client_connected")
        await caller.connected()
        status = {"type": "trackStatus", "receiver_index": 0, "enabled": False}
        caller.says({"type": "signalling", "message": status})
        await asyncio.wait_for(seen.wait(), PATIENCE_SECS)
        caller.hung_up.set()
        await request
    await caller.pc.close()
    assert "_call_event_handler" not in vars(caller.connection), "nothing is left behind"

    trace = told(agent, observer)
    off = trace.one(EVENT, "track-status")
    assert off["event.detail"] == "microphone_off"
    assert off.parent is trace.one("pipecat.participant")
    assert not trace.named(EVENT, "connected"), "the transport says so"


async def test_a_connection_that_fails_is_told_as_an_error(
    agent: TestAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aioice.stun, "RETRY_MAX", 1)
    monkeypatch.setattr(aioice.stun, "RETRY_RTO", 0.05)
    observer = watching()
    caller = Caller()
    seen = await happened(caller.connection, "failed")
    nobody = RTCPeerConnection()
    nobody.addTrack(AudioStreamTrack())
    await nobody.setLocalDescription(await nobody.createOffer())
    offer = nobody.localDescription
    await nobody.close()
    async with bot_on(caller.transport, observer):
        await caller.connection.initialize(sdp=offer.sdp, type=offer.type)
        await asyncio.wait_for(seen.wait(), PATIENCE_SECS)
    failed = told(agent, observer).one(EVENT, "failed")
    assert failed.error
    assert failed["error.type"] == "ConnectionError"


@needs_pipecat("1.8", "no such serializer, or one without events")
async def test_what_genesys_says_of_a_call_is_told_and_not_whose_it_is(agent: TestAgent) -> None:
    genesys = pytest.importorskip("pipecat.serializers.genesys")
    serializer = genesys.GenesysAudioHookSerializer()
    call = CallOnFastAPI(serializer)
    seen = await happened(serializer, "on_close")
    caller = {"ani": "+15550100123", "aniName": "Maria"}
    messages: list[tuple[str, dict[str, Any]]] = [
        ("open", {"conversationId": "c-1", "participant": caller, "media": []}),
        ("pause", {"reason": "hold"}),
        ("ping", {}),
        ("error", {"code": 408, "message": "call +15550100123 again"}),
        ("close", {"reason": "end"}),
    ]
    async with serving(call) as served, connect(served.url) as client:
        await call.heard.until("on_client_connected")
        for number, (kind, parameters) in enumerate(messages, 1):
            message = {"version": "2", "type": kind, "seq": number, "id": "s-1"}
            await client.send(json.dumps({**message, "parameters": parameters}))
        await asyncio.wait_for(seen.wait(), PATIENCE_SECS)
        call.hang_up.set()
        await served.until_over()
    assert call.observer is not None
    trace = told(agent, call.observer)
    expected = ["on_open", "on_pause", "on_error", "on_close"]
    said = [span for span in trace.named(EVENT) if span.resource in expected]
    assert [span.resource for span in said] == expected
    assert [span.error for span in said] == [False, False, True, False]
    text = str([span.raw for span in trace.spans])
    assert "0100123" not in text
    assert "Maria" not in text
    assert "_call_event_handler" not in vars(serializer), "nothing is left behind"

"""Participants of a LiveKit room: the transport is real, the room's connection is not."""

import asyncio
import inspect
import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from livekit import rtc
from loguru import logger
from pipecat.frames.frames import TextFrame
from pipecat.transports.livekit.transport import (
    LiveKitParams,
    LiveKitTransport,
    LiveKitTransportClient,
)

from pipecat_dd import DatadogObserver, _guard, current_session
from tests.conversation.participants.running import PATIENCE_SECS, Heard, bot_on, from_thread
from tests.support.agent import TestAgent
from tests.support.lines import Lines
from tests.support.spans import Span


def somebody(identity: str, name: str = "", **more: Any) -> Any:
    """Return a participant as LiveKit's room holds one."""
    defaults = {"metadata": "", "attributes": {}, "track_publications": {}}
    sid = f"PA_{identity.encode().hex()}"
    return SimpleNamespace(identity=identity, sid=sid, name=name, **defaults | more)


HAS_IDENTITIES = "identity" in inspect.getsource(LiveKitTransportClient.get_participants)
"""Whether Pipecat calls participants by their identity, rather than by their `sid`."""


def id_of(participant: Any) -> str:
    return str(participant.identity if HAS_IDENTITIES else participant.sid)


MARIA = somebody("maria", "Maria", metadata=json.dumps({"role": "owner"}))
BOB = somebody("bob", "Bob", attributes={"role": "guest"})
CALLER = somebody(
    "sip_+15550100123", "+15550100123", attributes={"sip.phoneNumber": "+15550100123"}
)


class Room(rtc.Room):
    """LiveKit's room, connected to nothing."""

    already: tuple[Any, ...] = ()
    latest: "Room"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.there = {p.identity: p for p in self.already}
        Room.latest = self

    async def connect(self, *args: Any, **kwargs: Any) -> None:
        pass

    async def disconnect(self, *args: Any, **kwargs: Any) -> None:
        pass

    @property
    def local_participant(self) -> Any:
        async def publish_track(*args: Any) -> None:
            pass

        return SimpleNamespace(identity="bot", sid="PA_bot", publish_track=publish_track)

    @property
    def remote_participants(self) -> Any:
        return self.there

    async def happens(self, *events: tuple[Any, ...]) -> None:
        """Have the room emit events that come from LiveKit's own thread."""
        loop = asyncio.get_running_loop()

        def emit(name: str, *args: Any) -> None:
            if name == "participant_connected":
                self.there[args[0].identity] = args[0]
            elif name == "participant_disconnected":
                self.there.pop(args[0].identity)
            self.emit(name, *args)

        await from_thread(*(lambda e=e: loop.call_soon_threadsafe(emit, *e) for e in events))


@pytest.fixture(autouse=True)
def unconnected(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(rtc, "Room", Room)
    monkeypatch.setattr(Room, "already", ())
    return


def room() -> tuple[LiveKitTransport, Heard]:
    params = LiveKitParams(audio_out_enabled=True, audio_out_end_silence_secs=0)
    transport = LiveKitTransport("ws://127.0.0.1:1", "token", "room", params)
    heard = Heard()
    heard.handle(transport, "on_connected")
    return transport, heard


def events(span: Span) -> list[str]:
    return [s.resource for s in span.children if s.name == "pipecat.participant.event"]


async def test_a_room_that_is_not_there_yet_is_no_failure_of_ours(agent: TestAgent) -> None:
    before = _guard.instrumentation.failures
    transport, heard = room()
    async with bot_on(transport, DatadogObserver()):
        await heard.until("on_connected")
    assert _guard.instrumentation.failures == before


async def test_participants_are_there_from_connecting_to_disconnecting(
    agent: TestAgent, lines: Lines
) -> None:
    observer = DatadogObserver()
    transport, heard = room()
    handled = ("on_participant_connected", "on_participant_disconnected", "on_participant_left")
    heard.handle(transport, *handled)
    async with bot_on(transport, observer):
        await heard.until("on_connected")
        livekit = Room.latest
        await livekit.happens(("participant_connected", MARIA), ("participant_connected", BOB))
        await heard.until("on_participant_connected", 2)
        assert [p.id for p in current_session().participants] == [id_of(MARIA), id_of(BOB)]
        logger.info("with both")
        await livekit.happens(("participant_disconnected", MARIA))
        await heard.until("on_participant_left")
        logger.info("with Bob")
        await livekit.happens(("participant_connected", MARIA))
        await heard.until("on_participant_connected", 3)

    trace = agent.session(observer.session_id)
    trace.check()
    maria, bob, again = trace.named("pipecat.participant")
    assert maria.resource == "LiveKitTransport"
    assert (maria["participant.name"], maria["participant.role"]) == ("Maria", "owner")
    assert (bob["participant.name"], bob["participant.role"]) == ("Bob", "guest")
    reasons = [span["participant.leave_reason"] for span in (maria, bob, again)]
    assert reasons == ["disconnected", "session_end", "session_end"]
    assert again["participant_id"] == id_of(MARIA)
    assert set(events(maria)) - {"on_client_connected", "on_client_disconnected"} == {
        "on_participant_connected",
        "on_first_participant_joined",
        "on_participant_disconnected",
        "on_participant_left",
    }
    handling = lines.saying("handling on_participant_connected")
    whom = [id_of(MARIA), id_of(BOB), id_of(MARIA)]
    assert [line["participant_id"] for line in handling] == whom
    assert [line["participant"]["name"] for line in handling] == ["Maria", "Bob", "Maria"]
    for line in lines.saying("handling on_"):
        assert line["session_id"] == observer.session_id
        assert line["dd.trace_id"] == trace.id
        assert trace.by_id[int(line["dd.span_id"])].name == "pipecat.participant.event"
    assert "participant_id" not in lines.one("with both")
    assert lines.one("with Bob")["participant_id"] == id_of(BOB)


async def test_who_was_there_before_the_bot_is_there(
    agent: TestAgent, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Room, "already", (MARIA, BOB))
    observer = DatadogObserver()
    transport, heard = room()
    async with bot_on(transport, observer):
        await heard.until("on_connected")
    trace = agent.session(observer.session_id)
    trace.check()
    names = [span["participant.name"] for span in trace.named("pipecat.participant")]
    assert names == ["Maria", "Bob"]


async def test_an_observer_added_late_finds_who_is_there(
    agent: TestAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Room, "already", (MARIA,))
    transport, heard = room()
    heard.handle(transport, "on_data_received")
    async with bot_on(transport) as worker:
        await heard.until("on_connected")
        observer = DatadogObserver()
        worker.add_observer(observer)
        async with asyncio.timeout(PATIENCE_SECS):
            # Heard of with the next frame.
            while not current_session().participants:
                await transport.input().push_frame(TextFrame("any"))
                await asyncio.sleep(0)
        assert [p.name for p in current_session().participants] == ["Maria"]
    assert agent.session(observer.session_id).one("pipecat.participant")


async def test_messages_keys_and_speakers_are_told_of_the_one_they_come_from(
    agent: TestAgent, lines: Lines
) -> None:
    observer = DatadogObserver()
    transport, heard = room()
    if "on_active_speaker_changed" not in transport._event_handlers:
        pytest.skip("this Pipecat has none of these events")
    heard.handle(transport, "on_app_message", "on_dtmf_event", "on_active_speaker_changed")
    data = b'{"type": "chat", "text": "secret"}'
    async with bot_on(transport, observer):
        await heard.until("on_connected")
        livekit = Room.latest
        await livekit.happens(
            ("participant_connected", MARIA),
            ("participant_connected", BOB),
            ("data_received", SimpleNamespace(data=data, participant=BOB)),
            ("data_received", SimpleNamespace(data=data, participant=None)),
            ("sip_dtmf_received", SimpleNamespace(digit="1", code=1, participant=MARIA)),
            ("active_speakers_changed", [SimpleNamespace(identity="bot")]),
            ("active_speakers_changed", [MARIA]),
        )
        await heard.until("on_app_message", 2)
        await heard.until("on_dtmf_event")
        await heard.until("on_active_speaker_changed", 2)
    trace = agent.session(observer.session_id)
    trace.check()

    def whose(event: str) -> list[str | None]:
        lines_of = lines.saying(f"handling {event}")
        spans = [trace.by_id[int(line["dd.span_id"])] for line in lines_of]
        ids = [line.get("participant_id") for line in lines_of]
        assert [span.get("participant_id") for span in spans] == ids
        return ids

    assert whose("on_app_message") == ["bob", None]
    assert whose("on_dtmf_event") == ["maria"]
    assert whose("on_active_speaker_changed") == [None, "maria"], "the bot is no participant"
    data_spans = trace.named("pipecat.participant.event", "on_data_received")
    assert sum(span["event.count"] for span in data_spans) == 2
    assert {span["message.size_bytes"] for span in data_spans} <= {len(data), 2 * len(data)}
    assert "secret" not in str([span.raw for span in trace.spans])


@pytest.mark.parametrize("key", [None, "a key for telephone numbers"])
async def test_a_telephone_number_is_no_id(agent: TestAgent, lines: Lines, key: str | None) -> None:
    observer = DatadogObserver(phone_hash_key=key)
    transport, heard = room()
    heard.handle(transport, "on_participant_connected", "on_participant_disconnected")
    async with bot_on(transport, observer):
        await heard.until("on_connected")
        await Room.latest.happens(("participant_connected", CALLER))
        await heard.until("on_participant_connected")
        await Room.latest.happens(("participant_disconnected", CALLER))
        await heard.until("on_participant_disconnected")
    trace = agent.session(observer.session_id)
    trace.check()
    caller = trace.one("pipecat.participant")
    if HAS_IDENTITIES:
        assert caller["participant_id"].startswith("caller-")
    assert (caller.get("participant.phone_hash") is None) is (key is None)
    assert "0100123" not in str([span.raw for span in trace.spans])
    for line in lines.saying("handling on_participant"):
        assert line["participant"] == {"id": caller["participant_id"]}

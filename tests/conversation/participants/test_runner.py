"""What Pipecat's runner gives a bot: the session's id, and who is calling."""

import asyncio
import json
import uuid
from typing import Any

import pytest
from loguru import logger
from pipecat.runner.types import (
    DailyRunnerArguments,
    SmallWebRTCRunnerArguments,
    WebSocketRunnerArguments,
)
from websockets.asyncio.client import connect

from pipecat_dd import DatadogObserver
from pipecat_dd.conversation.telephone import PhoneNumbers
from tests.conversation.participants.daily import MARIA, DailyRoom
from tests.conversation.participants.running import PATIENCE_SECS, Heard, bot_on
from tests.conversation.participants.test_websocket import STARTS, serving
from tests.support.agent import TestAgent
from tests.support.lines import Lines
from tests.support.versions import needs_pipecat

PHONE_KEY = "a key for tests of sixteen bytes"
NUMBER = "+15550100123"
HASH = PhoneNumbers(PHONE_KEY.encode()).hash_of(NUMBER)

pytestmark = needs_pipecat("1.8", "the runner gives no session_id, and no call_data")


def given(**more: Any) -> Any:
    return SmallWebRTCRunnerArguments(webrtc_connection=None, **more)


async def run_bot(runner_args: Any, **options: Any) -> DatadogObserver:
    """Stand for a bot's inner function, which its `bot(runner_args)` calls."""
    return DatadogObserver(**options)


async def bot(runner_args: Any, **options: Any) -> DatadogObserver:
    await asyncio.sleep(0)
    return await run_bot(runner_args, **options)


async def test_the_runners_session_id_is_the_sessions() -> None:
    assert (await bot(given(session_id="call-7"))).session_id == "call-7"
    assert (await bot(given(session_id=" call-7\n"))).session_id == "call-7"
    assert (await bot(given(session_id="call-7"), session_id="mine")).session_id == "mine"
    with logger.contextualize(session_id="cloud-1"):
        assert (await bot(given(session_id="call-7"))).session_id == "cloud-1"


async def test_a_runner_that_gives_none_leaves_it_to_us() -> None:
    for nothing in (None, "", "  "):
        assert uuid.UUID((await bot(given(session_id=nothing))).session_id)
    assert uuid.UUID(DatadogObserver().session_id)


async def test_an_id_is_one_sessions() -> None:
    """Two observers that a bot makes for two conversations are two sessions."""

    async def twice(runner_args: Any) -> list[str]:
        return [DatadogObserver().session_id for _ in range(2)]

    first, second = await twice(given(session_id="call-7"))
    assert first == "call-7"
    assert uuid.UUID(second)


async def test_what_a_function_merely_holds_is_another_calls() -> None:
    async def host() -> str:
        arguments = given(session_id="another")
        waiting = [arguments, given(session_id="a third")]
        assert waiting
        return DatadogObserver().session_id

    assert uuid.UUID(await host())


async def test_the_innermost_is_the_calls_own() -> None:
    async def host(runner_args: Any) -> list[str]:
        """Serve a call with another's arguments at hand."""
        inner = [await bot(given(session_id=f"call-{number}")) for number in range(3)]
        return [observer.session_id for observer in inner]

    assert await host(given(session_id="host")) == ["call-0", "call-1", "call-2"]


async def test_a_task_that_is_given_nothing_has_nobodys() -> None:
    async def host(runner_args: Any) -> str:
        async def job() -> str:
            return DatadogObserver().session_id

        return await asyncio.create_task(job())

    assert uuid.UUID(await host(given(session_id="host")))


async def test_overlapping_calls_have_each_their_own(agent: TestAgent, lines: Lines) -> None:
    from pipecat.runner.utils import create_transport
    from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams

    observers: dict[str, DatadogObserver] = {}
    hang_up = asyncio.Event()
    heard = Heard()

    async def bot(runner_args: Any) -> None:
        params = {"exotel": lambda: FastAPIWebsocketParams(audio_in_enabled=True)}
        transport = await create_transport(runner_args, params)
        transport.input()  # as a bot does before it makes its observer
        await answer(transport, runner_args)

    async def answer(transport: Any, runner_args: Any) -> None:
        heard.handle(transport, "on_client_connected")
        observer = DatadogObserver(phone_hash_key=PHONE_KEY)
        observers[runner_args.session_id] = observer
        async with bot_on(transport, observer):
            logger.info(f"call {runner_args.session_id}")
            async with asyncio.timeout(PATIENCE_SECS):
                await hang_up.wait()

    def endpoint(websocket: Any) -> Any:
        return bot(WebSocketRunnerArguments(websocket=websocket, session_id=str(uuid.uuid4())))

    async with serving(endpoint) as served:
        clients = []
        for number in range(3):
            client = await connect(served.url)
            clients.append(client)
            start = json.dumps(STARTS["exotel"]).replace("exo-1", f"exo-{number}")
            await client.send(json.dumps({"event": "connected"}))
            await client.send(start.replace("0100123", f"010012{number}"))
            await heard.until("on_client_connected", number + 1)
        hang_up.set()
        await served.until_over()
        for client in clients:
            await client.close()
        for observer in observers.values():
            await asyncio.to_thread(agent.session, observer.session_id)

    hashes = set()
    for session_id, observer in observers.items():
        assert observer.session_id == session_id
        assert lines.one(f"call {session_id}")["session_id"] == session_id
        (caller,) = agent.session(session_id).named("pipecat.participant")
        hashes.add(caller["participant.phone_hash"])
    assert hashes == {
        PhoneNumbers(PHONE_KEY.encode()).hash_of(f"+1555010012{number}") for number in range(3)
    }


# Who dials in to a room


@pytest.mark.parametrize("says", ["event", "runner"])
@pytest.mark.parametrize("joins", ["before", "after"])
async def test_the_number_of_somebody_who_dials_in_is_hashed(
    agent: TestAgent, says: str, joins: str
) -> None:
    body = {"dialin_settings": {"call_id": "c", "call_domain": "d", "From": NUMBER}}
    runner_args = DailyRunnerArguments(room_url="https://example", body=body)
    if says == "event":
        runner_args = DailyRunnerArguments(room_url="https://example")
    observer = await bot(runner_args, phone_hash_key=PHONE_KEY)
    room, heard = DailyRoom(), Heard()
    heard.handle(room.transport, "on_participant_joined", "on_dialin_connected")
    data = {"sessionId": MARIA["id"]} | ({"sipFrom": NUMBER} if says == "event" else {})
    happens = [("on_participant_joined", MARIA), ("on_dialin_connected", data)]
    async with bot_on(room.transport, observer):
        await room.joined()
        await room.happens(*(happens if joins == "before" else reversed(happens)))
        await heard.until("on_participant_joined")
    trace = agent.session(observer.session_id)
    trace.check()
    (maria,) = trace.named("pipecat.participant")
    assert maria["participant.phone_hash"] == HASH
    assert "0100123" not in str([span.raw for span in trace.spans])

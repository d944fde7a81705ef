"""A network that stands still: what the caller hears of it, and what the kernel knows of it."""

import asyncio

import pytest

from tests.conversation.voice.calls import Line, fastapi, websocket_server
from tests.conversation.voice.test_gaps import agrees, speak
from tests.support.agent import TestAgent
from tests.support.playout import WebsocketCaller
from tests.support.stalling_voice import Say, stalling_voice

RATE = 16_000


@pytest.mark.parametrize("line", [websocket_server, fastapi])
async def test_a_caller_who_takes_nothing_for_a_while_hears_a_gap(
    agent: TestAgent, line: Line
) -> None:
    async with stalling_voice(Say(2.0, at_once=True)) as voice:
        async with line(voice.service(), audio_out_sample_rate=RATE) as call:
            await speak(call)
            await call.caller.hears(0.5)
            assert isinstance(call.caller, WebsocketCaller)
            await call.caller.stand_still(0.6)
            await call.caller.hears(2.0)

    heard = call.caller.gaps()
    print(heard, agent.session(call.observer.session_id).one("pipecat.bot_speech").tags)
    assert len(heard) == 1
    agrees(agent.session(call.observer.session_id), heard)

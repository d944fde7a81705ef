"""A network that stands still: what the caller hears of it, and what the kernel knows of it."""

import asyncio

import pytest

from tests.conversation.voice.calls import Call, Line, fastapi, websocket_server
from tests.conversation.voice.test_gaps import speak
from tests.support.agent import TestAgent
from tests.support.playout import WebsocketCaller
from tests.support.stalling_voice import Play, stalling_voice

RATE = 16_000
"""With this a piece is about as long as what the caller's kernel holds for it."""
PIECE_SECS = 0.04


async def test_a_caller_who_takes_nothing_for_a_while_hears_a_gap(agent: TestAgent) -> None:
    async def hold(line: Line) -> Call:
        async with (
            stalling_voice(Play(2.0, at_once=True)) as voice,
            line(voice.service(), audio_out_sample_rate=RATE, is_narrow=True) as call,
        ):
            await speak(call)
            await call.caller.hears(0.5)
            assert isinstance(call.caller, WebsocketCaller)
            await call.caller.stand_still(0.6)
            await call.caller.hears(1.9)
        return call

    for call in await asyncio.gather(hold(websocket_server), hold(fastapi)):
        (heard,) = call.caller.gaps(0.3)
        trace = agent.session(call.observer.session_id)
        # The caller's kernel takes a piece, or a part, that the caller has not read.
        close_secs = PIECE_SECS + call.caller.late_secs
        reported = trace.one("pipecat.bot_speech")["bot_speech.gap_seconds"]
        assert reported == pytest.approx(sum(call.caller.gaps()), abs=close_secs)
        assert reported >= heard - close_secs
        assert trace.one("pipecat.turn")["turn.voice_gap_seconds"] == pytest.approx(reported)

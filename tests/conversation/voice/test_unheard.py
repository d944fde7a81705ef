"""What was synthesized and the caller never heard, since they cut in or the call was cancelled."""

import asyncio
import time

import pytest
from pipecat.frames.frames import InterruptionFrame, TTSSpeakFrame

from tests.conversation.voice.calls import websocket_server
from tests.support.agent import TestAgent
from tests.support.stalling_voice import Play, stalling_voice

SECS = 3.0


@pytest.mark.parametrize("how", ["interrupted", "cancelled"])
async def test_what_a_cut_speech_left_unheard_is_what_was_synthesized_less_what_was_played(
    agent: TestAgent, how: str
) -> None:
    async with (
        stalling_voice(Play(SECS, at_once=True)) as voice,
        websocket_server(voice.service()) as call,
    ):
        await call.worker.queue_frame(TTSSpeakFrame("Your order has been sent."))
        await call.caller.hears(0.5)
        cut = time.monotonic()
        if how == "interrupted":
            await call.worker.queue_frame(InterruptionFrame())
            await asyncio.sleep(0.3)
        else:
            await call.worker.cancel()

    played = cut - call.caller.pieces[0].came
    close_secs = 0.05 + call.caller.late_secs
    trace = agent.session(call.observer.session_id)
    speech = trace.one("pipecat.bot_speech")
    assert speech["bot_speech.unheard_seconds"] == pytest.approx(SECS - played, abs=close_secs)
    heard = sum(piece.secs for piece in call.caller.pieces)
    assert speech["bot_speech.audio_seconds"] == pytest.approx(heard, abs=close_secs)


async def test_a_speech_that_was_played_to_its_end_left_nothing_unheard(agent: TestAgent) -> None:
    async with stalling_voice(Play(0.5)) as voice, websocket_server(voice.service()) as call:
        await call.worker.queue_frame(TTSSpeakFrame("Your order has been sent."))
        await call.caller.hears(0.4)
        await asyncio.sleep(0.2)

    trace = agent.session(call.observer.session_id)
    assert "bot_speech.unheard_seconds" not in trace.one("pipecat.bot_speech").tags

"""What was synthesized and the caller never heard, since they cut in or the call was cancelled."""

import asyncio
import time

import pytest
from pipecat.frames.frames import InterruptionFrame, TTSSpeakFrame

from tests.conversation.voice.calls import websocket_server
from tests.support.agent import TestAgent
from tests.support.stalling_voice import Play, Stall, stalling_voice
from tests.support.versions import needs_pipecat

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


def kept(text: str) -> TTSSpeakFrame:
    """Return what is said to its end, whatever the user does."""
    frame = TTSSpeakFrame(text)
    frame.interruptible = False
    return frame


@needs_pipecat("1.14", "speech that an interruption does not cut off")
async def test_what_the_bot_says_to_its_end_though_the_user_interrupts_was_heard(
    agent: TestAgent,
) -> None:
    plan = (Play(0.5), Stall(0.4), Play(0.5))
    async with stalling_voice(*plan) as voice, websocket_server(voice.service()) as call:
        await call.worker.queue_frame(kept("This call is recorded."))
        await call.caller.hears(0.2)
        await call.worker.queue_frame(InterruptionFrame())
        await call.caller.hears(0.9)
        await asyncio.sleep(0.2)

    trace = agent.session(call.observer.session_id)
    speech, (gap, *_) = trace.one("pipecat.bot_speech"), call.caller.gaps(0.2)
    assert speech["bot_speech.audio_seconds"] == pytest.approx(1.0, abs=0.1)
    close_secs = 0.05 + call.caller.late_secs
    assert speech["bot_speech.longest_gap_seconds"] == pytest.approx(gap, abs=close_secs)
    assert not {"bot_speech.unheard_seconds", "interrupted"} & speech.tags.keys()
    assert "interrupted" not in trace.one("pipecat.tts").tags
    assert trace.one("pipecat.session")["session.interruption_count"] == 0


@needs_pipecat("1.14", "speech that an interruption does not cut off")
async def test_what_is_said_to_its_end_after_what_the_user_cut_off_is_a_speech_of_its_own(
    agent: TestAgent,
) -> None:
    async with (
        stalling_voice(Play(1.0, at_once=True)) as voice,
        websocket_server(voice.service()) as call,
    ):
        await call.worker.queue_frame(TTSSpeakFrame("Your order has been sent."))
        await call.worker.queue_frame(kept("This call is recorded."))
        await call.caller.hears(0.4)
        await call.worker.queue_frame(InterruptionFrame())
        await call.caller.hears(1.3)
        await asyncio.sleep(0.2)

    trace = agent.session(call.observer.session_id)
    cut, whole = trace.named("pipecat.bot_speech")
    assert cut["interrupted"] == "true"
    assert whole["bot_speech.audio_seconds"] == pytest.approx(1.0, abs=0.1)
    assert whole.secs == pytest.approx(1.0, abs=0.1 + call.caller.late_secs)
    heard = sum(piece.secs for piece in call.caller.pieces)
    assert sum(s["bot_speech.audio_seconds"] for s in (cut, whole)) == pytest.approx(heard, abs=0.1)


async def test_a_speech_that_was_played_to_its_end_left_nothing_unheard(agent: TestAgent) -> None:
    async with stalling_voice(Play(0.5)) as voice, websocket_server(voice.service()) as call:
        await call.worker.queue_frame(TTSSpeakFrame("Your order has been sent."))
        await call.caller.hears(0.4)
        await asyncio.sleep(0.2)

    trace = agent.session(call.observer.session_id)
    assert "bot_speech.unheard_seconds" not in trace.one("pipecat.bot_speech").tags

"""Gaps in the bot's voice, held against what a caller at the other end of a transport hears."""

import asyncio
import time
from contextlib import AsyncExitStack

import numpy as np
import pytest
from pipecat.audio.mixers.base_audio_mixer import BaseAudioMixer
from pipecat.frames.frames import BotStoppedSpeakingFrame, MixerControlFrame, TTSSpeakFrame

from tests.conversation.participants.running import Heard, Listener
from tests.conversation.voice.calls import Call, Line, fastapi, twilio, webrtc, websocket_server
from tests.support.agent import TestAgent
from tests.support.playout import LOUD
from tests.support.spans import Span, Trace
from tests.support.stalling_voice import Hush, Say, Stall, Step, stalling_voice

CLOSE_SECS = 0.02
"""How close what is reported must be to what the caller hears."""

LINES = pytest.mark.parametrize("line", [websocket_server, twilio, webrtc])


async def speak(call: Call, text: str = "Your order has been sent.") -> None:
    await call.worker.queue_frame(TTSSpeakFrame(text))


def agrees(trace: Trace, heard: list[float]) -> Span:
    """Check that the one speech, its turn and the session report what the caller heard."""
    speech, turn = trace.one("pipecat.bot_speech"), trace.one("pipecat.turn")
    session = trace.one("pipecat.session")
    assert speech["bot_speech.gap_count"] == len(heard)
    assert speech["bot_speech.gap_seconds"] == pytest.approx(
        sum(heard), abs=CLOSE_SECS * len(heard)
    )
    assert session["session.bot_speech_count"] == 1
    if heard:
        longest = pytest.approx(max(heard), abs=CLOSE_SECS)
        assert speech["bot_speech.longest_gap_seconds"] == longest
        assert session["session.longest_voice_gap_seconds"] == longest
        for span, prefix in ((turn, "turn"), (session, "session")):
            assert span[f"{prefix}.voice_gap_count"] == len(heard)
            summed = pytest.approx(speech["bot_speech.gap_seconds"])
            assert span[f"{prefix}.voice_gap_seconds"] == summed
    else:
        assert not any("voice_gap" in name for name in {**turn.tags, **session.tags})
    return speech


@LINES
async def test_stalls_of_the_synthesis_are_the_gaps_that_the_caller_hears(
    agent: TestAgent, line: Line
) -> None:
    stalls = (0.15, 0.4, 0.9)
    plan: list[Step] = [Say(0.5)]
    for secs in stalls:
        plan += Stall(secs), Say(0.5)
    async with stalling_voice(*plan) as voice, line(voice.service()) as call:
        await speak(call)

    heard = call.caller.gaps()
    assert len(heard) == len(stalls)
    speech = agrees(agent.session(call.observer.session_id), heard)
    assert speech["bot_speech.audio_seconds"] == pytest.approx(2.0, abs=0.05)
    assert "bot_speech.unheard_seconds" not in speech.tags


async def test_a_stall_behind_queued_audio_and_silence_that_is_spoken_are_no_gap(
    agent: TestAgent,
) -> None:
    plan = (Say(1.0, at_once=True), Stall(0.15), Hush(0.5), Say(0.5))
    async with stalling_voice(*plan) as voice, websocket_server(voice.service()) as call:
        await speak(call)

    assert call.caller.gaps() == []
    agrees(agent.session(call.observer.session_id), [])


async def test_an_answer_that_stalls_for_longer_than_pipecat_waits_is_one_speech_with_one_gap(
    agent: TestAgent,
) -> None:
    stopped = Listener(BotStoppedSpeakingFrame, heard=Heard())
    plan = (Say(0.5), Stall(4.0), Say(0.5))
    async with stalling_voice(*plan) as voice:
        async with websocket_server(stopped, voice.service()) as call:
            await speak(call)
            await stopped.heard.until("BotStoppedSpeakingFrame", 2)  # Pipecat takes it for two

    heard = call.caller.gaps()
    assert len(heard) == 1
    trace = agent.session(call.observer.session_id)
    trace.check()
    speech = agrees(trace, heard)
    assert speech.secs == pytest.approx(1.0 + 4.0, abs=0.3)
    assert trace.one("pipecat.turn")["turn.outcome"] == "answered"


@pytest.mark.parametrize(
    "lines", [[websocket_server, websocket_server, fastapi, twilio, twilio], [webrtc]]
)
async def test_each_call_reports_what_its_caller_heard_of_a_blocked_loop(
    agent: TestAgent, lines: list[Line]
) -> None:
    async with stalling_voice(Say(1.5, at_once=True)) as voice, AsyncExitStack() as stack:
        calls = [await stack.enter_async_context(line(voice.service())) for line in lines]
        for call in calls:
            await speak(call)
        for call in calls:
            await call.caller.hears(0.3)
        time.sleep(0.3)

    for call in calls:
        heard = call.caller.gaps()
        assert len(heard) == 1
        agrees(agent.session(call.observer.session_id), heard)


async def test_two_things_that_the_bot_says_in_a_turn_have_no_gap_between_them(
    agent: TestAgent,
) -> None:
    stopped = Listener(BotStoppedSpeakingFrame, heard=Heard())
    async with stalling_voice(Say(0.5)) as voice:
        async with websocket_server(stopped, voice.service()) as call:
            await speak(call, "Let me have a look.")
            await stopped.heard.until("BotStoppedSpeakingFrame")
            await asyncio.sleep(0.3)  # a tool, say
            await speak(call)

    assert len(call.caller.gaps()) == 1  # silence, but no gap
    trace = agent.session(call.observer.session_id)
    assert [s["bot_speech.gap_count"] for s in trace.named("pipecat.bot_speech")] == [0, 0]
    assert "turn.voice_gap_count" not in trace.one("pipecat.turn").tags
    assert "session.voice_gap_count" not in trace.one("pipecat.session").tags


class Murmur(BaseAudioMixer):
    """An office in the background."""

    async def start(self, sample_rate: int) -> None:
        pass

    async def stop(self) -> None:
        pass

    async def process_frame(self, frame: MixerControlFrame) -> None:
        pass

    async def mix(self, audio: bytes) -> bytes:
        samples = np.frombuffer(audio, np.int16)
        return bytes((samples + 200).astype(np.int16).tobytes())


async def test_background_sound_does_not_fill_a_gap_in_the_voice(agent: TestAgent) -> None:
    plan = (Say(0.5), Stall(0.4), Say(0.5))
    async with stalling_voice(*plan) as voice:
        async with websocket_server(voice.service(), audio_out_mixer=Murmur()) as call:
            call.caller.floor = LOUD
            await asyncio.sleep(0.2)
            await speak(call)

    assert sum(piece.level < LOUD for piece in call.caller.pieces) > 10
    heard = call.caller.gaps()
    assert len(heard) == 1
    agrees(agent.session(call.observer.session_id), heard)

"""Gaps in the bot's voice, held against what a caller at the other end of a transport hears."""

import asyncio
import time
from contextlib import AsyncExitStack
from typing import Any

import numpy as np
import pytest
from pipecat.audio.mixers.base_audio_mixer import BaseAudioMixer
from pipecat.frames.frames import (
    BotStoppedSpeakingFrame,
    LLMContextFrame,
    MixerControlFrame,
    TTSSpeakFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.services.cartesia.tts import CartesiaTTSService
from pipecat.services.openai.llm import OpenAILLMService

from pipecat_dd.cli.demo.provider import Answer, Delays, Provider, Say
from pipecat_dd.conversation.playout import MAX_PLACED_GAPS
from tests.conversation.participants.running import Heard, Listener
from tests.conversation.voice.calls import Call, Line, fastapi, twilio, webrtc, websocket_server
from tests.support.agent import TestAgent
from tests.support.cartesia import CartesiaServer
from tests.support.playout import LOUD, MIN_GAP_SECS, Caller
from tests.support.spans import Span, Trace
from tests.support.stalling_voice import Hush, Play, Stall, Step, stalling_voice
from tests.support.versions import needs_pipecat

CLOSE_SECS = 0.02
"""How close what is reported must be to what the caller hears."""


async def speak(call: Call, text: str = "Your order has been sent.") -> None:
    await call.worker.queue_frame(TTSSpeakFrame(text))


def agrees(trace: Trace, caller: Caller) -> Span:
    """Check that the one speech, its turn and the session report what the caller heard.

    On a busy machine there are more gaps than a test means to make, some of them at the limit of
    what is reported.
    """
    close_secs = CLOSE_SECS + caller.late_secs + caller.blur_secs
    surely = caller.gaps(MIN_GAP_SECS + close_secs)
    maybe = caller.gaps(MIN_GAP_SECS - CLOSE_SECS, adds_up=True)
    speech, turn = trace.one("pipecat.bot_speech"), trace.one("pipecat.turn")
    session = trace.one("pipecat.session")
    count, secs = speech["bot_speech.gap_count"], speech["bot_speech.gap_seconds"]
    assert len(surely) <= count <= len(maybe)
    assert sum(surely) - close_secs * count <= secs <= sum(maybe) + close_secs * count
    assert session["session.bot_speech_count"] == 1
    if count:
        longest = pytest.approx(max(maybe), abs=close_secs)
        assert speech["bot_speech.longest_gap_seconds"] == longest
        places = [place.split("+") for place in str(speech["bot_speech.gaps"]).split()]
        assert len(places) == min(count, MAX_PLACED_GAPS)
        assert sum(float(length) for _, length in places) == pytest.approx(secs, abs=0.01)
        assert session["session.longest_voice_gap_seconds"] == longest
        for span, prefix in ((turn, "turn"), (session, "session")):
            assert span[f"{prefix}.voice_gap_count"] == count
            assert span[f"{prefix}.voice_gap_seconds"] == pytest.approx(secs)
    else:
        assert not any("voice_gap" in name for name in {**turn.tags, **session.tags})
    return speech


def longest_gap(trace: Trace) -> float:
    """Return the longest gap that any speech of a session reports."""
    speeches = trace.named("pipecat.bot_speech")
    return max(float(s.tags.get("bot_speech.longest_gap_seconds", 0.0)) for s in speeches)


async def test_stalls_of_the_synthesis_are_the_gaps_that_the_caller_hears(
    agent: TestAgent,
) -> None:
    stalls = (0.15, 0.4, 0.9)
    plan: list[Step] = [Play(0.5)]
    for secs in stalls:
        plan += Stall(secs), Play(0.5)

    async def hold(line: Line) -> Call:
        async with stalling_voice(*plan) as voice, line(voice.service()) as call:
            await speak(call)
            await call.caller.hears(1.5)
        return call

    lines = (websocket_server, fastapi, twilio, webrtc)
    for call in await asyncio.gather(*map(hold, lines)):
        assert (
            len(call.caller.gaps(0.1)) >= len(stalls) - 1
        )  # the first may be hidden by one before
        speech = agrees(agent.session(call.observer.session_id), call.caller)
        voice_secs = call.caller.voice_secs()
        assert speech["bot_speech.audio_seconds"] == pytest.approx(voice_secs, abs=0.25)
        assert "bot_speech.unheard_seconds" not in speech.tags
        starts = [float(place.split("+")[0]) for place in str(speech["bot_speech.gaps"]).split()]
        if len(starts) == len(stalls):  # the machine made none of its own
            assert starts == pytest.approx([0.5, 1.15, 2.05], abs=0.2 + call.caller.late_secs)


async def test_a_stall_behind_queued_audio_and_silence_that_is_spoken_are_no_gap(
    agent: TestAgent,
) -> None:
    plan = (Play(1.0, at_once=True), Stall(0.15), Hush(0.5), Play(0.5))
    async with stalling_voice(*plan) as voice, websocket_server(voice.service()) as call:
        await speak(call)
        await call.caller.hears(1.9)

    agrees(agent.session(call.observer.session_id), call.caller)


async def test_an_answer_that_stalls_for_longer_than_pipecat_waits_is_one_speech_with_one_gap(
    agent: TestAgent,
) -> None:
    stopped = Listener(BotStoppedSpeakingFrame, heard=Heard())
    plan = (Play(0.5), Stall(4.0), Play(0.5))
    async with stalling_voice(*plan) as voice, websocket_server(stopped, voice.service()) as call:
        await speak(call)
        await stopped.heard.until("BotStoppedSpeakingFrame", 2)  # Pipecat takes it for two

    assert max(call.caller.gaps()) > 3.5
    trace = agent.session(call.observer.session_id)
    trace.check()
    speech = agrees(trace, call.caller)
    assert speech.secs == pytest.approx(1.0 + 4.0, abs=0.3)
    assert trace.one("pipecat.turn")["turn.outcome"] == "answered"


@pytest.mark.parametrize(
    "lines", [[websocket_server, websocket_server, fastapi, twilio, twilio], [webrtc]]
)
async def test_each_call_reports_what_its_caller_heard_of_a_blocked_loop(
    agent: TestAgent, lines: list[Line]
) -> None:
    async with stalling_voice(Play(1.5, at_once=True)) as voice, AsyncExitStack() as stack:
        calls = [await stack.enter_async_context(line(voice.service())) for line in lines]
        for call in calls:
            await speak(call)
        for call in calls:
            await call.caller.hears(0.3)
        time.sleep(0.3)  # noqa: ASYNC251 - that is what is heard

    for call in calls:
        assert max(call.caller.gaps()) > 0.2
        agrees(agent.session(call.observer.session_id), call.caller)


async def test_two_things_that_the_bot_says_in_a_turn_have_no_gap_between_them(
    agent: TestAgent,
) -> None:
    stopped = Listener(BotStoppedSpeakingFrame, heard=Heard())
    async with (
        stalling_voice(Play(0.5)) as voice,
        websocket_server(stopped, voice.service()) as call,
    ):
        await speak(call, "Let me have a look.")
        await stopped.heard.until("BotStoppedSpeakingFrame")
        await asyncio.sleep(0.3)  # a tool, say
        await speak(call)
        await call.caller.hears(0.9)

    between = max(call.caller.gaps())
    assert between > 0.3  # it is silent, but that is no gap
    trace = agent.session(call.observer.session_id)
    assert len(trace.named("pipecat.bot_speech")) == 2
    assert longest_gap(trace) < between - CLOSE_SECS - call.caller.late_secs


async def test_text_that_a_model_writes_late_is_a_gap_and_its_next_answer_is_none(
    agent: TestAgent,
) -> None:
    stopped = Listener(BotStoppedSpeakingFrame, heard=Heard())
    slow = Delays(0.0, 0.0, token_secs=0.3, first_audio_secs=0.0)

    def answers(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> Answer:
        return Say("Yes. It has been sent.")

    async with Provider(answers, delays=slow) as provider:
        llm = OpenAILLMService(
            api_key="any",
            base_url=provider.url,
            settings=OpenAILLMService.Settings(model="gpt-4.1"),
        )
        async with (
            stalling_voice(Play(0.5)) as voice,
            websocket_server(stopped, llm, voice.service()) as call,
        ):
            for answered in (1, 2):
                context = LLMContext([{"role": "user", "content": "Has it been sent?"}])
                await call.worker.queue_frame(LLMContextFrame(context))
                await stopped.heard.until("BotStoppedSpeakingFrame", answered)

    # In the first answer, between the two, and in the second.
    first, between, second = call.caller.gaps(0.25)
    close_secs = CLOSE_SECS + call.caller.late_secs
    trace = agent.session(call.observer.session_id)
    speeches = trace.named("pipecat.bot_speech")
    for speech, heard in zip(speeches, (first, second), strict=True):
        assert speech["bot_speech.longest_gap_seconds"] == pytest.approx(heard, abs=close_secs)
    assert between > 0.25
    # The synthesis waits for the text: only the model's span shows that it is not to blame.
    for speech, llm in zip(speeches, trace.named("pipecat.llm"), strict=True):
        into_secs = float(str(speech["bot_speech.gaps"]).split("+")[0])
        assert speech.start_ns + into_secs * 1e9 < llm.end_ns
    turn = trace.one("pipecat.turn")
    summed = [speech["bot_speech.gap_seconds"] for speech in speeches]
    assert turn["turn.voice_gap_seconds"] == pytest.approx(sum(summed))


@needs_pipecat("1.8", "the service asks for another path")
async def test_a_service_on_a_websocket_that_stalls_is_heard_as_well(agent: TestAgent) -> None:
    async with CartesiaServer() as provider:
        provider.stall_secs = 0.6
        service = CartesiaTTSService(
            api_key="any", url=provider.url, settings=CartesiaTTSService.Settings(voice="any")
        )
        async with websocket_server(service) as call:
            await speak(call)
            await call.caller.hears(1.0)

    assert call.caller.gaps()
    agrees(agent.session(call.observer.session_id), call.caller)


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
    plan = (Play(0.5), Stall(0.4), Play(0.5))
    async with (
        stalling_voice(*plan) as voice,
        websocket_server(voice.service(), audio_out_mixer=Murmur()) as call,
    ):
        call.caller.floor = LOUD
        await asyncio.sleep(0.2)
        await speak(call)
        await call.caller.hears(0.9)

    assert sum(piece.level < LOUD for piece in call.caller.pieces) > 5
    assert call.caller.gaps()
    agrees(agent.session(call.observer.session_id), call.caller)

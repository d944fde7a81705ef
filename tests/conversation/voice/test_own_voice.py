"""The gaps of a voice that is no service of Pipecat's: a processor of the user's synthesizes."""

import asyncio
from collections.abc import Sequence

import pytest
from pipecat.frames.frames import (
    BotStoppedSpeakingFrame,
    Frame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from tests.conversation.participants.running import Heard, Listener
from tests.conversation.voice.calls import websocket_server
from tests.conversation.voice.test_gaps import agrees, speak
from tests.support.agent import TestAgent
from tests.support.stalling_voice import PIECE_SECS, SPEECH_RATE, Play, Stall, tone


class OwnVoice(FrameProcessor):
    """Speaks each text by a plan."""

    def __init__(self, *plan: Play | Stall) -> None:
        super().__init__()
        self._plan: Sequence[Play | Stall] = plan

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if not isinstance(frame, TTSSpeakFrame):
            await self.push_frame(frame, direction)
            return
        await self.push_frame(TTSStartedFrame())
        for step in self._plan:
            if isinstance(step, Stall):
                await asyncio.sleep(step.secs)
                continue
            for _ in range(round(step.secs / PIECE_SECS)):
                piece = tone(PIECE_SECS)
                await self.push_frame(
                    TTSAudioRawFrame(audio=piece, sample_rate=SPEECH_RATE, num_channels=1)
                )
        await self.push_frame(TTSStoppedFrame())


async def test_a_voice_of_the_users_own_that_stalls_has_the_gaps_that_the_caller_hears(
    agent: TestAgent,
) -> None:
    # It stalls once all has played, and once right before its end.
    voice = OwnVoice(Play(0.4), Stall(0.9), Play(0.4), Stall(0.8), Play(0.2))
    async with websocket_server(voice) as call:
        await speak(call)
        await call.caller.hears(0.95)

    assert len(call.caller.gaps(0.2)) == 2
    agrees(agent.session(call.observer.session_id), call.caller)


async def test_what_it_says_next_has_no_gap_before_it(agent: TestAgent) -> None:
    stopped = Listener(BotStoppedSpeakingFrame, heard=Heard())
    async with websocket_server(stopped, OwnVoice(Play(0.4))) as call:
        for said in (1, 2):
            await speak(call)
            await stopped.heard.until("BotStoppedSpeakingFrame", said)
            await asyncio.sleep(0.3)

    assert max(call.caller.gaps()) > 0.25
    speeches = agent.session(call.observer.session_id).named("pipecat.bot_speech")
    assert len(speeches) == 2
    for speech in speeches:
        longest = float(speech.tags.get("bot_speech.longest_gap_seconds", 0.0))
        assert longest < 0.25
        assert speech["bot_speech.audio_seconds"] == pytest.approx(0.4, abs=0.05)

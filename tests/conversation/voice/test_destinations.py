"""A bot that speaks to several destinations at once, such as one for each language."""

import asyncio

import pytest
from pipecat.frames.frames import (
    Frame,
    OutputAudioRawFrame,
    StartFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import TransportParams

from pipecat_dd import DatadogObserver
from tests.conversation.participants.running import bot_on
from tests.support.agent import TestAgent
from tests.support.stalling_voice import PIECE_SECS, SPEECH_RATE, tone

DESTINATIONS = ["en", "es"]


class Interpreter(FrameProcessor):
    """Says the same in two languages, of which one takes longer."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, TTSSpeakFrame):
            await asyncio.gather(self._say("en", 2.0), self._say("es", 0.4, 0.4))
        else:
            await self.push_frame(frame, direction)

    async def _say(self, destination: str, *utterances: float) -> None:
        for secs in utterances:
            await self._push(TTSStartedFrame(), destination)
            for _ in range(round(secs / PIECE_SECS)):
                await self._push(TTSAudioRawFrame(tone(PIECE_SECS), SPEECH_RATE, 1), destination)
            await self._push(TTSStoppedFrame(), destination)
            await asyncio.sleep(1.0)

    async def _push(self, frame: Frame, destination: str) -> None:
        frame.transport_destination = destination
        await self.push_frame(frame)


class Room(BaseOutputTransport):
    """Plays each destination's audio at the pace of speech."""

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        await asyncio.sleep(frame.num_frames / frame.sample_rate)
        return True


class Transport:
    """Holds what a pipeline takes of a transport."""

    def __init__(self) -> None:
        self._output = Room(
            TransportParams(
                audio_out_enabled=True,
                audio_out_destinations=DESTINATIONS,
                audio_out_end_silence_secs=0,
            )
        )

    def input(self) -> FrameProcessor:
        return Interpreter()

    def output(self) -> FrameProcessor:
        return self._output


async def test_a_bot_speaks_until_the_last_of_its_destinations_has_fallen_silent(
    agent: TestAgent,
) -> None:
    observer = DatadogObserver()
    async with bot_on(Transport(), observer) as worker:
        await worker.queue_frame(TTSSpeakFrame("Your order has been sent."))
        await asyncio.sleep(2.6)

    trace = agent.session(observer.session_id)
    session = trace.one("pipecat.session")
    assert session["session.bot_speech_count"] == 1
    assert session["session.bot_speech_seconds"] == pytest.approx(2.0, abs=0.3)
    assert trace.one("pipecat.bot_speech").secs == pytest.approx(2.0, abs=0.3)
    # It is not known which of their pauses are gaps.
    assert "session.voice_gap_count" not in session.tags
    assert "bot_speech.gap_count" not in trace.one("pipecat.bot_speech").tags

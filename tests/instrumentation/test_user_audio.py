"""The user's audio on real transports: recorded speech, at a microphone's pace, that stalls."""

import asyncio
import fractions
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import aioice.ice
import numpy as np
import pytest
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription
from av import AudioFrame
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.audio.vad.vad_analyzer import VADParams
from pipecat.frames.frames import (
    Frame,
    OutputAudioRawFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.serializers.protobuf import ProtobufFrameSerializer
from pipecat.transports.base_transport import TransportParams
from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection
from pipecat.transports.smallwebrtc.transport import SmallWebRTCTransport
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies
from websockets.asyncio.client import connect

from pipecat_dd import DatadogObserver
from pipecat_dd.cli.demo.versions import (
    SingleClientWebsocketServerParams,
    SingleClientWebsocketServerTransport,
)
from pipecat_dd.cli.demo.voice import MICROPHONE_RATE, user_says
from pipecat_dd.conversation import missing_audio
from tests.conversation.participants.running import PATIENCE_SECS, Heard, bot_on
from tests.support.agent import TestAgent
from tests.support.lines import written_lines
from tests.support.ports import free_port
from tests.support.spans import Span

PIECE_SECS = 0.02
PIECE_BYTES = int(MICROPHONE_RATE * PIECE_SECS) * 2
QUIET_SECS = 0.4
SPEECH = user_says("What is the weather in Paris right now?")
CUT_AT_SECS = 0.7
"""How far into the speech it is cut."""
CLOSE_SECS = 0.02
"""How close to the sender's cut the gap must be, on a machine that is in time."""
BUSY_SECS = 0.01
"""How late a piece is on a machine that is so busy that it may make gaps of its own."""


@dataclass
class Microphone:
    """Paced speech, with silence before and after, that stalls once.

    Attributes:
        cut_secs: How long it stalls.
        is_lost: Whether what was said meanwhile is never sent; otherwise it comes late, at once.
        loudness: What its samples are multiplied by.
        silences: How often the detector reports silence.
        pcm: What is said.
        late_secs: By how much the machine was late with a piece, at the most.
        stalled_secs: How long it did stall, by the sender's clock.
    """

    cut_secs: float = 0.0
    is_lost: bool = True
    loudness: float = 1.0
    silences: int = 1
    pcm: bytes = SPEECH
    late_secs: float = 0.0
    stalled_secs: float = 0.0
    pieces: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        samples = np.frombuffer(self.pcm, "<i2").astype(np.float64) * self.loudness
        loud = np.clip(samples, -32_768, 32_767).astype("<i2").tobytes()
        quiet = b"\0" * int(QUIET_SECS / PIECE_SECS) * PIECE_BYTES
        pcm = quiet + loud + quiet * 2
        self.pieces = [
            pcm[at : at + PIECE_BYTES].ljust(PIECE_BYTES, b"\0")
            for at in range(0, len(pcm), PIECE_BYTES)
        ]
        self._began = 0.0
        self._next = 0
        self._last = 0.0
        self._due = 0.0

    @property
    def is_in_time(self) -> bool:
        """Whether the machine was not so busy that it may have made gaps of its own."""
        return self.late_secs < BUSY_SECS

    @property
    def close_secs(self) -> float:
        """How close to the cut the gap must be."""
        return CLOSE_SECS if self.is_in_time else CLOSE_SECS + 5 * self.late_secs

    async def piece(self) -> bytes | None:
        """Return the next piece when it is due; None at the end."""
        now = asyncio.get_running_loop().time
        cut_at = int((QUIET_SECS + CUT_AT_SECS) / PIECE_SECS)
        stalled = int(self.cut_secs / PIECE_SECS)
        if not self._began:
            self._began = now()
        index = self._next
        if index == cut_at and stalled:
            await self._until(index + stalled)
            if self.is_lost:
                index += stalled
            self.stalled_secs = now() - self._last - PIECE_SECS
        else:
            await self._until(index)
        if index >= len(self.pieces):
            return None
        self._next, self._last = index + 1, now()
        return self.pieces[index]

    async def _until(self, index: int) -> None:
        """Wait until a piece is due, or at once while catching up."""
        now = asyncio.get_running_loop().time
        self._due = max(self._due, self._began + index * PIECE_SECS)
        await asyncio.sleep(self._due - now())
        self.late_secs = max(self.late_secs, now() - self._due)


class Ears(FrameProcessor):
    """Lets a test wait until the detector has reported the end of speech."""

    def __init__(self) -> None:
        super().__init__()
        self.heard = Heard()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, VADUserStoppedSpeakingFrame):
            self.heard.note("silence")
        await self.push_frame(frame, direction)


def detecting(ears: Ears) -> list[FrameProcessor]:
    pair = LLMContextAggregatorPair(
        LLMContext(),
        user_params=LLMUserAggregatorParams(
            vad_analyzer=SileroVADAnalyzer(params=VADParams(stop_secs=0.4)),
            user_turn_strategies=UserTurnStrategies(
                stop=[SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=0.2)]
            ),
        ),
    )
    return [pair.user(), ears]


def serving(**params: Any) -> tuple[Any, str]:
    port = free_port()
    transport = SingleClientWebsocketServerTransport(
        SingleClientWebsocketServerParams(serializer=ProtobufFrameSerializer(), **params),
        host="127.0.0.1",
        port=port,
    )
    return transport, f"ws://127.0.0.1:{port}"


async def send_all(microphone: Microphone, url: str, at_once: int = 1) -> None:
    """Say everything, and stay until all of it must have been read.

    Args:
        microphone: What is said.
        url: The bot's.
        at_once: How many of its pieces are sent as one.
    """
    held: list[bytes] = []
    async with connect(url) as client:
        while (piece := await microphone.piece()) is not None:
            held.append(piece)
            if len(held) < at_once:
                continue
            piece, held = b"".join(held), []
            # Pipecat serializes what a transport sends, and reads the same as input.
            message = await ProtobufFrameSerializer().serialize(
                OutputAudioRawFrame(piece, MICROPHONE_RATE, 1)
            )
            assert message is not None
            await client.send(message)
        await asyncio.sleep(PIECE_SECS)


async def over_websocket(
    microphone: Microphone,
    observer: DatadogObserver,
    speak: Callable[[Microphone, str], Awaitable[None]] = send_all,
) -> None:
    transport, url = serving(audio_in_enabled=True)
    ears, heard = Ears(), Heard()
    heard.handle(transport, "on_websocket_ready")
    async with bot_on(transport, observer, processors=detecting(ears)):
        await heard.until("on_websocket_ready")
        await speak(microphone, url)
        await ears.heard.until("silence", microphone.silences)
        assert "push_audio_frame" in vars(transport.input())
    assert "push_audio_frame" not in vars(transport.input()), "put back as it was"


class Track(MediaStreamTrack):
    """What a browser's microphone gives a peer connection."""

    kind = "audio"

    def __init__(self, microphone: Microphone) -> None:
        super().__init__()
        self._microphone = microphone
        self._sent = 0
        self.over = asyncio.Event()

    async def recv(self) -> AudioFrame:
        piece = await self._microphone.piece()
        if piece is None:
            self.over.set()
            await asyncio.Event().wait()
        samples = np.frombuffer(piece, "<i2").reshape(1, -1)
        frame = AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate = MICROPHONE_RATE
        frame.pts = self._sent
        frame.time_base = fractions.Fraction(1, MICROPHONE_RATE)
        self._sent += samples.shape[1]
        return frame


async def over_webrtc(microphone: Microphone, observer: DatadogObserver) -> None:
    connection = SmallWebRTCConnection()
    transport = SmallWebRTCTransport(connection, TransportParams(audio_in_enabled=True))
    peer, ears, heard = RTCPeerConnection(), Ears(), Heard()
    track = Track(microphone)
    heard.handle(transport, "on_client_connected")
    async with bot_on(transport, observer, processors=detecting(ears)):
        peer.addTrack(track)
        await peer.setLocalDescription(await peer.createOffer())
        offer = peer.localDescription
        await connection.initialize(sdp=offer.sdp, type=offer.type)
        answer = connection.get_answer()
        assert answer is not None
        await peer.setRemoteDescription(RTCSessionDescription(answer["sdp"], answer["type"]))
        async with asyncio.timeout(PATIENCE_SECS):
            await track.over.wait()
        await ears.heard.until("silence")
    await peer.close()


async def hold(
    agent: TestAgent,
    call: Callable[[Microphone, DatadogObserver], Awaitable[None]],
    *microphones: Microphone,
) -> list[list[Span]]:
    """Hold a call by each microphone, at the same time; return the speech of each."""
    observers = [DatadogObserver() for _ in microphones]
    await asyncio.gather(*map(call, microphones, observers))
    traces = [agent.session(observer.session_id) for observer in observers]
    for trace in traces:
        trace.check()
    return [trace.named("pipecat.user_speech") for trace in traces]


def check_cut(speech: Span, microphone: Microphone) -> None:
    assert speech["user_audio.longest_gap_seconds"] == pytest.approx(
        microphone.stalled_secs, abs=microphone.close_secs
    )
    if microphone.is_in_time:
        assert speech["user_audio.gap_count"] == 1
        assert speech["user_audio.gap_seconds"] == speech["user_audio.longest_gap_seconds"]


async def test_over_a_websocket_a_gap_is_as_long_as_the_senders_cut(agent: TestAgent) -> None:
    cut = [Microphone(secs, is_lost) for secs in (0.4, 0.9) for is_lost in (True, False)]
    # Without audio for a second, Pipecat ends the speech.
    ended = Microphone(1.5, is_lost=False, silences=2)
    whole, loud = Microphone(), Microphone(loudness=30.0)
    found = await hold(agent, over_websocket, *cut, ended, whole, loud)
    for (speech,), microphone in zip(found, cut, strict=False):
        check_cut(speech, microphone)

    *_, (first, *others), (speech,), (shouted,) = found
    check_cut(first, ended)
    if ended.is_in_time:
        assert [speech["user_audio.gap_count"] for speech in others] == [0]
    if whole.is_in_time:
        assert speech["user_audio.gap_count"] == 0
    assert -35 < speech["user_audio.level_dbfs"] < -10 < shouted["user_audio.level_dbfs"]
    assert speech["user_audio.clipped_fraction"] == 0
    assert 0.05 < shouted["user_audio.clipped_fraction"] < 1


async def test_the_level_is_that_of_the_speech_however_short_and_in_whatever_pieces_it_comes(
    agent: TestAgent,
) -> None:
    """Not that of the silence in which the detector waits, which is as long as a short word."""
    word = SPEECH[int(MICROPHONE_RATE * 0.4) * 2 : int(MICROPHONE_RATE * 1.3) * 2]  # no pause in it
    samples = np.frombuffer(word, "<i2").astype(np.float64) / 32_768
    level = 10 * np.log10(samples @ samples / len(samples))
    microphones = [Microphone(pcm=word) for _ in range(3)]

    def sending(at_once: int) -> Callable[[Microphone, str], Awaitable[None]]:
        return lambda microphone, url: send_all(microphone, url, at_once)

    observers = [DatadogObserver() for _ in microphones]
    await asyncio.gather(
        *(
            over_websocket(microphone, observer, sending(at_once))
            for microphone, observer, at_once in zip(microphones, observers, (1, 3, 5), strict=True)
        )
    )
    for observer in observers:
        speech = agent.session(observer.session_id).one("pipecat.user_speech")
        assert speech["user_audio.level_dbfs"] == pytest.approx(level, abs=8)


async def test_over_webrtc_a_gap_is_as_long_as_the_senders_cut(
    agent: TestAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"])
    cut = [Microphone(0.4), Microphone(0.9, is_lost=False)]
    whole = Microphone()
    *found, (speech,) = await hold(agent, over_webrtc, *cut, whole)
    for (interrupted,), microphone in zip(found, cut, strict=True):
        check_cut(interrupted, microphone)
    if whole.is_in_time:
        assert speech["user_audio.gap_count"] == 0
    assert -35 < speech["user_audio.level_dbfs"] < -10


async def test_audio_that_a_blocked_loop_did_not_read_was_not_late(agent: TestAgent) -> None:
    """The sender, in a thread of its own, goes on; all that it sent meanwhile comes at once."""
    observer = DatadogObserver()

    async def speak(microphone: Microphone, url: str) -> None:
        sending = asyncio.create_task(
            asyncio.to_thread(lambda: asyncio.run(send_all(microphone, url)))
        )
        await asyncio.sleep(QUIET_SECS + CUT_AT_SECS)
        time.sleep(0.5)  # noqa: ASYNC251 - what nobody should do
        await sending

    await over_websocket(Microphone(), observer, speak)
    trace = agent.session(observer.session_id)
    blocked_secs = trace.one("pipecat.session")["session.longest_blocked_seconds"]
    assert blocked_secs == pytest.approx(0.5, abs=0.1)
    longest = trace.one("pipecat.user_speech").tags.get("user_audio.longest_gap_seconds", 0)
    assert float(longest) < 0.35  # a busy machine may make other gaps


async def test_a_participant_without_audio_is_one_warning_and_one_event(
    agent: TestAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(missing_audio, "MISSING_NS", 200_000_000)
    observer = DatadogObserver()
    transport, url = serving(audio_in_enabled=True)
    heard = Heard()
    heard.handle(transport, "on_websocket_ready", "on_client_connected")
    with written_lines() as lines:
        async with bot_on(transport, observer, processors=detecting(Ears())):
            await heard.until("on_websocket_ready")
            async with connect(url):
                await heard.until("on_client_connected")
                await asyncio.sleep(1.0)
    line = lines.one("no audio has come")
    trace = agent.session(observer.session_id)
    trace.check()
    event = trace.one("pipecat.service.event", "user_audio_missing")
    assert event.parent is trace.one("pipecat.session")
    assert event["participant_id"] == trace.one("pipecat.participant")["participant_id"]
    assert trace.one("pipecat.session")["session.no_user_audio_count"] == 1
    assert line["status"] == "warning"
    assert line["session_id"] == observer.session_id
    assert line["participant_id"] == event["participant_id"]
    assert line["dd.span_id"] == str(event.id)


async def test_a_bot_that_takes_no_audio_is_left_alone(
    agent: TestAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(missing_audio, "MISSING_NS", 100_000_000)
    observer = DatadogObserver()
    transport, url = serving(audio_in_enabled=False)
    heard = Heard()
    heard.handle(transport, "on_websocket_ready", "on_client_connected")
    async with bot_on(transport, observer, processors=detecting(Ears())):
        await heard.until("on_websocket_ready")
        async with connect(url):
            await heard.until("on_client_connected")
            await asyncio.sleep(0.4)
            assert "push_audio_frame" not in vars(transport.input())
    trace = agent.session(observer.session_id)
    assert not trace.named("pipecat.service.event")
    session = trace.one("pipecat.session")
    assert session.get("session.no_user_audio_count") is None
    assert session.get("session.silence_seconds") is None

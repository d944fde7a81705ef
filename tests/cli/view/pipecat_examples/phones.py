"""The user's end of a call, over each transport that Pipecat's runner serves on this machine.

A phone calls a bot that runs, sends speech at the pace of speech and listens. What it has heard is
how long the bot was audible.
"""

import asyncio
import audioop
import base64
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from fractions import Fraction
from typing import Any

import aiohttp
import numpy as np
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from pipecat_dd.cli.demo import voice

BREATH_SECS = 1.2
"""How long the bot is silent when it has ended."""
PATIENCE_SECS = 40.0
PIECE_SECS = 0.02
_LOUD = 100


class Phone:
    """A phone in a call.

    Attributes:
        heard_secs: How long the bot was audible.
        events: What else came from the bot, counted by its name.
    """

    def __init__(self) -> None:
        self.heard_secs = 0.0
        self.events: Counter[str] = Counter()
        self._speech = b""
        self._has_said = asyncio.Event()
        self._loud = asyncio.Event()
        self._loud_until = 0.0
        self._hung_up = asyncio.Event()

    async def listens(self) -> None:
        """Wait until the bot has spoken and is silent."""
        await self.hears_speech()
        while True:
            rest_secs = self._loud_until + BREATH_SECS - time.monotonic()
            if rest_secs <= 0:
                break
            await asyncio.sleep(rest_secs)
        self._loud.clear()

    def forgets(self) -> None:
        """Have the next wait be for what the bot says from now on."""
        self._loud.clear()

    async def hears_speech(self) -> None:
        """Wait until the bot speaks."""
        await asyncio.wait_for(self._loud.wait(), PATIENCE_SECS)

    async def says(self, text: str) -> None:
        """Say one of the recorded sentences."""
        self._has_said.clear()
        self._speech += voice.user_says(text)
        await self._has_said.wait()

    async def presses(self, digit: str) -> None:
        """Press a key."""
        raise NotImplementedError

    async def until_hung_up(self) -> None:
        """Wait until the bot has ended the call."""
        await asyncio.wait_for(self._hung_up.wait(), PATIENCE_SECS)

    def piece(self, rate: int) -> bytes:
        """Return the next piece of speech, or of silence, as 16 bit mono PCM."""
        size = int(voice.MICROPHONE_RATE * PIECE_SECS) * 2
        piece, self._speech = self._speech[:size].ljust(size, b"\0"), self._speech[size:]
        if not self._speech:
            self._has_said.set()
        if rate != voice.MICROPHONE_RATE:
            piece, _ = audioop.ratecv(piece, 2, 1, voice.MICROPHONE_RATE, rate, None)
        return piece

    def hear(self, pcm: bytes | np.ndarray[Any, Any], rate: int) -> None:
        """Take what the bot sends: 16 bit mono PCM."""
        samples = np.frombuffer(pcm, "<i2") if isinstance(pcm, bytes) else pcm
        if len(samples) and np.abs(samples.astype(int)).max() > _LOUD:
            self.heard_secs += len(samples) / rate
            # Some transports send faster than it is played.
            self._loud_until = max(self._loud_until, time.monotonic()) + len(samples) / rate
            self._loud.set()

    def ended(self) -> None:
        """Take note of the call's end."""
        self._hung_up.set()


async def at_pace() -> AsyncIterator[None]:
    """Yield each time that a piece of speech is due."""
    due = time.monotonic()
    while True:
        yield
        due += PIECE_SECS
        await asyncio.sleep(max(0.0, due - time.monotonic()))


class _SocketPhone(Phone):
    """A phone whose call is a websocket."""

    def __init__(self, socket: ClientConnection) -> None:
        super().__init__()
        self._socket = socket

    async def _send(self, **message: Any) -> None:
        await self._socket.send(json.dumps(message))

    async def run(self) -> None:
        with suppress(ConnectionClosed):
            await asyncio.gather(self._talk(), self._listen())
        self.ended()

    async def _talk(self) -> None:
        raise NotImplementedError

    async def _listen(self) -> None:
        async for message in self._socket:
            self.take(json.loads(message))
        self.ended()

    def take(self, message: dict[str, Any]) -> None:
        raise NotImplementedError


class TwilioPhone(_SocketPhone):
    """What Twilio's Media Streams send and take: 8 kHz, mu-law."""

    RATE = 8_000
    STREAM = "MZ00000000000000000000000000000001"
    CALL = "CA00000000000000000000000000000001"

    async def begin(self) -> None:
        await self._send(event="connected", protocol="Call", version="1.0.0")
        start = {
            "accountSid": "AC1",
            "streamSid": self.STREAM,
            "callSid": self.CALL,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": self.RATE, "channels": 1},
            "customParameters": {},
        }
        await self._send(event="start", sequenceNumber="1", start=start, streamSid=self.STREAM)

    async def _talk(self) -> None:
        async for _ in at_pace():
            payload = base64.b64encode(audioop.lin2ulaw(self.piece(self.RATE), 2)).decode()
            media = {"track": "inbound", "payload": payload}
            await self._send(event="media", streamSid=self.STREAM, media=media)

    async def presses(self, digit: str) -> None:
        dtmf = {"track": "inbound_track", "digit": digit}
        await self._send(event="dtmf", streamSid=self.STREAM, dtmf=dtmf)

    def take(self, message: dict[str, Any]) -> None:
        if message["event"] == "media":
            payload = base64.b64decode(message["media"]["payload"])
            self.hear(audioop.ulaw2lin(payload, 2), self.RATE)
        else:
            self.events[message["event"]] += 1


class EvalPhone(_SocketPhone):
    """Pipecat's own evals: RTVI, with text in the user's place."""

    async def begin(self) -> None:
        flags = {"skip_tts": False, "capture_bot_audio": True}
        await self._message("client-message", {"t": "eval-connect", "d": flags})
        about = {"library": "tests", "library_version": "1"}
        await self._message("client-ready", {"version": "1.0.0", "about": about})

    async def says(self, text: str) -> None:
        await self._message("send-text", {"content": text, "options": {}})

    async def _message(self, kind: str, data: dict[str, Any]) -> None:
        await self._send(label="rtvi-ai", type=kind, id=kind, data=data)

    async def _talk(self) -> None:
        return

    def take(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "eval-bot-audio":
            audio = base64.b64decode(message["data"]["audio"])
            self.hear(audio, message["data"]["sampleRate"])
        else:
            self.events[kind] += 1


class _Microphone(MediaStreamTrack):
    kind = "audio"

    def __init__(self, phone: Phone) -> None:
        super().__init__()
        self._phone = phone
        self._pace = at_pace()
        self._at = 0

    async def recv(self) -> AudioFrame:
        await anext(self._pace)
        rate = voice.MICROPHONE_RATE
        samples = np.frombuffer(self._phone.piece(rate), "<i2").reshape(1, -1)
        frame = AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, self._at, Fraction(1, rate)
        self._at += samples.shape[1]
        return frame


class WebRTCPhone(Phone):
    """A browser's peer connection, with aiortc in its place."""

    async def listen(self, track: MediaStreamTrack) -> None:
        with suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                assert isinstance(frame, AudioFrame)
                samples = frame.to_ndarray().reshape(-1, len(frame.layout.channels))[:, 0]
                self.hear(samples, frame.sample_rate)
        self.ended()


@asynccontextmanager
async def calling(transport: str, port: int) -> AsyncIterator[Phone]:
    """Be in a call for the duration of a block; hang up at its end.

    Args:
        transport: The transport: ``twilio``, ``eval``, ``webrtc`` or ``moq``.
        port: The port of the bot's runner; with ``moq``, of its UDP socket as well.
    """
    if transport in ("webrtc", "moq"):
        async with (_over_webrtc if transport == "webrtc" else _over_moq)(port) as peer:
            yield peer
        return
    async with connect(f"ws://localhost:{port}/ws", max_size=None) as socket:
        phone = {"twilio": TwilioPhone, "eval": EvalPhone}[transport](socket)
        await phone.begin()
        running = asyncio.create_task(phone.run())
        try:
            yield phone
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running


@asynccontextmanager
async def _over_webrtc(port: int) -> AsyncIterator[Phone]:
    phone = WebRTCPhone()
    peer = RTCPeerConnection()
    listening: list[asyncio.Task[None]] = []
    peer.on("track", lambda track: listening.append(asyncio.create_task(phone.listen(track))))
    peer.on(
        "connectionstatechange",
        lambda: phone.ended() if peer.connectionState in ("closed", "failed") else None,
    )
    channel = peer.createDataChannel("rtvi-ai", ordered=True)
    channel.on("message", lambda text: _count(phone, text))
    peer.addTrack(_Microphone(phone))
    try:
        await peer.setLocalDescription(await peer.createOffer())
        offer = {"sdp": peer.localDescription.sdp, "type": peer.localDescription.type}
        async with (
            aiohttp.ClientSession() as http,
            http.post(f"http://localhost:{port}/api/offer", json=offer) as response,
        ):
            response.raise_for_status()
            answer = await response.json()
        await peer.setRemoteDescription(RTCSessionDescription(answer["sdp"], answer["type"]))
        yield phone
    finally:
        await peer.close()
        for task in listening:
            task.cancel()
        await asyncio.gather(*listening, return_exceptions=True)


@asynccontextmanager
async def _over_moq(port: int) -> AsyncIterator[Phone]:
    """Call with Pipecat's own client of Media over QUIC, in a browser's place."""
    from pipecat.transports.moq.transport import MOQCallbacks, MOQParams, MOQTransportClient
    from pipecat.utils.asyncio.task_manager import TaskManager

    phone = Phone()

    async def ignore(*_: Any) -> None:
        return

    async def hear(pcm: bytes, rate: int) -> None:
        phone.hear(pcm, rate)

    async def count(message: dict[str, Any]) -> None:
        phone.events[message.get("type", "")] += 1

    async def end() -> None:
        phone.ended()

    async def talk() -> None:
        async for _ in at_pace():
            await client.publish_audio(phone.piece(voice.MICROPHONE_RATE))

    client = MOQTransportClient(
        MOQParams(
            audio_in_enabled=True,
            audio_out_enabled=True,
            participant_id="request",
            peer_id="response",
            verify_ssl=False,
            audio_in_max_latency_ms=30_000,  # or what comes before its time is dropped
        ),
        f"https://localhost:{port}/moq",
        None,
        MOQCallbacks(
            on_connected=ignore,
            on_disconnected=end,
            on_client_connected=ignore,
            on_client_disconnected=end,
            on_track_subscribed=ignore,
            on_error=ignore,
            on_audio_received=hear,
            on_message_received=count,
        ),
    )
    client._task_manager = TaskManager()
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"http://localhost:{port}/start", json={"transport": "moq"}) as response,
    ):
        response.raise_for_status()
    client.connect()
    client.open_audio_track(voice.MICROPHONE_RATE)
    talking = asyncio.create_task(talk())
    try:
        yield phone
    finally:
        talking.cancel()
        await asyncio.gather(talking, return_exceptions=True)
        await client.disconnect()


def _count(phone: Phone, text: str) -> None:
    with suppress(ValueError):
        phone.events[json.loads(text).get("type", "")] += 1

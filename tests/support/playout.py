"""What a caller hears: clients that note what comes when, and play it as soon as they can.

Each runs in a thread with an event loop of its own, so that no blocked loop of the bot's delays it.
"""

import asyncio
import base64
import contextlib
import json
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import numpy as np
from pipecat.frames.protobufs import frames_pb2
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from pipecat_dd.conversation.playout import MIN_GAP_NS

MIN_GAP_SECS = MIN_GAP_NS / 1e9
LOUD = 2_000
"""The level that tells the bot's tone from silence, of a 16-bit sample."""
WINDOW_SECS = 0.01
NARROW_BYTES = 1_500
_T = TypeVar("_T")


@dataclass(frozen=True)
class Piece:
    """A piece of audio that came.

    Attributes:
        came: When, in seconds of the monotonic clock.
        secs: How long it plays.
        level: How loud it is: the mean of its 16-bit samples' amounts.
    """

    came: float
    secs: float
    level: float = LOUD


def gaps(
    pieces: Iterable[Piece], floor: float = 0.0, min_secs: float = MIN_GAP_SECS
) -> list[float]:
    """Return the gaps in the voice of whoever plays each piece once it is there, one by one.

    Gaps with no more than a piece's length of voice between them are one. What came before the
    voice began has been played by then.

    Args:
        pieces: What came.
        floor: How loud the voice is at least; the rest is silence or background sound.
        min_secs: How long a gap is at least.
    """
    found: list[float] = []
    end = voice_end = None
    since = 0.0
    for piece in pieces:
        is_voice = piece.level >= floor
        if voice_end is None and not is_voice:
            continue
        start = piece.came if end is None else max(end, piece.came)
        end = start + piece.secs
        if not is_voice:
            continue
        if voice_end is not None and start - voice_end >= min_secs:
            if found and since <= MIN_GAP_SECS:
                found[-1] += start - voice_end
            else:
                found.append(start - voice_end)
            since = 0.0
        since += piece.secs
        voice_end = end
    return found


Decode = Callable[[str | bytes], tuple[float, float]]
"""Returns how long the audio in a message plays, and its level; 0 where there is none."""


def level_of(samples: Any) -> float:
    """Return how loud 16-bit samples are."""
    return float(np.abs(samples.astype(int)).mean())


def from_protobuf(message: str | bytes) -> tuple[float, float]:
    """Decode a message of Pipecat's protobuf serializer."""
    assert isinstance(message, bytes)
    frame = frames_pb2.Frame.FromString(message)
    if frame.WhichOneof("frame") != "audio":
        return 0.0, 0.0
    audio = frame.audio
    secs = len(audio.audio) / 2 / audio.sample_rate / audio.num_channels
    return secs, level_of(np.frombuffer(audio.audio, np.int16))


def from_twilio(message: str | bytes) -> tuple[float, float]:
    """Decode a message of Twilio's media streams, with 8 kHz mu-law."""
    said = json.loads(message)
    if "media" not in said:
        return 0.0, 0.0
    return len(base64.b64decode(said["media"]["payload"])) / 8_000, LOUD


class Caller:
    """Hears the bot in a thread of its own.

    Attributes:
        pieces: The audio that came.
        floor: How loud the voice is at least in what it hears; the rest is silence.
        late_secs: How late its thread was at most: on a busy machine it notes what comes too late.
        blur_secs: How much less exactly it hears than what is sent.
    """

    floor = 0.0
    blur_secs = 0.0

    def __init__(self) -> None:
        self.pieces: list[Piece] = []
        self.late_secs = 0.0
        self._loop = asyncio.new_event_loop()
        self._watch = self._loop.create_task(self._note_lateness())
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    async def _note_lateness(self) -> None:
        while True:
            due = time.monotonic() + 0.005
            await asyncio.sleep(0.005)
            self.late_secs = max(self.late_secs, time.monotonic() - due)

    async def there(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Do something in the caller's thread, and await it here."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    def gaps(self, min_secs: float = MIN_GAP_SECS) -> list[float]:
        """Return the gaps in the bot's voice that it hears, of that length at least."""
        return gaps(self.pieces, self.floor, min_secs)

    async def hears(self, secs: float) -> None:
        """Wait until it has been sent so much of the bot's voice."""
        async with asyncio.timeout(15):
            while self.voice_secs() < secs:  # noqa: ASYNC110 - it is another thread's
                await asyncio.sleep(0.005)

    def voice_secs(self) -> float:
        """Return how much of the bot's voice it has been sent."""
        return sum(piece.secs for piece in self.pieces if piece.level >= self.floor)

    async def hang_up(self) -> None:
        """Be gone."""
        self._loop.call_soon_threadsafe(self._watch.cancel)
        self._loop.call_soon_threadsafe(self._loop.stop)
        await asyncio.to_thread(self._thread.join, 5)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.hang_up()


class WebsocketCaller(Caller):
    """A client on a websocket."""

    def __init__(self, decode: Decode = from_protobuf, hello: Sequence[Any] = ()) -> None:
        super().__init__()
        self._decode = decode
        self._hello = hello
        self._listening: asyncio.Task[None] | None = None

    async def call(self, url: str, *, is_narrow: bool = False) -> None:
        """Connect.

        Args:
            url: Where to.
            is_narrow: Whether what it was sent and has not read is soon more than fits.
        """
        await self.there(self._call(url, is_narrow))

    async def _call(self, url: str, is_narrow: bool) -> None:
        through = socket.socket()
        if is_narrow:
            through.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, NARROW_BYTES)
        through.setblocking(False)
        address = urlsplit(url)
        await asyncio.get_running_loop().sock_connect(through, (address.hostname, address.port))
        self._connection = await connect(url, sock=through, compression=None)
        for message in self._hello:
            await self._connection.send(json.dumps(message))
        self._listening = asyncio.create_task(self._listen())

    async def stand_still(self, secs: float) -> None:
        """Take nothing from the network for a while."""

        async def stand_still() -> None:
            transport = self._connection.transport
            transport.pause_reading()
            await asyncio.sleep(secs)
            transport.resume_reading()

        await self.there(stand_still())

    async def _listen(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                message = await self._connection.recv()
                came = time.monotonic()
                secs, level = self._decode(message)
                if secs:
                    self.pieces.append(Piece(came, secs, level))

    async def hang_up(self) -> None:
        async def close() -> None:
            await self._connection.close()
            assert self._listening is not None
            await self._listening

        await self.there(close())
        await super().hang_up()


class WebRTCCaller(Caller):
    """A peer of aiortc's. It tells the bot's tone from the silence that fills the track."""

    floor = LOUD
    # A packet, in which the codec blurs where the tone begins and ends. On a busy machine the
    # track is late besides, and then strews silence in.
    blur_secs = 0.02

    async def call(
        self, answer: Callable[[str, str], Coroutine[Any, Any, tuple[str, str]]]
    ) -> None:
        """Connect.

        Args:
            answer: Answers an offer, in the bot's loop: takes and returns its SDP and type.
        """
        offer = await self.there(self._offer())
        await self.there(self._accept(await answer(*offer)))
        async with asyncio.timeout(10):
            await self.there(self._is_connected.wait())

    async def _offer(self) -> tuple[str, str]:
        from aiortc import RTCPeerConnection
        from aiortc.mediastreams import AudioStreamTrack

        self._pc = RTCPeerConnection()
        self._is_connected = asyncio.Event()
        self._pc.addTrack(AudioStreamTrack())
        self._came: deque[float] = deque()
        for transceiver in self._pc.getTransceivers():
            self._note_packets(transceiver.receiver._RTCRtpReceiver__jitter_buffer)
        self._pc.createDataChannel("app")
        self._tasks: list[asyncio.Task[None]] = []
        self._pc.on(
            "track", lambda track: self._tasks.append(asyncio.create_task(self._listen(track)))
        )
        self._pc.on(
            "connectionstatechange",
            lambda: self._pc.connectionState == "connected" and self._is_connected.set(),
        )
        await self._pc.setLocalDescription(await self._pc.createOffer())
        return self._pc.localDescription.sdp, self._pc.localDescription.type

    def _note_packets(self, buffer: Any) -> None:
        """Note when each packet comes: the buffer holds back four, and so blurs it."""
        add = buffer.add

        def adding(packet: Any) -> Any:
            self._came.append(time.monotonic())
            return add(packet)

        buffer.add = adding

    async def _accept(self, answer: tuple[str, str]) -> None:
        from aiortc import RTCSessionDescription

        await self._pc.setRemoteDescription(RTCSessionDescription(*answer))

    async def _listen(self, track: Any) -> None:
        from aiortc.mediastreams import MediaStreamError

        with contextlib.suppress(MediaStreamError):
            while track.kind == "audio":
                frame = await track.recv()
                came = self._came.popleft()
                samples = frame.to_ndarray().reshape(-1)
                windows = round(frame.samples / frame.sample_rate / WINDOW_SECS)
                for window in np.array_split(samples, windows):
                    self.pieces.append(Piece(came, WINDOW_SECS, level_of(window)))

    async def hang_up(self) -> None:
        async def close() -> None:
            await self._pc.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

        await self.there(close())
        await super().hang_up()

"""A browser that talks to a bot over SmallWebRTC: a real WebRTC peer, without a page.

Example::

    async with Browser(f"{bot_url}/api/offer") as browser:
        await browser.listens()  # to the greeting
        await browser.says(pcm)
        await browser.listens()  # to the answer
"""

import asyncio
import contextlib
import fractions
import time
from types import TracebackType
from typing import Self
from unittest.mock import patch

import aiohttp
import numpy as np
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame

BREATH_SECS = 1.0
"""How long the bot must be silent for its answer to be over."""
PATIENCE_SECS = 30.0
"""How long the user waits for the bot before giving up."""

_RATE = 16_000
_FRAME_SAMPLES = _RATE // 50
_LOUD = 100


class _Microphone(MediaStreamTrack):
    """Sends what is said, and silence in between, at the pace of speech."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._speech = b""
        self._said = asyncio.Event()
        self._sent = 0
        self._began_at = 0.0

    async def says(self, pcm: bytes) -> None:
        self._said.clear()
        self._speech = pcm
        await self._said.wait()

    async def recv(self) -> AudioFrame:
        if not self._sent:
            self._began_at = time.monotonic()
        await asyncio.sleep(self._began_at + self._sent / _RATE - time.monotonic())
        size = 2 * _FRAME_SAMPLES
        piece, self._speech = self._speech[:size].ljust(size, b"\0"), self._speech[size:]
        if not self._speech:
            self._said.set()
        frame = AudioFrame.from_ndarray(
            np.frombuffer(piece, "<i2").reshape(1, -1), format="s16", layout="mono"
        )
        frame.sample_rate = _RATE
        frame.pts = self._sent
        frame.time_base = fractions.Fraction(1, _RATE)
        self._sent += _FRAME_SAMPLES
        return frame


class Browser:
    """The peer; connected for as long as its ``async with`` block.

    Args:
        offer_url: Where it posts its offer to.
    """

    def __init__(self, offer_url: str) -> None:
        self._offer_url = offer_url
        # The peers meet on loopback, which is never offered by itself.
        self._loopback = patch("aioice.ice.get_host_addresses", lambda *_, **__: ["127.0.0.1"])

    async def __aenter__(self) -> Self:
        self._loopback.start()
        self._microphone = _Microphone()
        self._peer = RTCPeerConnection()
        self._peer.addTrack(self._microphone)
        self._peer.createDataChannel("rtvi-ai", ordered=True)
        voice: asyncio.Future[MediaStreamTrack] = asyncio.get_running_loop().create_future()
        self._peer.on("track", voice.set_result)
        await self._peer.setLocalDescription(await self._peer.createOffer())
        offer = {"sdp": self._peer.localDescription.sdp, "type": self._peer.localDescription.type}
        async with (
            aiohttp.ClientSession() as http,
            http.post(self._offer_url, json=offer) as response,
        ):
            response.raise_for_status()
            answer = await response.json()
        await self._peer.setRemoteDescription(RTCSessionDescription(answer["sdp"], answer["type"]))
        self._voice = await voice
        self._has_spoken = False
        self._heard = asyncio.Condition()
        self._hearing = asyncio.create_task(self._hear())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._hearing.cancel()
        await self._peer.close()
        self._loopback.stop()

    async def says(self, pcm: bytes) -> None:
        """Speak, and wait until all is said.

        Args:
            pcm: 16 bit mono PCM at 16 kHz.
        """
        await self._microphone.says(pcm)

    async def listens(self) -> None:
        """Wait until the bot has spoken and is silent again.

        Raises:
            TimeoutError: It did not speak.
        """
        async with self._heard:
            async with asyncio.timeout(PATIENCE_SECS):
                await self._heard.wait_for(lambda: self._has_spoken)
            with contextlib.suppress(TimeoutError):
                while True:
                    async with asyncio.timeout(BREATH_SECS):
                        await self._heard.wait()
            self._has_spoken = False

    async def hears_the_end(self) -> None:
        """Wait until the bot has hung up.

        Raises:
            TimeoutError: It did not.
        """
        await asyncio.wait_for(self._hearing, PATIENCE_SECS)

    async def _hear(self) -> None:
        while True:
            try:
                frame = await self._voice.recv()
            except MediaStreamError:
                return
            assert isinstance(frame, AudioFrame)
            if abs(frame.to_ndarray()).max() > _LOUD:
                async with self._heard:
                    self._has_spoken = True
                    self._heard.notify_all()

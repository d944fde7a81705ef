"""A browser that talks to a bot over SmallWebRTC: a real WebRTC peer, without a page.

Example::

    async with Browser(f"{bot_url}/api/offer") as browser:
        await browser.listens()  # to the greeting
        await browser.says(pcm)
        await browser.listens()  # to the answer
"""

import asyncio
from types import TracebackType
from typing import Self
from unittest.mock import patch

import aiohttp
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription

from tests.support.talking import PATIENCE_SECS, Caller, Ear


class Browser(Caller):
    """The peer; connected for as long as its ``async with`` block.

    Args:
        offer_url: Where it posts its offer to.
    """

    def __init__(self, offer_url: str) -> None:
        super().__init__(Ear())
        self._offer_url = offer_url
        # The peers meet on loopback, which is never offered by itself.
        self._loopback = patch("aioice.ice.get_host_addresses", lambda *_, **__: ["127.0.0.1"])

    async def __aenter__(self) -> Self:
        self._loopback.start()
        self._peer = RTCPeerConnection()
        self._peer.addTrack(self.microphone)
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
        self._hearing = asyncio.create_task(self.ear.hear_track(await voice))
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

    async def hears_the_end(self) -> None:
        """Wait until the bot has hung up.

        Raises:
            TimeoutError: It did not.
        """
        await asyncio.wait_for(self._hearing, PATIENCE_SECS)

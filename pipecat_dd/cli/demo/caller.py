"""The simulated user of the demo, at the other end of the bot's transport.

Like a real microphone, the user's never stops: it also sends silence, in pieces of 20 ms. The user
receives only the bot's audio. Audio is sent in protobuf frames, as Pipecat's own websocket clients
do.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import numpy as np
from pipecat.frames.protobufs import frames_pb2

from pipecat_dd.cli.demo.voice import MICROPHONE_RATE

# The generated module creates its classes at run time, so type checkers do not know them.
_Frame: Any = vars(frames_pb2)["Frame"]

_PIECE_SECS = 0.02
_PIECE_BYTES = int(MICROPHONE_RATE * _PIECE_SECS) * 2
_AUDIBLE_LEVEL = 300
_CONNECT_RETRY_SECS = 0.1


class Caller:
    """A connected user."""

    def __init__(self, websocket: aiohttp.ClientWebSocketResponse) -> None:
        self._websocket = websocket
        self._to_say = bytearray()
        self._said = asyncio.Event()
        self._heard = asyncio.Event()
        # Count silence from here, so that the user does not speak the moment the call begins.
        self._heard_at = asyncio.get_running_loop().time()

    async def say(self, pcm: bytes) -> None:
        """Speak, and return when the last of it has been sent.

        Args:
            pcm: The speech as 16-bit mono PCM at 16 kHz.
        """
        self._said.clear()
        self._to_say += pcm
        await self._said.wait()

    async def until_bot_speaks(self) -> None:
        """Wait until the bot's next audible audio arrives."""
        self._heard.clear()
        await self._heard.wait()

    async def until_bot_is_silent(self, for_secs: float) -> None:
        """Wait until the bot has been silent for some time.

        Args:
            for_secs: The length of the silence, in seconds.
        """
        now = asyncio.get_running_loop().time
        # Check again after each sleep: the bot may have spoken meanwhile.
        while (left := self._heard_at + for_secs - now()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(left)

    async def speak_and_listen(self) -> None:
        """Send and receive audio until the bot hangs up."""
        microphone = asyncio.create_task(self._speak())
        try:
            await self._listen()
        finally:
            microphone.cancel()

    async def _speak(self) -> None:
        now = asyncio.get_running_loop().time
        next_at = now()
        while True:
            piece = bytes(self._to_say[:_PIECE_BYTES])
            del self._to_say[:_PIECE_BYTES]
            if piece and not self._to_say:
                self._said.set()
            frame = _Frame()
            frame.audio.audio = piece.ljust(_PIECE_BYTES, b"\0")
            frame.audio.sample_rate = MICROPHONE_RATE
            frame.audio.num_channels = 1
            await self._websocket.send_bytes(frame.SerializeToString())
            next_at += _PIECE_SECS
            await asyncio.sleep(max(0.0, next_at - now()))

    async def _listen(self) -> None:
        async for message in self._websocket:
            if message.type is not aiohttp.WSMsgType.BINARY:
                continue
            frame = _Frame.FromString(message.data)
            if frame.WhichOneof("frame") == "audio" and _is_audible(frame.audio.audio):
                self._heard_at = asyncio.get_running_loop().time()
                self._heard.set()


@asynccontextmanager
async def calling(url: str) -> AsyncIterator[Caller]:
    """Call a bot, and hang up at the end of the block.

    Args:
        url: The URL of the bot's websocket. The call retries without limit until the bot listens,
            so use a timeout.

    Yields:
        The connected user, whose microphone is on.
    """
    async with aiohttp.ClientSession() as http:
        while True:
            try:
                websocket = await http.ws_connect(url)
                break
            except aiohttp.ClientConnectorError:
                await asyncio.sleep(_CONNECT_RETRY_SECS)
        async with websocket:
            caller = Caller(websocket)
            line = asyncio.create_task(caller.speak_and_listen())
            try:
                yield caller
            finally:
                line.cancel()
                await asyncio.wait([line])


def _is_audible(pcm: bytes) -> bool:
    samples = np.frombuffer(pcm, dtype="<i2")
    return bool(len(samples)) and int(np.abs(samples.astype(np.int32)).max()) > _AUDIBLE_LEVEL

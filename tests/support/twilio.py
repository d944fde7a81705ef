"""Twilio on loopback: it calls a server's webhook, then streams a call's audio to it.

Speaks as much of https://www.twilio.com/docs/voice/media-streams/websocket-messages as a call
needs that connects the caller to a bot: 8 kHz mu-law in both directions, in pieces of 20 ms.

Example::

    async with Caller(bot_url, number="+15550100123") as caller:
        await caller.listens()  # to the greeting
        await caller.says(pcm)
        await caller.listens()  # to the answer
"""

import asyncio
import base64
import itertools
import json
from types import TracebackType
from typing import Any, Self
from xml.etree import ElementTree

import aiohttp
from pipecat.audio.utils import create_stream_resampler, pcm_to_ulaw, ulaw_to_pcm
from websockets.asyncio.client import connect

from tests.support.talking import Ear

_RATE = 8000
_PIECE_BYTES = _RATE // 50
_SILENCE = b"\xff" * _PIECE_BYTES
_calls = itertools.count(1)


class Caller:
    """A call; it goes on for as long as the ``async with`` block.

    Args:
        url: The webhook of the number that is called.
        number: The caller's telephone number.

    Attributes:
        call_sid: Twilio's id of the call.
        twiml: What the webhook answered.
    """

    def __init__(self, url: str, *, number: str) -> None:
        self.call_sid = f"CA{next(_calls):032x}"
        self.twiml = ""
        self._url = url
        self._number = number
        self._speech = b""
        self._said = asyncio.Event()
        self.ear = Ear()

    async def __aenter__(self) -> Self:
        form = {"CallSid": self.call_sid, "From": self._number, "To": "+15550100000"}
        async with (
            aiohttp.ClientSession() as http,
            http.post(self._url, data=form) as response,
        ):
            response.raise_for_status()
            self.twiml = await response.text()
        stream = ElementTree.fromstring(self.twiml).find("./Connect/Stream")
        assert stream is not None, self.twiml
        # Twilio only takes wss; there is no certificate on loopback.
        url = stream.attrib["url"].replace("wss://", "ws://", 1)
        self._websocket = await connect(url)
        self._stream_sid = f"MZ{self.call_sid[2:]}"
        start = {
            "accountSid": "AC1",
            "callSid": self.call_sid,
            "streamSid": self._stream_sid,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": _RATE, "channels": 1},
            "customParameters": {p.attrib["name"]: p.attrib["value"] for p in stream},
        }
        await self._send(event="connected", protocol="Call", version="1.0.0")
        await self._send(event="start", start=start)
        self._streams = [asyncio.create_task(work) for work in (self._speak(), self._hear())]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for stream in self._streams:
            stream.cancel()
        await self._send(event="stop", stop={"callSid": self.call_sid})
        await self._websocket.close()

    async def says(self, pcm: bytes, *, rate: int = 16_000) -> None:
        """Speak, and wait until all is said.

        Args:
            pcm: 16 bit mono PCM.
            rate: Its samples a second.
        """
        self._said.clear()
        self._speech = await pcm_to_ulaw(pcm, rate, _RATE, create_stream_resampler())
        await self._said.wait()
        self.ear.forget()

    async def listens(self) -> None:
        """Wait until the bot has spoken and is silent again.

        Raises:
            TimeoutError: It did not speak.
        """
        await self.ear.listen()

    async def _send(self, **message: Any) -> None:
        await self._websocket.send(json.dumps(message | {"streamSid": self._stream_sid}))

    async def _speak(self) -> None:
        loop = asyncio.get_running_loop()
        began_at = loop.time()
        for number in itertools.count(1):
            piece, self._speech = self._speech[:_PIECE_BYTES], self._speech[_PIECE_BYTES:]
            if not self._speech:
                self._said.set()
            payload = base64.b64encode(piece.ljust(_PIECE_BYTES, _SILENCE[:1])).decode()
            await self._send(event="media", media={"track": "inbound", "payload": payload})
            await asyncio.sleep(began_at + number * _PIECE_BYTES / _RATE - loop.time())

    async def _hear(self) -> None:
        resampler = create_stream_resampler()
        async for raw in self._websocket:
            message = json.loads(raw)
            if message["event"] != "media":
                continue
            ulaw = base64.b64decode(message["media"]["payload"])
            pcm = memoryview(await ulaw_to_pcm(ulaw, _RATE, _RATE, resampler)).cast("h")
            await self.ear.hear(max(map(abs, pcm), default=0))

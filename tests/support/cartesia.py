"""Cartesia's speech synthesis over a websocket, on loopback.

Speaks as much of https://docs.cartesia.ai/api-reference/tts/websocket as Pipecat's
``CartesiaTTSService`` uses: transcripts come in by context, audio and the times of the words go
out, a context can be cancelled.
"""

import asyncio
import base64
import contextlib
import json
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from pipecat_dd.cli.demo.voice import SPEECH_RATE, tone
from tests.support.server import WebsocketServer

_BYTES_PER_SEC = SPEECH_RATE * 2
_PIECE_BYTES = 9600  # 200 ms


class CartesiaServer(WebsocketServer):
    """Says everything in a quiet tone; its URL is the ``url`` of ``CartesiaTTSService``.

    Attributes:
        said: Every transcript that came in, oldest first.
        stall_secs: How long it stalls after the first piece of each transcript's audio.
    """

    path = "/tts/websocket"

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []
        self._was_asked = asyncio.Condition()
        self.stall_secs = 0.0

    async def until_said(self, transcript: str) -> None:
        """Wait until a transcript has come in."""
        async with self._was_asked:
            await self._was_asked.wait_for(lambda: transcript in self.said)

    async def serve(self, client: ServerConnection) -> None:
        assert client.request is not None
        if (
            urlsplit(client.request.path).path != self.path
            or "X-API-Key" not in client.request.headers
        ):
            await client.close(4000, f"expected {self.path} and a key")
            return
        # The last piece of work of each context; it waits for the one before it.
        work: dict[str, asyncio.Task[float]] = {}
        try:
            async for raw in client:
                message = json.loads(raw)
                context_id = message["context_id"]
                before = work.get(context_id)
                if message.get("cancel"):
                    if before is not None:
                        before.cancel()
                    continue
                work[context_id] = asyncio.create_task(self._answer(client, message, before))
        finally:
            for task in work.values():
                task.cancel()
            await asyncio.gather(*work.values(), return_exceptions=True)

    async def _answer(
        self,
        client: ServerConnection,
        message: dict[str, Any],
        before: asyncio.Task[float] | None,
    ) -> float:
        """Say a transcript; returns where in its context's audio the next one begins."""
        at_secs = 0.0 if before is None else await before

        async def send(**answer: Any) -> None:
            with contextlib.suppress(ConnectionClosed):
                await client.send(json.dumps({"context_id": message["context_id"], **answer}))

        if message["output_format"]["sample_rate"] != SPEECH_RATE:
            await send(type="error", error=f"only {SPEECH_RATE} Hz is spoken here", status_code=400)
            return at_secs
        transcript = message["transcript"]
        if transcript:
            async with self._was_asked:
                self.said.append(transcript.strip())
                self._was_asked.notify_all()
            pcm = tone(transcript)
            words = transcript.split()
            secs = len(pcm) / _BYTES_PER_SEC
            starts = [at_secs + secs * index / len(words) for index in range(len(words))]
            times = {"words": words, "start": starts, "end": [*starts[1:], at_secs + secs]}
            await asyncio.sleep(0.1)  # the provider's latency
            await send(type="timestamps", word_timestamps=times)
            for start in range(0, len(pcm), _PIECE_BYTES):
                piece = base64.b64encode(pcm[start : start + _PIECE_BYTES]).decode()
                await send(type="chunk", data=piece)
                if start == 0 and self.stall_secs:
                    await asyncio.sleep(self.stall_secs)
            await send(type="flush_done", flush_done=True)
            at_secs += secs
        if message.get("continue") is False:
            await send(type="done", done=True)
        return at_secs

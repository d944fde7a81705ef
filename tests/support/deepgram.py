"""Deepgram's streaming transcription, on loopback.

Speaks as much of https://developers.deepgram.com/reference/speech-to-text/listen-streaming as
Pipecat's ``DeepgramSTTService`` uses: 16 bit PCM comes in, interim results go out while somebody
speaks, the final one on ``Finalize``.
"""

import asyncio
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
from websockets.asyncio.server import ServerConnection

from tests.support.server import WebsocketServer

_BYTES_PER_SAMPLE = 2
_LOUD = 500
_LEAST_SPEECH_SECS = 0.2


class DeepgramServer(WebsocketServer):
    """Hears the same words in whatever is said; its URL is ``DeepgramSTTService``'s ``base_url``.

    Args:
        hears: The words, or what returns the words for the loudest sample of the speech (1 to
            32768): calls at the same time can be told apart by how loud their users speak.
        interim_secs: How much speech there is between interim results.

    Attributes:
        transcribed: How many final transcripts it has sent.
    """

    def __init__(self, hears: str | Callable[[int], str], *, interim_secs: float = 1.0) -> None:
        super().__init__()
        self.hears = hears
        self._interim_secs = interim_secs
        self.transcribed = 0

    async def serve(self, client: ServerConnection) -> None:
        assert client.request is not None
        address = urlsplit(client.request.path)
        query = parse_qs(address.query)
        if address.path != "/v1/listen" or "Authorization" not in client.request.headers:
            await client.close(4000, "expected /v1/listen and a key")
            return
        bytes_per_sec = int(query["sample_rate"][0]) * _BYTES_PER_SAMPLE
        speech_secs = 0.0
        loudest = 0
        interims = 0
        async for message in client:
            if isinstance(message, bytes):
                if (level := _level(message)) > _LOUD:
                    loudest = max(loudest, level)
                    speech_secs += len(message) / bytes_per_sec
                    if speech_secs >= (interims + 1) * self._interim_secs:
                        interims += 1
                        words = self._words(loudest).split()[: interims * 2]
                        await _send(client, _result(" ".join(words)))
                continue
            kind = json.loads(message)["type"]
            if kind == "Finalize":
                heard = self._words(loudest) if speech_secs > _LEAST_SPEECH_SECS else ""
                speech_secs, loudest, interims = 0.0, 0, 0
                await asyncio.sleep(0.1)  # the provider's latency
                await _send(client, _result(heard, is_final=True))
                self.transcribed += bool(heard)
            elif kind == "CloseStream":
                await client.close()

    def _words(self, loudest: int) -> str:
        return self.hears if isinstance(self.hears, str) else self.hears(loudest)


def _level(pcm: bytes) -> int:
    samples = np.frombuffer(pcm, "<i2")
    return int(np.abs(samples.astype(int)).max()) if len(samples) else 0


def _result(transcript: str, *, is_final: bool = False) -> dict[str, Any]:
    words = [
        {"word": word, "start": 0.0, "end": 0.0, "confidence": 1.0} for word in transcript.split()
    ]
    return {
        "type": "Results",
        "channel_index": [0, 1],
        "duration": 0.0,
        "start": 0.0,
        "is_final": is_final,
        "speech_final": is_final,
        "from_finalize": is_final,
        "channel": {
            "alternatives": [{"transcript": transcript, "confidence": 1.0, "words": words}]
        },
        "metadata": {
            "request_id": "7d9f4e61-5f0c-4f0e-8a57-2f0c1c2f7a11",
            "model_uuid": "1ed36bac-f71c-4f3f-a31f-02fd6525c489",
            "model_info": {"name": "general-nova-3", "version": "1", "arch": "nova-3"},
        },
    }


async def _send(client: ServerConnection, message: dict[str, Any]) -> None:
    await client.send(json.dumps(message))

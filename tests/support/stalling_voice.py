"""A provider's speech synthesis that stalls in mid-answer, over OpenAI's HTTP, on loopback."""

import asyncio
import functools
import math
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web
from pipecat.services.openai.tts import OpenAITTSService

from tests.support.server import serving_app

SPEECH_RATE = 24_000
PIECE_SECS = 0.1
SERVICE_SECS = 0.5
"""How much audio Pipecat's service takes at a time: plans are in multiples of it."""
_LEVEL = 16_000
_TONE_HZ = 500


@dataclass(frozen=True)
class Play:
    """Audio that comes as fast as it plays, or all at once."""

    secs: float
    at_once: bool = False


@dataclass(frozen=True)
class Stall:
    """Nothing comes for a while."""

    secs: float


@dataclass(frozen=True)
class Hush:
    """Silence that is part of the speech; it comes as fast as it plays."""

    secs: float


Step = Play | Stall | Hush


@functools.cache
def tone(secs: float) -> bytes:
    """Return a loud tone; it begins and ends at zero where it lasts whole pieces."""
    count = int(secs * SPEECH_RATE)
    return struct.pack(
        f"<{count}h",
        *(int(_LEVEL * math.sin(2 * math.pi * _TONE_HZ * i / SPEECH_RATE)) for i in range(count)),
    )


class StallingVoice:
    """Speaks each text by a plan.

    Attributes:
        plan: How it speaks from now on.
        url: The ``base_url`` of the service.
    """

    def __init__(self, url: str, plan: Sequence[Step]) -> None:
        self.url = url
        self.plan = plan

    def service(self) -> OpenAITTSService:
        """Return a service of Pipecat's that speaks with this voice."""
        return OpenAITTSService(
            api_key="any", base_url=self.url, settings=OpenAITTSService.Settings(voice="alloy")
        )

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the audio, when it comes."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        for step in self.plan:
            if isinstance(step, Stall):
                due = max(due, loop.time()) + step.secs
            elif isinstance(step, Play) and step.at_once:
                yield tone(step.secs)
            else:
                piece = tone(PIECE_SECS) if isinstance(step, Play) else bytes(len(tone(PIECE_SECS)))
                for _ in range(round(step.secs / PIECE_SECS)):
                    await asyncio.sleep(max(0.0, due - loop.time()))
                    yield piece
                    due += PIECE_SECS
                continue
            await asyncio.sleep(max(0.0, due - loop.time()))


@asynccontextmanager
async def stalling_voice(*plan: Step) -> AsyncIterator[StallingVoice]:
    """Serve such a voice for as long as the block."""

    async def speech(request: web.Request) -> web.StreamResponse:
        await request.json()
        response = web.StreamResponse(headers={"content-type": f"audio/pcm;rate={SPEECH_RATE}"})
        await response.prepare(request)
        async for piece in voice.pieces():
            await response.write(piece)
        await response.write_eof()
        return response

    app = web.Application()
    app.router.add_post("/v1/audio/speech", speech)
    async with serving_app(app) as url:
        voice = StallingVoice(f"{url}/v1", plan)
        for step in (*plan, Play(PIECE_SECS)):
            tone(step.secs)  # it takes long enough to disturb what is measured
        yield voice

"""Cartesia's speech recognition over a websocket, on loopback.

Speaks as much of https://docs.cartesia.ai/api-reference/stt/stt as Pipecat's
``CartesiaSTTService`` uses: audio comes in, and the transcript goes out on ``finalize``.
"""

import json
from typing import Self

from websockets.asyncio.server import Server, ServerConnection, serve

LOOPBACK = "127.0.0.1"


class CartesiaEars:
    """Hears the same words in whatever is said; on a free port while its block lasts.

    Args:
        hears: The words.
    """

    def __init__(self, hears: str) -> None:
        self.hears = hears
        self._server: Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await serve(self._listen, LOOPBACK, 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        """The ``base_url`` of ``CartesiaSTTService``."""
        assert self._server is not None
        return f"ws://{LOOPBACK}:{next(iter(self._server.sockets)).getsockname()[1]}"

    async def _listen(self, connection: ServerConnection) -> None:
        async for message in connection:
            if message == "finalize":
                answer = {"type": "transcript", "text": self.hears, "is_final": True}
                await connection.send(json.dumps({**answer, "language": "en"}))
                await connection.send(json.dumps({"type": "flush_done"}))

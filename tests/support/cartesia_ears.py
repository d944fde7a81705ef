"""Cartesia's speech recognition over a websocket, on loopback.

Speaks as much of https://docs.cartesia.ai/api-reference/stt/stt as Pipecat's
``CartesiaSTTService`` uses: audio comes in, and the transcript goes out on ``finalize``.
"""

import json

from websockets.asyncio.server import ServerConnection

from tests.support.server import WebsocketServer


class CartesiaEars(WebsocketServer):
    """Hears the same words in whatever is said; its URL is ``CartesiaSTTService``'s ``base_url``.

    Args:
        hears: The words.
    """

    def __init__(self, hears: str) -> None:
        super().__init__()
        self.hears = hears

    async def serve(self, client: ServerConnection) -> None:
        async for message in client:
            if message == "finalize":
                answer = {"type": "transcript", "text": self.hears, "is_final": True}
                await client.send(json.dumps({**answer, "language": "en"}))
                await client.send(json.dumps({"type": "flush_done"}))

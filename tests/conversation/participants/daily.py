"""A real DailyTransport, cut off where Pipecat hands over to the native client."""

import asyncio
import uuid
from typing import Any

from pipecat.transports.daily.transport import DailyParams, DailyTransport

from tests.conversation.participants.running import PATIENCE_SECS, from_thread

BOT_ID = "0a1b2c3d-0000-4000-8000-00000000b07a"


def somebody(id: str, name: str | None, **info: Any) -> dict[str, Any]:  # noqa: A002
    """Return a participant as Daily describes one."""
    described = {"isLocal": False, "isOwner": False, **info}
    if name is not None:
        described["userName"] = name
    return {"id": id, "info": described, "media": {}}


MARIA = somebody("3b2e7c1a-0f5d-4a77-9d0e-5b6c7d8e9f00", "Maria")
BOB = somebody("8c1d0b7e-52a9-4f0b-8a3c-1f2e3d4c5b6a", "Bob", isOwner=True)
CARL = somebody("12345678-9abc-4def-8123-456789abcdef", "Carl", userData={"role": "operator"})


class DailyRoom:
    """A room that a test fills with participants."""

    def __init__(self, *already: dict[str, Any]) -> None:
        self.transport = DailyTransport(
            "https://example.daily.co/room",
            None,
            "bot",
            DailyParams(audio_out_enabled=True, audio_out_end_silence_secs=0),
        )
        self.client = self.transport._client
        self._already = already
        self._joined = asyncio.Event()
        self.client._join = self._join
        self.client._leave = self._leave
        self.client.send_message = self._send_message
        self.transport.add_event_handler("on_joined", self._on_joined)

    async def _join(self, *_: Any) -> tuple[Any, None]:
        there = {p["id"]: p for p in self._already}
        local = somebody(BOT_ID, "bot", isLocal=True)
        return {"participants": {"local": local, **there}, "meetingSession": {"id": "m"}}, None

    async def _leave(self, *_: Any) -> None:
        return None

    async def _send_message(self, *_: Any) -> None:
        return None

    async def _on_joined(self, transport: Any, data: Any) -> None:
        self._joined.set()

    async def joined(self) -> None:
        """Wait until the bot is in the room."""
        async with asyncio.timeout(PATIENCE_SECS):
            await self._joined.wait()

    async def happens(self, *events: tuple[Any, ...]) -> None:
        """Have events come from the SDK's thread, and wait until all were dispatched.

        Args:
            *events: Each the name of the client's callback, and what it is called with.
        """
        dispatched = asyncio.Event()
        mark = uuid.uuid4().hex

        async def last(transport: Any, state: str) -> None:
            if state == mark:
                dispatched.set()

        self.transport.add_event_handler("on_call_state_updated", last)
        await from_thread(
            *(lambda e=event: getattr(self.client, e[0])(*e[1:]) for event in events),
            lambda: self.client.on_call_state_updated(mark),
        )
        async with asyncio.timeout(PATIENCE_SECS):
            await dispatched.wait()

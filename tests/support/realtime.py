"""A speech-to-speech model on loopback that speaks OpenAI's Realtime protocol.

Pipecat's own service runs against it unchanged. It hears nothing: a test says what the user
says and when (``hears``), and what the model answers (``answers``).
"""

import asyncio
import base64
import itertools
import json
from typing import Any

from websockets.asyncio.server import ServerConnection

from tests.support.server import WebsocketServer

RATE = 24_000
PIECE_SECS = 0.1
WORD = base64.b64encode(b"\1\0" * int(RATE * PIECE_SECS)).decode()
"""What a word sounds like: a tenth of a second."""

USAGE = {
    "total_tokens": 42,
    "input_tokens": 30,
    "output_tokens": 12,
    "input_token_details": {"cached_tokens": 5, "text_tokens": 10, "audio_tokens": 20},
    "output_token_details": {"text_tokens": 4, "audio_tokens": 8},
}
NO_USAGE = {
    "total_tokens": 0,
    "input_tokens": 0,
    "output_tokens": 0,
    "input_token_details": {"cached_tokens": 0, "text_tokens": 0, "audio_tokens": 0},
    "output_token_details": {"text_tokens": 0, "audio_tokens": 0},
}
"""What a response that came to nothing has used."""


class RealtimeServer(WebsocketServer):
    """The server; its URL is the service's ``base_url``.

    Attributes:
        answers: What the model says next.
        calls: Tools that the model asks for next, instead of an answer: name and arguments.
        fails: What the next response fails with, instead of an answer.
        received: Every event that a client sent.
        word: What a word sounds like, as the protocol sends it.
    """

    path = "/v1/realtime"

    def __init__(self) -> None:
        super().__init__()
        self.answers = "Fine, thank you."
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.fails: str | None = None
        self.received: list[dict[str, Any]] = []
        self.word = WORD
        self.go_on = asyncio.Event()
        self.go_on.set()
        self._numbers = itertools.count(1)
        self._client: ServerConnection | None = None
        self._ready = asyncio.Event()
        self._responding: asyncio.Task[None] | None = None
        self._response: dict[str, Any] = {}

    async def __aexit__(self, *args: object) -> None:
        if self._responding is not None:
            self._responding.cancel()
        await super().__aexit__(*args)

    async def hears(self, text: str) -> None:
        """Have the server hear the user say something to the end, and answer."""
        await self.hears_speech()
        await asyncio.sleep(PIECE_SECS)
        await self.hears_silence(text)

    async def hears_speech(self) -> None:
        """Have the server hear the user begin to speak; that cuts off what it says."""
        await self._ready.wait()
        await self._send("input_audio_buffer.speech_started", audio_start_ms=0, item_id="u")
        if self._responding is not None and not self._responding.done():
            self._responding.cancel()
            await self._done("cancelled")

    async def hears_silence(self, text: str) -> None:
        """Have the server hear that the user has finished, and answer."""
        item = self._id("item_u")
        await self._send("input_audio_buffer.speech_stopped", audio_end_ms=100, item_id=item)
        await self._send("input_audio_buffer.committed", item_id=item)
        content = [{"type": "input_audio", "transcript": None}]
        await self._item(item, type="message", role="user", content=content)
        kind = "conversation.item.input_audio_transcription"
        await self._send(f"{kind}.delta", item_id=item, content_index=0, delta=text)
        await self._send(f"{kind}.completed", item_id=item, content_index=0, transcript=text)
        self._respond()

    async def says_error(self, message: str) -> None:
        """Have the server report an error that ends the connection's use."""
        await self._send("error", error={"type": "server_error", "code": "x", "message": message})

    async def serve(self, client: ServerConnection) -> None:
        self._client = client
        await self._send("session.created", session={"type": "realtime"})
        async for message in client:
            event = json.loads(message)
            self.received.append(event)
            if event["type"] == "session.update":
                await self._send("session.updated", session={"type": "realtime"})
                self._ready.set()
            elif event["type"] == "conversation.item.create":
                item = event["item"]
                await self._item(item.pop("id", None) or self._id("item_c"), **item)
            elif event["type"] == "response.create":
                self._respond()

    def _respond(self) -> None:
        self._responding = asyncio.create_task(self._answer())

    async def _answer(self) -> None:
        self._response = {
            "id": self._id("resp"),
            "object": "realtime.response",
            "status_details": None,
            "output": [],
            "usage": None,
        }
        about = {"response_id": self._response["id"], "output_index": 0}
        await self._send("response.created", response={**self._response, "status": "in_progress"})
        if self.fails is not None:
            error = {"type": "server_error", "message": self.fails}
            self.fails = None
            await self._done("failed", status_details={"type": "failed", "error": error})
            return
        calls, self.calls = self.calls, []
        for name, arguments in calls:
            item, call_id = self._id("item_f"), self._id("call")
            call = {"type": "function_call", "name": name, "call_id": call_id, "arguments": ""}
            await self._send("response.output_item.added", **about, item={"id": item, **call})
            await self._item(item, **call)
            await self._send(
                "response.function_call_arguments.done",
                **about,
                item_id=item,
                call_id=call_id,
                arguments=json.dumps(arguments),
            )
        if not calls:
            await self._say(about)
        await self._done("completed", usage=USAGE)

    async def _say(self, about: dict[str, Any]) -> None:
        item = self._id("item_a")
        message = {"type": "message", "role": "assistant", "content": []}
        await self._send("response.output_item.added", **about, item={"id": item, **message})
        await self._item(item, **message)
        part = {**about, "item_id": item, "content_index": 0}
        await self._send("response.content_part.added", **part, part={"type": "audio"})
        for word in self.answers.split(" "):
            await self._send("response.output_audio_transcript.delta", **part, delta=f"{word} ")
            await self._send("response.output_audio.delta", **part, delta=self.word)
            await asyncio.sleep(PIECE_SECS / 10)
            await self.go_on.wait()
        transcript = self.answers
        await self._send("response.output_audio.done", **part)
        await self._send("response.output_audio_transcript.done", **part, transcript=transcript)
        await self._send("response.output_item.done", **about, item={"id": item, **message})

    async def _done(self, status: str, **more: Any) -> None:
        response = {**self._response, "status": status, "usage": NO_USAGE, **more}
        await self._send("response.done", response=response)

    async def _item(self, item_id: str, **item: Any) -> None:
        for done in ("added", "done"):
            await self._send(f"conversation.item.{done}", item={"id": item_id, **item})

    async def _send(self, type_: str, **event: Any) -> None:
        assert self._client is not None
        message = {"type": type_, "event_id": self._id("event"), **event}
        await self._client.send(json.dumps(message))

    def _id(self, kind: str) -> str:
        return f"{kind}_{next(self._numbers)}"

"""A server of ``pipecat-dd view`` in the test's own process, and what bots and browsers ask it."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import msgpack

from pipecat_dd.cli.view.guard import Guard, new_token
from pipecat_dd.cli.view.intake import LINES_PATH, Intake
from pipecat_dd.cli.view.server import ViewServer, listening_socket
from pipecat_dd.cli.view.store import Store

START_NS = 1_800_000_000_000_000_000
MS = 1_000_000


@dataclass
class Served:
    """A server that runs."""

    url: str
    guard: Guard
    store: Store
    http: aiohttp.ClientSession
    server: ViewServer
    events: list[tuple[str, Any]] = field(default_factory=list)

    @property
    def as_viewer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.guard.token}"}

    @property
    def as_bot(self) -> dict[str, str]:
        return {"DD-API-KEY": self.guard.key}

    async def get(self, path: str) -> Any:
        async with self.http.get(f"{self.url}{path}", headers=self.as_viewer) as answer:
            answer.raise_for_status()
            return await answer.json()

    async def status(self, method: str, path: str, **asked: Any) -> int:
        async with self.http.request(method, f"{self.url}{path}", **asked) as answer:
            await answer.read()
            return answer.status

    async def send(self, *traces: list[dict[str, Any]], version: str = "v0.4") -> None:
        body = msgpack.packb(list(traces) if version == "v0.4" else as_05(list(traces)))
        assert await self.status("PUT", f"/{version}/traces", data=body) == 200

    async def send_lines(self, *lines: dict[str, Any]) -> None:
        answer = await self.status("POST", LINES_PATH, json=list(lines), headers=self.as_bot)
        assert answer == 202

    @asynccontextmanager
    async def following(self, since: int) -> AsyncIterator["Followed"]:
        """Follow what happens, as the page does."""
        url = f"{self.url}/api/events?since={since}"
        async with self.http.get(url, headers=self.as_viewer) as answer:
            assert answer.status == 200
            followed = Followed()
            reading = asyncio.create_task(followed.read(answer))
            try:
                yield followed
            finally:
                reading.cancel()


class Followed:
    """The events that a viewer has got."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Any]] = []
        self.last_id = ""
        self._news = asyncio.Event()

    async def read(self, answer: aiohttp.ClientResponse) -> None:
        buffer = b""
        async for chunk in answer.content.iter_any():
            buffer += chunk
            *whole, buffer = buffer.split(b"\n\n")
            for block in whole:
                given = dict(
                    line.split(": ", 1) for line in block.decode().splitlines() if ": " in line
                )
                self.last_id = given.get("id", self.last_id)
                if "event" in given:
                    self.events.append((given["event"], json.loads(given["data"])))
                    self._news.set()

    async def until(self, found: Callable[[list[tuple[str, Any]]], Any]) -> Any:
        async with asyncio.timeout(10):
            while not (what := found(self.events)):
                self._news.clear()
                await self._news.wait()
            return what

    def of(self, topic: str) -> list[Any]:
        return [data for name, data in self.events if name == topic]


@asynccontextmanager
async def serving(
    store: Store | None = None, host: str = "127.0.0.1", forward: str | None = None
) -> AsyncIterator[Served]:
    """Serve for the duration of a block."""
    listening = listening_socket(host, 0)
    port = listening.getsockname()[1]
    store = store or Store()
    guard = Guard(host, new_token())
    server = ViewServer(store, Intake(store, guard, forward=forward), guard)
    async with server.running(listening), aiohttp.ClientSession() as http:
        yield Served(f"http://127.0.0.1:{port}", guard, store, http, server)


def span(
    name: str,
    span_id: int,
    parent_id: int = 1,
    start_ms: float = 0,
    ms: float = 100,
    *,
    session: str | None = "s-1",
    trace_id: int = 77,
    **given: Any,
) -> dict[str, Any]:
    """Return a span as ddtrace sends it."""
    meta = dict(given.pop("meta", {}))
    if session is not None:
        meta["session_id"] = session
    return {
        "service": "bot",
        "name": name,
        "resource": name,
        "trace_id": trace_id,
        "span_id": span_id,
        "parent_id": parent_id,
        "start": START_NS + int(start_ms * MS),
        "duration": int(ms * MS),
        "error": 0,
        "meta": meta,
        "metrics": {},
        "type": "",
    } | given


def as_05(traces: list[list[dict[str, Any]]]) -> list[Any]:
    """Return traces in version 0.5 of the protocol."""
    texts: dict[str, int] = {"": 0}

    def index(text: str) -> int:
        return texts.setdefault(text, len(texts))

    packed = [
        [
            [
                *(index(one[key]) for key in ("service", "name", "resource")),
                *(one[key] for key in ("trace_id", "span_id", "parent_id", "start", "duration")),
                one["error"],
                {index(key): index(value) for key, value in one["meta"].items()},
                {index(key): value for key, value in one["metrics"].items()},
                index(one["type"]),
            ]
            for one in trace
        ]
        for trace in traces
    ]
    return [list(texts), packed]


def line(message: str, session: str | None = "s-1", ms: float = 0, **given: Any) -> dict[str, Any]:
    """Return a log line."""
    at = (START_NS // MS + ms) / 1000
    made = {
        "timestamp": at * 1000,
        "levelname": "INFO",
        "name": "bot",
        "function": "run",
        "line": 7,
        "message": message,
    }
    return made | ({"session_id": session} if session else {}) | given

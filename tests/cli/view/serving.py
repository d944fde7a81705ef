"""A server that the page can ask: the contract's answers, of calls that a test has made."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from pipecat_dd.cli.view.page import page_html
from tests.cli.view.calls import Call, Json
from tests.support.server import LOOPBACK

NONCE = "n0nce-of-tests"
TOKEN = "t0ken"


class CallServer:
    """Serves the page and its calls; tells the pages that are open of what is new.

    Attributes:
        url: The page's address.
        calls: The calls, by their ids.
        seq: The number of the last event.
    """

    def __init__(self, *calls: Call) -> None:
        self.url = ""
        self.calls = {call.id: call for call in calls}
        self.seq = 0
        self.refused = 0
        self._told: list[tuple[int, str, Json]] = []
        self._streams: set[asyncio.Queue[tuple[int, str, Json] | None]] = set()

    def app(self) -> web.Application:
        """Return the application."""
        app = web.Application()
        app.router.add_get("/", self._page)
        app.router.add_get("/api/sessions", self._sessions)
        app.router.add_get("/api/sessions/{id}", self._session)
        app.router.add_get("/api/events", self._events)
        return app

    def tell(self, kind: str, data: Json) -> None:
        """Send an event to all pages that listen."""
        self.seq += 1
        self._told.append((self.seq, kind, data))
        for stream in self._streams:
            stream.put_nowait(self._told[-1])

    def add(self, call: Call) -> None:
        """Let a call begin, or tell of its summary."""
        self.calls[call.id] = call
        self.tell("sessions", {"sessions": [call.summary]})

    def hang_up(self) -> None:
        """End all streams."""
        for stream in self._streams:
            stream.put_nowait(None)

    def _is_known(self, request: web.Request) -> bool:
        if request.query.get("token") == TOKEN:
            return True
        self.refused += 1
        return False

    async def _page(self, request: web.Request) -> web.Response:
        return web.Response(text=page_html(None, NONCE), content_type="text/html")

    async def _sessions(self, request: web.Request) -> web.Response:
        if not self._is_known(request):
            return web.json_response({}, status=403)
        sessions = [call.summary for call in self.calls.values()]
        return web.json_response({"sessions": sessions, "seq": self.seq})

    async def _session(self, request: web.Request) -> web.Response:
        call = self.calls.get(request.match_info["id"])
        if not self._is_known(request) or call is None:
            return web.json_response({}, status=404)
        return web.json_response(call.as_json() | {"seq": self.seq})

    async def _events(self, request: web.Request) -> web.StreamResponse:
        if not self._is_known(request):
            return web.json_response({}, status=403)
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        await answer.write(b": hello\n\n")
        stream: asyncio.Queue[tuple[int, str, Json] | None] = asyncio.Queue()
        since = int(request.headers.get("Last-Event-ID") or request.query["since"])
        for event in self._told[since:]:
            stream.put_nowait(event)
        self._streams.add(stream)
        try:
            while (told := await stream.get()) is not None:
                number, kind, data = told
                text = f"id: {number}\nevent: {kind}\ndata: {json.dumps(data)}\n\n"
                await answer.write(text.encode())
        finally:
            self._streams.discard(stream)
        return answer


@asynccontextmanager
async def serving(*calls: Call) -> AsyncIterator[CallServer]:
    """Serve calls for as long as the block."""
    server = CallServer(*calls)
    runner = web.AppRunner(server.app(), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, LOOPBACK, 0)
    await site.start()
    server.url = f"http://{LOOPBACK}:{runner.addresses[0][1]}/?token={TOKEN}"
    try:
        yield server
    finally:
        server.hang_up()
        await runner.cleanup()

"""The server: the page, what the page asks for, and the Agent's place."""

import asyncio
import contextlib
import json
import logging
import secrets
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web
from aiohttp.http_exceptions import ContentEncodingError

from pipecat_dd.cli.view.events import events
from pipecat_dd.cli.view.guard import Guard
from pipecat_dd.cli.view.intake import Intake
from pipecat_dd.cli.view.page import page_html, policy
from pipecat_dd.cli.view.store import Store

MAX_BODY_BYTES: Final = 24 * 2**20
"""The largest request, decompressed: ddtrace sends at most 20 MB at once."""
MAX_VIEWERS: Final = 20
_SHUTDOWN_SECS: Final = 0.5
_QUIET_CHECK_SECS: Final = 30.0

_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_QUIET: Final = logging.Logger("pipecat_dd.view", logging.CRITICAL + 1)
"""aiohttp would print a traceback for each malformed request, into the bot's terminal."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ViewServer:
    """Serves the page and takes the Agent's place.

    Args:
        store: The conversations.
        intake: Takes in what bots send.
        guard: Decides who may ask.
    """

    def __init__(self, store: Store, intake: Intake, guard: Guard) -> None:
        self._store = store
        self._intake = intake
        self._guard = guard
        self._viewers = 0
        self._has_complained = False

    @property
    def viewer_count(self) -> int:
        """How many pages follow at the moment."""
        return self._viewers

    @asynccontextmanager
    async def running(self, listening: socket.socket) -> AsyncIterator[None]:
        """Serve for the duration of a block.

        Args:
            listening: The socket to serve on.
        """
        app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[self._answer])
        app.router.add_get("/", self._page)
        app.router.add_get("/api/sessions", self._sessions)
        app.router.add_get("/api/sessions/{id:.+}", self._session)
        app.router.add_get("/api/events", self._events)
        self._intake.add_routes(app.router)
        app.on_shutdown.append(self._let_viewers_leave)
        runner = web.AppRunner(
            app,
            access_log=None,
            logger=_QUIET,
            handle_signals=False,
            shutdown_timeout=_SHUTDOWN_SECS,
        )
        await runner.setup()
        quiet = asyncio.create_task(self._look_for_quiet())
        try:
            await web.SockSite(runner, listening).start()
            yield
        finally:
            quiet.cancel()
            await runner.cleanup()
            await self._intake.close()

    async def _let_viewers_leave(self, _: web.Application) -> None:
        self._store.changes.close()

    async def _look_for_quiet(self) -> None:
        while True:
            await asyncio.sleep(_QUIET_CHECK_SECS)
            self._store.end_quiet()

    @web.middleware
    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuse what is not for us, and have every answer carry the same headers."""
        try:
            if not self._guard.is_for_us(request.headers):
                raise web.HTTPForbidden
            answer = await handler(request)
        except web.HTTPException as refused:
            answer = web.Response(status=refused.status, text=f"{refused.reason}\n")
        except (asyncio.CancelledError, ConnectionError):
            raise
        except (web.RequestPayloadError, ContentEncodingError):  # compressed, and not as it says
            answer = web.Response(status=400)
        except Exception as error:
            # The terminal is the bot's: one line, not a traceback for each request.
            self._complain(error)
            answer = web.Response(status=500)
        if not answer.prepared:
            for name, value in _HEADERS.items():
                answer.headers.setdefault(name, value)
        return answer

    def _complain(self, error: Exception) -> None:
        if not self._has_complained:
            self._has_complained = True
            sys.stderr.write(f"pipecat-dd: a request could not be answered ({error!r:.200})\n")

    def _check(self, request: web.Request) -> None:
        if not self._guard.may_see(request.headers, request.query):
            raise web.HTTPForbidden

    async def _page(self, request: web.Request) -> web.StreamResponse:
        self._check(request)
        nonce = secrets.token_urlsafe(16)
        answer = web.Response(text=page_html(None, nonce), content_type="text/html")
        answer.headers["Content-Security-Policy"] = (
            policy(nonce, has_server=True) + "; frame-ancestors 'none'"
        )
        return answer

    async def _sessions(self, request: web.Request) -> web.StreamResponse:
        self._check(request)
        number = self._store.changes.number
        return web.json_response({"sessions": self._store.summaries(), "seq": number}, dumps=_dumps)

    async def _session(self, request: web.Request) -> web.StreamResponse:
        self._check(request)
        body = self._store.call_json(request.match_info["id"])
        if body is None:
            raise web.HTTPNotFound
        answer = web.Response(body=body, content_type="application/json", charset="utf-8")
        answer.enable_compression()
        return answer

    async def _events(self, request: web.Request) -> web.StreamResponse:
        self._check(request)
        if self._viewers >= MAX_VIEWERS:
            raise web.HTTPServiceUnavailable
        text = request.headers.get("Last-Event-ID") or request.query.get("since", "")
        since = int(text) if text.isascii() and text.isdigit() and len(text) < 16 else -1
        answer = web.StreamResponse(headers=dict(_HEADERS))
        answer.content_type = "text/event-stream"
        answer.charset = "utf-8"
        await answer.prepare(request)
        self._viewers += 1
        try:
            async for event in events(self._store, since):
                await answer.write(event)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._viewers -= 1
        return answer


def _dumps(value: object) -> str:
    return (
        json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        .encode("utf-8", "replace")
        .decode()
    )


def listening_socket(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Args:
        host: The address.
        port: The port; 0 for a free one.

    Raises:
        OSError: The port is taken, or the address is none of this machine's.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    family, kind, protocol, _, address = found[0]
    made = socket.socket(family, kind, protocol)
    with contextlib.suppress(OSError, AttributeError):
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind(address)
        made.listen(128)
    except OSError:
        made.close()
        raise
    made.setblocking(False)
    return made

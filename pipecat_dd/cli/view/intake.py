"""Takes the Agent's place: ddtrace's traces, and what else it sends, and our log lines.

What an Agent would answer is answered, so that ddtrace neither complains nor tries again. With
``forward``, each request also goes to a real Agent, and its answer back to the bot.
"""

import asyncio
import sys
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web

from pipecat_dd.cli.view.guard import Guard
from pipecat_dd.cli.view.keep import Keeper
from pipecat_dd.cli.view.payloads import PayloadError, lines_of, spans_of
from pipecat_dd.cli.view.store import Store

UNIX: Final = "unix://"
"""What the URL of a Unix domain socket begins with."""
LINES_PATH: Final = "/pipecat-dd/lines"
"""Where a bot under ``view`` sends its lines."""
_VERSIONS: Final = ("v0.3", "v0.4", "v0.5")
_FORWARD_SECS: Final = 5.0
_NO_SAMPLING: Final = {"rate_by_service": {"service:,env:": 1.0}}
_INFO: Final = {
    "version": "7.0.0+pipecat-dd-view",
    "endpoints": [
        *(f"/{version}/traces" for version in _VERSIONS),
        *("/v0.6/stats", "/v0.7/config", "/evp_proxy/v2/", "/evp_proxy/v4/"),
        "/telemetry/proxy/",
        # Without one of these, ddtrace-run prints that the Agent is too old.
        *("/debugger/v2/input", "/debugger/v1/diagnostics"),
    ],
    "client_drop_p0s": False,
    "span_meta_structs": True,
    "long_running_spans": False,
    "config": {"statsd_port": 8125},
}
_NOT_PASSED_ON: Final = frozenset(
    {"host", "connection", "transfer-encoding", "content-length", "content-encoding", "te"}
)


class Intake:
    """Takes in what bots send.

    Args:
        store: Keeps the conversations.
        guard: Decides who may bring something.
        keeper: Writes to disk; None to write nothing.
        forward: The URL of a real Agent that gets everything as well, ``http://…``, or
            ``unix:///path`` for its socket; None for none.
    """

    def __init__(
        self, store: Store, guard: Guard, keeper: Keeper | None = None, forward: str | None = None
    ) -> None:
        self._store = store
        self._guard = guard
        self._keeper = keeper
        self._forward: str | None = None
        self._socket_path: str | None = None
        if forward is not None:
            self.forward_to(forward)
        self._http: aiohttp.ClientSession | None = None
        self._has_complained = False

    def forward_to(self, url: str) -> None:
        """Pass everything on to a real Agent from now on.

        Args:
            url: The Agent's URL.
        """
        self._forward = url.rstrip("/")
        self._socket_path = urlsplit(url).path if url.startswith(UNIX) else None

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Add the paths of an Agent's to a server."""
        for version in _VERSIONS:
            for method in ("PUT", "POST"):
                router.add_route(method, f"/{version}/traces", self._taking(version))
        router.add_post(LINES_PATH, self._lines)
        router.add_get("/info", self._other)
        prefixes = ("v0.6", "v0.7", "v0.1", "v1.0", "telemetry", "evp_proxy", "profiling")
        for prefix in (*prefixes, "debugger", "dogstatsd", "tracer_flare", "symdb", "v0.5", "v0.4"):
            router.add_route("*", f"/{prefix}/{{rest:.*}}", self._other)

    async def close(self) -> None:
        """Close the connections to the real Agent."""
        if self._http is not None:
            await self._http.close()

    def _taking(self, version: str) -> Callable[[web.Request], "asyncio.Future[web.Response]"]:
        async def take(request: web.Request) -> web.Response:
            self._check(request)
            body = await request.read()
            try:
                spans = spans_of(body, version)
            except PayloadError as error:
                return web.Response(status=400, text=f"{error}\n")
            self._store.add_spans(spans)
            if self._keeper is not None:
                self._keeper.keep_spans(spans)
            return await self._passed_on(request, body) or web.json_response(_NO_SAMPLING)

        return take  # type: ignore[return-value]

    async def _lines(self, request: web.Request) -> web.Response:
        self._check(request)
        if not self._guard.has_key(request.headers):
            return web.Response(status=403)
        try:
            lines = lines_of(await request.read())
        except PayloadError as error:
            return web.Response(status=400, text=f"{error}\n")
        self.take_lines(lines)
        return web.json_response({}, status=202)

    def take_lines(self, lines: list[dict[str, object]]) -> None:
        """Take lines in."""
        self._store.add_lines(lines)
        if self._keeper is not None:
            self._keeper.keep_lines(lines)

    async def _other(self, request: web.Request) -> web.Response:
        self._check(request)
        body = await request.read()
        answer = await self._passed_on(request, body)
        if answer is not None:
            return answer
        return web.json_response(_INFO if request.path == "/info" else {})

    def _check(self, request: web.Request) -> None:
        if not self._guard.may_bring(request.headers):
            raise web.HTTPForbidden

    async def _passed_on(self, request: web.Request, body: bytes) -> web.Response | None:
        """Return the real Agent's answer; None if there is no such Agent, or no answer."""
        if self._forward is None:
            return None
        if self._http is None:
            timeout = aiohttp.ClientTimeout(total=_FORWARD_SECS)
            path = self._socket_path
            connector = None if path is None else aiohttp.UnixConnector(path)
            self._http = aiohttp.ClientSession(timeout=timeout, connector=connector)
        headers = {
            name: value
            for name, value in request.headers.items()
            if name.lower() not in _NOT_PASSED_ON
        }
        base = self._forward if self._socket_path is None else "http://localhost"
        url = f"{base}{request.rel_url}"
        try:
            async with self._http.request(
                request.method, url, data=body or None, headers=headers, allow_redirects=False
            ) as answer:
                return web.Response(
                    status=answer.status,
                    body=await answer.read(),
                    content_type=answer.content_type,
                )
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self._complain(error)
            return None

    def _complain(self, error: BaseException) -> None:
        if not self._has_complained:
            self._has_complained = True
            sys.stderr.write(
                f"pipecat-dd: the Agent at {self._forward} does not answer "
                f"({type(error).__name__}); the page still shows everything\n"
            )

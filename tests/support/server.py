"""What every server that a test stands up has in common: a free port, serving, and the end.

A server of a test says only what it answers. By the library that its protocol needs it stands on

- ``WebsocketServer``, for the providers that Pipecat's services connect to;
- ``HttpServer`` with ``HttpHandler``, in threads, for what other processes and clients that block
  ask: they answer while the test's own event loop is busy, or there is none;
- ``serving_app``, for an aiohttp application.
"""

import contextlib
import socket
import socketserver
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any, ClassVar, Self

from aiohttp import web
from websockets.asyncio.server import Server, ServerConnection, serve

LOOPBACK = "127.0.0.1"


class WebsocketServer:
    """A websocket server; listens on a free port for as long as its ``async with`` block.

    Attributes:
        path: What its URL ends with.
    """

    path: ClassVar[str] = ""

    def __init__(self) -> None:
        self._server: Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await serve(self.serve, LOOPBACK, 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        """Where it listens, as a service of Pipecat's is given it."""
        assert self._server is not None
        return f"ws://{LOOPBACK}:{next(iter(self._server.sockets)).getsockname()[1]}{self.path}"

    async def serve(self, client: ServerConnection) -> None:
        """Talk to a client that has connected; the connection ends with this."""
        raise NotImplementedError


class HttpHandler(BaseHTTPRequestHandler):
    """Handles requests without a word on standard error.

    Attributes:
        methods: The requests that it handles; others are answered with 501.
    """

    protocol_version = "HTTP/1.1"
    methods: ClassVar[tuple[str, ...]] = ("GET", "POST", "PUT")

    def respond(self) -> None:
        """Answer a request."""
        raise NotImplementedError

    def do_GET(self) -> None:
        if self.command in self.methods:
            self.respond()
        else:
            self.answer(501)

    def do_POST(self) -> None:
        self.do_GET()

    def do_PUT(self) -> None:
        self.do_GET()

    def do_CONNECT(self) -> None:
        self.do_GET()

    def read_body(self) -> bytes:
        """Return the body of the request, which a client may send in chunks."""
        if "chunked" not in self.headers.get("Transfer-Encoding", "").lower():
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        """Send an answer.

        Args:
            status: HTTP's status.
            body: What comes with it.
            **headers: More headers; an underscore in a name stands for a hyphen.
        """
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class _InThreads(socketserver.ThreadingMixIn, socketserver.BaseServer):
    """Serves in threads between its start and its stop, or for as long as its block."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, *args: Any) -> None:
        self._connections: set[socket.socket] = set()
        self._serving: threading.Thread | None = None
        super().__init__(*args)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Begin to serve."""
        self._serving = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)
        self._serving.start()

    def stop(self) -> None:
        """Refuse connections from here on, and cut those that are open."""
        if self._serving is None:
            return
        self.shutdown()
        self.server_close()
        self.cut_connections()
        self._serving.join()
        self._serving = None

    def cut_connections(self) -> None:
        """Cut the connections that are open."""
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, *_: Any) -> None:
        """Say nothing: clients hang up, or are hung up on."""


class HttpServer(_InThreads, socketserver.TCPServer):
    """An HTTP server on the loopback interface.

    Args:
        handler: Handles the requests.
        port: Where to listen; 0 for a free port.
    """

    allow_reuse_address = True

    def __init__(self, handler: type[HttpHandler], port: int = 0) -> None:
        super().__init__((LOOPBACK, port), handler)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{LOOPBACK}:{self.port}"


class HttpServerOnASocket(_InThreads, socketserver.UnixStreamServer):
    """An HTTP server on a Unix socket.

    Args:
        handler: Handles the requests.
        path: Where the socket is to be.
    """

    def __init__(self, handler: type[HttpHandler], path: str) -> None:
        super().__init__(path, handler)


@asynccontextmanager
async def serving_app(app: web.Application) -> AsyncIterator[str]:
    """Serve an aiohttp application on a free port for as long as the block; yield its URL."""
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, LOOPBACK, 0).start()
        yield f"http://{LOOPBACK}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()

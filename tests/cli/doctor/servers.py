"""Small real servers that answer as an Agent or Datadog's API would, or do not."""

import json
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

INFO = {
    "version": "7.60.0",
    "endpoints": ["/v0.4/traces", "/v0.5/traces", "/v0.6/stats", "/evp_proxy/v2/"],
}
VALID = {"valid": True}


@dataclass
class Server:
    """What a server answers, and what it was asked.

    Attributes:
        status: HTTP's status.
        body: What comes with it, as JSON; bytes as they are.
        ahead_secs: How far its clock is ahead.
        delay_secs: How long it takes.
    """

    status: int = 200
    body: Any = field(default_factory=lambda: dict(INFO))
    ahead_secs: float = 0
    delay_secs: float = 0
    url: str = ""
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.asked.append((self.path, dict(self.headers)))
            time.sleep(server.delay_secs)
            body = server.body if isinstance(server.body, bytes) else json.dumps(server.body)
            self.send_response(server.status)
            self.end_headers()
            self.wfile.write(body if isinstance(body, bytes) else body.encode())

        def do_CONNECT(self) -> None:
            self.do_GET()

        def do_POST(self) -> None:
            self.do_GET()

        def do_PUT(self) -> None:
            self.do_GET()

        def date_time_string(self, timestamp: float | None = None) -> str:
            return formatdate(time.time() + server.ahead_secs, usegmt=True)

        def address_string(self) -> str:
            return "somebody"

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@contextmanager
def answering(server: Server) -> Iterator[Server]:
    """Run a server on a free port of the loopback interface."""
    listening = ThreadingHTTPServer(("127.0.0.1", 0), _handler(server))
    server.url = f"http://127.0.0.1:{listening.server_port}"
    with _serving(listening):
        yield server


@contextmanager
def answering_on_a_socket(path: Path, server: Server) -> Iterator[Server]:
    """Run a server on a Unix socket."""
    server.url = f"unix://{path}"

    class Listening(socketserver.ThreadingUnixStreamServer):
        daemon_threads = True

    with _serving(Listening(str(path), _handler(server))):
        yield server


@contextmanager
def _serving(listening: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=listening.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        listening.shutdown()
        listening.server_close()
        thread.join(5)

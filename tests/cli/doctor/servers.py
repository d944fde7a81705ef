"""Small real servers that answer as an Agent or Datadog's API would, or do not."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from typing import Any

from tests.support.server import HttpHandler, HttpServer, HttpServerOnASocket

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


def _handler(server: Server) -> type[HttpHandler]:
    class Handler(HttpHandler):
        methods = ("GET", "POST", "PUT", "CONNECT")

        def respond(self) -> None:
            server.asked.append((self.path, dict(self.headers)))
            time.sleep(server.delay_secs)
            is_raw = isinstance(server.body, bytes)
            self.answer(server.status, server.body if is_raw else json.dumps(server.body).encode())

        def date_time_string(self, timestamp: float | None = None) -> str:
            return formatdate(time.time() + server.ahead_secs, usegmt=True)

    return Handler


@contextmanager
def answering(server: Server) -> Iterator[Server]:
    """Run a server on a free port of the loopback interface."""
    with HttpServer(_handler(server)) as listening:
        server.url = listening.url
        yield server


@contextmanager
def answering_on_a_socket(path: Path, server: Server) -> Iterator[Server]:
    """Run a server on a Unix socket."""
    server.url = f"unix://{path}"
    with HttpServerOnASocket(_handler(server), str(path)):
        yield server

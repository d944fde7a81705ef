"""An Agent that can be ill: dead, slow, refusing, or up and down every second.

It speaks as much of the Agent's protocol as ddtrace needs (``DD_TRACE_API_VERSION=v0.4``), keeps
what it took, and when. It runs in threads: whoever sends to it is another process.
"""

import json
import threading
import time
from enum import Enum
from typing import Any, Self

import msgpack

from tests.support.ports import free_server_port
from tests.support.server import LOOPBACK, HttpHandler, HttpServer

ENVIRONMENT = {
    "DD_TRACE_API_VERSION": "v0.4",
    "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
    "DD_REMOTE_CONFIGURATION_ENABLED": "false",
    "DD_TRACE_STARTUP_LOGS": "false",
}
"""What a process needs, besides ``DD_TRACE_AGENT_URL``, to send traces here and nothing else."""

SLOW_SECS = 10.0


class Health(Enum):
    """How the Agent is."""

    WELL = "well"
    DEAD = "dead"
    """Nothing listens."""
    SLOW = "slow"
    """Answers after ten seconds."""
    BUSY = "429"
    BROKEN = "500"
    TOO_LARGE = "413"
    FLAPPING = "flapping"
    """Up and down every second."""


def _handler(agent: "IllAgent") -> type[HttpHandler]:
    class Handler(HttpHandler):
        def respond(self) -> None:
            if self.command == "GET":
                self._answer(200, {"endpoints": ["/v0.4/traces"], "version": "7.60.0"})
                return
            body = self.read_body()
            health = agent.health
            if health is Health.SLOW and agent.dies.wait(SLOW_SECS):
                return
            if health.value.isdigit():
                agent.refused += 1
                self._answer(int(health.value), {})
                return
            if "/traces" in self.path:
                agent.take(body)
            self._answer(200, {"rate_by_service": {}})

        def _answer(self, status: int, content: dict[str, Any]) -> None:
            self.answer(status, json.dumps(content).encode(), Content_Type="application/json")

    return Handler


class IllAgent:
    """An Agent on a port of its own; use as a context manager.

    Attributes:
        health: How it is.
        spans: What it took, with the time of arrival (``time.monotonic()``) in ``arrived``.
        refused: How many requests it has refused.
        dies: Set when it ends.
    """

    def __init__(self, health: Health = Health.WELL) -> None:
        self.port = free_server_port()
        self.url = f"http://{LOOPBACK}:{self.port}"
        self.health = Health.DEAD
        self.spans: list[dict[str, Any]] = []
        self.refused = 0
        self.dies = threading.Event()
        self._first = health
        self._server: HttpServer | None = None
        self._flapping: threading.Thread | None = None
        self._changed = threading.Event()

    def __enter__(self) -> Self:
        self.becomes(self._first)
        return self

    def __exit__(self, *_: object) -> None:
        self.becomes(Health.DEAD)
        self.dies.set()

    def becomes(self, health: Health) -> None:
        """Fall ill, or recover."""
        self._changed.set()
        if self._flapping is not None:
            self._flapping.join()
            self._flapping = None
        self._changed.clear()
        self.health = health
        if health is Health.FLAPPING:
            self._flapping = threading.Thread(target=self._flap, daemon=True)
            self._flapping.start()
        elif health is Health.DEAD:
            self._down()
        else:
            self._up()

    def of(self, session_id: str) -> list[dict[str, Any]]:
        """Return the spans of a session that have arrived."""
        return [
            span
            for span in list(self.spans)
            if (span.get("meta") or {}).get("session_id") == session_id
        ]

    def take(self, body: bytes) -> None:
        """Keep what a request brings."""
        now = time.monotonic()
        for chunk in msgpack.unpackb(body, raw=False, strict_map_key=False):
            self.spans.extend({**span, "arrived": now} for span in chunk)

    def _flap(self) -> None:
        while True:
            self._up()
            if self._changed.wait(1):
                return
            self._down()
            if self._changed.wait(1):
                return

    def _up(self) -> None:
        if self._server is None:
            self._server = HttpServer(_handler(self), self.port)
            self._server.start()

    def _down(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.stop()

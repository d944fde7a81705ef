"""A log intake that behaves as Datadog's does, and that misbehaves when told to.

A real HTTP server on loopback. It reads what it is sent, holds it against Datadog's limits, and
answers as its script says: with a status, slowly, not at all.
"""

import gzip
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.support.server import HttpHandler, HttpServer

KEY = "0123456789abcdef0123456789abcdef"
MAX_REQUEST_BYTES = 5_000_000
MAX_LINES = 1_000
MAX_LINE_BYTES = 1_000_000


@dataclass(frozen=True)
class Request:
    """What was sent, as it came.

    Attributes:
        at: When it had come whole, on `time.monotonic`'s clock.
        path: Its target.
        headers: Its headers, by name in lower case.
        size: Its size before compression.
        lines: Its lines.
        status: What was answered; None where nothing was.
    """

    at: float
    path: str
    headers: dict[str, str]
    size: int
    lines: list[dict[str, Any]]
    status: int | None


@dataclass(frozen=True)
class Reply:
    """How to answer a request.

    Attributes:
        status: With which status; None to cut the connection.
        headers: With which headers.
        after: Waited for before the answer is given.
        keeps: Whether the lines are taken in. By default if the status says so.
    """

    status: int | None = 202
    headers: tuple[tuple[str, str], ...] = ()
    after: threading.Event | None = None
    keeps: bool | None = None


Script = Callable[[int, list[dict[str, Any]]], Reply]
"""Answers by the number of the request, from 0 on, and its lines."""


class Intake:
    """A running intake."""

    def __init__(self, script: Script, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.script = script
        self.requests: list[Request] = []
        self.connections = 0
        self._lines: list[dict[str, Any]] = []
        self._changed = threading.Condition()
        intake = self

        class Handler(_Handler):
            methods = ("POST",)

            def setup(self) -> None:
                super().setup()
                intake.connections += 1

            def respond(self) -> None:
                intake._serve(self)

        self._server = HttpServer(Handler, port)
        self.port = self._server.port
        self.url = f"{self._server.url}/api/v2/logs"
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
            self.url = f"https://localhost:{self.port}/api/v2/logs"
        self._server.start()

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The lines that were taken in, in the order they came."""
        with self._changed:
            return list(self._lines)

    @property
    def messages(self) -> list[str]:
        """Their messages."""
        return [line["message"] for line in self.lines]

    def wait(self, holds: Callable[[], bool], timeout_secs: float = 10.0) -> None:
        """Wait until something holds after a request."""
        with self._changed:
            if not self._changed.wait_for(holds, timeout_secs):
                raise TimeoutError(f"{len(self.requests)} requests, {len(self._lines)} lines")

    def wait_for_lines(self, count: int, timeout_secs: float = 10.0) -> list[dict[str, Any]]:
        """Return the lines once there are so many."""
        self.wait(lambda: len(self._lines) >= count, timeout_secs)
        return self.lines

    def wait_for_requests(self, count: int, timeout_secs: float = 10.0) -> list[Request]:
        """Return the requests once there are so many."""
        self.wait(lambda: len(self.requests) >= count, timeout_secs)
        return list(self.requests)

    def cut_connections(self) -> None:
        """Cut the connections that are open."""
        self._server.cut_connections()

    def stop(self) -> None:
        """Be down: connections are refused."""
        self._server.stop()

    def _serve(self, handler: "_Handler") -> None:
        text = gzip.decompress(handler.read_body())
        lines = json.loads(text)
        headers = {name.lower(): value for name, value in handler.headers.items()}
        with self._changed:
            number = len(self.requests)
            reply = self.script(number, lines)
            if reply.status == 202 and not _is_within_limits(text, lines):
                reply = Reply(413)
            if reply.status == 202 and headers.get("dd-api-key") != KEY:
                reply = Reply(403)
            keeps = reply.status == 202 if reply.keeps is None else reply.keeps
            self.requests.append(
                Request(time.monotonic(), handler.path, headers, len(text), lines, reply.status)
            )
            if keeps:
                self._lines.extend(lines)
            self._changed.notify_all()
        if reply.after is not None:
            reply.after.wait(60)
        if reply.status is None:
            handler.cut()
            return
        answer = b"{}" if reply.status == 202 else b'{"errors":[]}'
        handler.answer(reply.status, answer, **dict(reply.headers))


class _Handler(HttpHandler):
    def cut(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)


def _is_within_limits(text: bytes, lines: list[dict[str, Any]]) -> bool:
    return len(text) <= MAX_REQUEST_BYTES and len(lines) <= MAX_LINES


def always(status: int | None = 202, **options: Any) -> Script:
    """Answer all requests alike."""
    reply = Reply(status, **options)
    return lambda number, lines: reply


def first(*replies: Reply) -> Script:
    """Answer the first requests so, in order, and accept all others."""
    return lambda number, lines: replies[number] if number < len(replies) else Reply()


@contextmanager
def running_intake(
    script: Script | None = None, port: int = 0, tls: ssl.SSLContext | None = None
) -> Iterator[Intake]:
    """Run an intake."""
    intake = Intake(script or always(), port, tls)
    try:
        yield intake
    finally:
        intake.stop()

"""The door to the network: ``http.client``.

One host, one connection, one request at a time, from one thread: what a client library adds to
that (pools, retries of its own, sessions) would be turned off again. ``datadog-api-client``
makes an object of each line and takes 95 MB; ``httpx`` and ``urllib3`` log each request, which
would be a line to ship, and are what ddtrace's integrations patch. ``http.client`` logs
nothing, and is there in every installation.

ddtrace can be told to patch it as well. A request of ours must not become a span of the
conversation, so the methods beneath whatever wraps them are called.
"""

import contextlib
import http.client
import inspect
import math
import select
import socket
import ssl
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlsplit

from pipecat_dd._network import connection_to, tls_context

_IDLE_SECS: Final = 20.0
"""How long a connection may lie idle and be used again: load balancers cut them at 30 or 60."""
_MAX_ANSWER_BYTES: Final = 65_536


class Unreachable(Exception):  # noqa: N818 (what the intake is)
    """No answer came. Whether the request arrived is not known."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the intake said.

    Attributes:
        status: The HTTP status.
        wait_secs: How long it asks to be left alone, in seconds; None where it does not say.
    """

    status: int
    wait_secs: float | None = None


class _Beneath:
    """Leaves aside whatever wraps the methods of `http.client.HTTPConnection`."""

    def request(self, *args: Any, **kwargs: Any) -> None:
        inspect.unwrap(http.client.HTTPConnection.request)(self, *args, **kwargs)

    def putrequest(self, *args: Any, **kwargs: Any) -> None:
        inspect.unwrap(http.client.HTTPConnection.putrequest)(self, *args, **kwargs)

    def putheader(self, *args: Any) -> None:
        inspect.unwrap(http.client.HTTPConnection.putheader)(self, *args)

    def getresponse(self) -> http.client.HTTPResponse:
        response: http.client.HTTPResponse
        response = inspect.unwrap(http.client.HTTPConnection.getresponse)(self)
        return response


class _Plain(_Beneath, http.client.HTTPConnection):
    pass


class _Secure(_Beneath, http.client.HTTPSConnection):
    pass


class Intake:
    """Sends requests to one URL, over a connection that it keeps.

    For one thread; only `interrupt` may be called from another.

    Args:
        url: Where to.
        api_key: The API key.
        timeout_secs: How long a connection, and an answer, may take.
    """

    def __init__(self, url: str, api_key: str, timeout_secs: float) -> None:
        self._url = urlsplit(url)
        self._api_key = api_key
        self._timeout_secs = timeout_secs
        self._connection: http.client.HTTPConnection | None = None
        self._tls: ssl.SSLContext | None = None
        self._used_at = 0.0

    @property
    def place(self) -> str:
        """Host and port, for people, and as a directory's name."""
        host = self._url.hostname or ""
        return host if self._url.port is None else f"{host}:{self._url.port}"

    def post(self, body: bytes, timeout_secs: float | None = None) -> Answer:
        """Send a request.

        Args:
            body: A JSON array, compressed by gzip.
            timeout_secs: How long it may take, where that is less than usual.

        Raises:
            Unreachable: No answer came.
        """
        timeout_secs = min(self._timeout_secs, timeout_secs or self._timeout_secs)
        try:
            connection = self._connected(timeout_secs)
            connection.request(
                "POST",
                self._target(),
                body=body,
                headers={
                    "DD-API-KEY": self._api_key,
                    "Content-Type": "application/json",
                    "Content-Encoding": "gzip",
                    "User-Agent": "pipecat-dd",
                },
            )
            response = connection.getresponse()
            read = response.read(_MAX_ANSWER_BYTES)
            self._used_at = time.monotonic()
            if response.will_close or len(read) == _MAX_ANSWER_BYTES:
                self.close()
            return Answer(response.status, _wait_secs(response.headers))
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            # From nothing: what it holds (headers, a proxy's password) must not be logged.
            raise Unreachable(_said(error)) from None
        except BaseException:
            self.close()
            raise

    def interrupt(self) -> None:
        """Cut the connection, so that a request that waits in another thread fails at once."""
        connection = self._connection
        sock = getattr(connection, "sock", None)
        if sock is not None:
            with contextlib.suppress(OSError):
                # Of the socket itself: TLS's own would first take leave of the other side.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.close()

    def _connected(self, timeout_secs: float) -> http.client.HTTPConnection:
        connection = self._connection
        if connection is not None and connection.sock is not None:
            idle_secs = time.monotonic() - self._used_at
            if idle_secs < _IDLE_SECS and not _is_closed(connection.sock):
                connection.sock.settimeout(timeout_secs)
                return connection
        self.close()
        # Known before it is connected: `interrupt` can then reach it.
        connection = self._connection = self._made(timeout_secs)
        connection.connect()
        return connection

    def _made(self, timeout_secs: float) -> http.client.HTTPConnection:
        if self._url.scheme == "https":
            self._tls = self._tls or tls_context()
        return connection_to(self._url, timeout_secs, tls=self._tls, plain=_Plain, secure=_Secure)

    def _target(self) -> str:
        return self._url.path + (f"?{self._url.query}" if self._url.query else "")


def _is_closed(sock: socket.socket) -> bool:
    """Tell whether the other side has closed, or said what nobody asked for."""
    try:
        if not hasattr(select, "poll"):
            return bool(select.select([sock], [], [], 0)[0])
        polled = select.poll()
        polled.register(sock, select.POLLIN)
        return bool(polled.poll(0))
    except (OSError, ValueError):
        return True


def _wait_secs(headers: http.client.HTTPMessage) -> float | None:
    """Return how long the intake asks to be left alone."""
    for name in ("Retry-After", "X-RateLimit-Reset"):
        text = headers.get(name)
        if text is None:
            continue
        try:
            secs = float(text)
        except ValueError:
            try:
                secs = parsedate_to_datetime(text).timestamp() - time.time()
            except (ValueError, TypeError, OverflowError):
                continue
        if math.isfinite(secs):
            return max(secs, 0.0)
    return None


def _said(error: BaseException) -> str:
    """Return what went wrong, of a kind that holds nothing of what was sent."""
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not valid: {error.verify_message}"
    if isinstance(error, socket.gaierror):
        return "its name is not known"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__

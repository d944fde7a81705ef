"""Sends requests to the intake with ``http.client``.

Shipping needs one connection to one host, one request at a time, from one thread. The pools,
retries and sessions of a client library would only have to be turned off. ``datadog-api-client``
creates an object for each line and takes 95 MB. ``httpx`` and ``urllib3`` log each request, which
would be another line to ship, and ddtrace patches both. ``http.client`` logs nothing and is part
of Python.

ddtrace can be configured to patch it, too. Our requests must not become spans of the
conversation, so the original methods are called.
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
"""How long an idle connection is reused: load balancers close them after 30 or 60 seconds."""
_MAX_ANSWER_BYTES: Final = 65_536


class Unreachable(Exception):  # noqa: N818 (what the intake is)
    """The intake did not answer. It may still have received the request."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The intake's answer.

    Attributes:
        status: The HTTP status.
        wait_secs: How long to wait before the next request, in seconds; None if the intake did
            not specify it.
    """

    status: int
    wait_secs: float | None = None


class _Unpatched:
    """Calls the methods of `http.client.HTTPConnection` without any wrappers around them."""

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


class _Plain(_Unpatched, http.client.HTTPConnection):
    pass


class _Secure(_Unpatched, http.client.HTTPSConnection):
    pass


class Intake:
    """Sends requests to one URL and keeps the connection open between them.

    It belongs to one thread; only `interrupt` may be called from another.

    Args:
        url: The intake's URL, ``http://`` or ``https://``.
        api_key: Sent as the header ``DD-API-KEY``.
        timeout_secs: How long connecting, and each wait for an answer, may take, in seconds.
    """

    def __init__(self, url: str, api_key: str, timeout_secs: float) -> None:
        self._url = urlsplit(url)
        self._api_key = api_key
        self._timeout_secs = timeout_secs
        self._connection: http.client.HTTPConnection | None = None
        self._tls: ssl.SSLContext | None = None
        self._used_at = 0.0

    @property
    def address(self) -> str:
        """Host, and the port if the URL has one: for messages, and to name a directory."""
        host = self._url.hostname or ""
        return host if self._url.port is None else f"{host}:{self._url.port}"

    def post(self, body: bytes, timeout_secs: float | None = None) -> Answer:
        """Send a request.

        Args:
            body: A JSON array, compressed with gzip.
            timeout_secs: A shorter timeout than the usual one, in seconds; None for the usual.

        Raises:
            Unreachable: The intake did not answer.
        """
        timeout_secs = min(self._timeout_secs, timeout_secs or self._timeout_secs)
        try:
            connection = self._open(timeout_secs)
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
            # "from None": the original error may hold headers or a proxy's password, which must
            # not be logged.
            raise Unreachable(_reason(error)) from None
        except BaseException:
            self.close()
            raise

    def interrupt(self) -> None:
        """Cut the connection, so that a request in another thread fails at once."""
        connection = self._connection
        sock = getattr(connection, "sock", None)
        if sock is not None:
            with contextlib.suppress(OSError):
                # The plain socket's method: that of TLS would first wait for the other side.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection. The next request opens a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.close()

    def _open(self, timeout_secs: float) -> http.client.HTTPConnection:
        connection = self._connection
        if connection is not None and connection.sock is not None:
            idle_secs = time.monotonic() - self._used_at
            if idle_secs < _IDLE_SECS and not _is_closed(connection.sock):
                connection.sock.settimeout(timeout_secs)
                return connection
        self.close()
        # Assigned before it connects, so that `interrupt` can reach it.
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
    """Whether the server has closed the connection, or sent something without a request."""
    try:
        if not hasattr(select, "poll"):
            return bool(select.select([sock], [], [], 0)[0])
        polled = select.poll()
        polled.register(sock, select.POLLIN)
        return bool(polled.poll(0))
    except (OSError, ValueError):
        return True


def _wait_secs(headers: http.client.HTTPMessage) -> float | None:
    """Return how many seconds the intake asks us to wait before the next request."""
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


def _reason(error: BaseException) -> str:
    """Return what went wrong, in words that contain nothing of the request."""
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not valid: {error.verify_message}"
    if isinstance(error, socket.gaierror):
        return "its host name cannot be resolved"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__

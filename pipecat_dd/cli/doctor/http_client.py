"""An HTTP client for the Agent and Datadog's API: a GET request over TCP, TLS or a Unix socket."""

import email.utils
import http.client
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from urllib.parse import SplitResult, urlsplit

from pipecat_dd._network import connection_to

_MOST_BYTES = 1_000_000


class NoAnswerError(Exception):
    """The server did not answer, or not in time. The message says why."""


@dataclass(frozen=True)
class Answer:
    """A server's answer.

    Attributes:
        status: The HTTP status.
        body: The body, up to 1 MB of it.
        took_ms: The time from connecting to the end of the body, in milliseconds.
        ahead_secs: How far this machine's clock is ahead of the server's, in seconds; negative if
            it is behind, None if the server sent no date. Servers send it in whole seconds.
    """

    status: int
    body: bytes
    took_ms: float
    ahead_secs: float | None


class _OverUnixSocket(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def without_userinfo(url: str) -> str:
    """Return a URL without its user name and password."""
    before, is_url, after = url.partition("://")
    if not is_url:
        return url
    authority, slash, path = after.partition("/")
    return f"{before}://{authority.rpartition('@')[2]}{slash}{path}"


def ask(
    url: str,
    path: str,
    timeout_secs: float,
    headers: Mapping[str, str],
    *,
    through_proxy: bool = True,
) -> Answer:
    """Send a GET request and return the answer.

    Args:
        url: The server's URL, with the scheme ``http``, ``https`` or ``unix``.
        path: The path of the request.
        timeout_secs: The time limit for each step, in seconds.
        headers: The headers to send.
        through_proxy: Whether to use the proxy that the environment sets, as the bot's own
            shipping does; False for an Agent.

    Raises:
        NoAnswerError: The server did not answer in HTTP, or not in time.
    """
    parts = urlsplit(url)
    began = time.monotonic()
    try:
        connection = _connection(parts, timeout_secs, through_proxy)
        try:
            prefix = "" if parts.scheme == "unix" else parts.path.rstrip("/")
            connection.request("GET", prefix + path, headers=dict(headers))
            before = time.time()
            response = connection.getresponse()
            at = (before + time.time()) / 2
            body = response.read(_MOST_BYTES)
            date = response.getheader("Date")
        finally:
            connection.close()
    except TimeoutError:
        raise NoAnswerError(f"no answer within {timeout_secs:g} s") from None
    except ConnectionRefusedError:
        raise NoAnswerError("nothing listens there (connection refused)") from None
    except FileNotFoundError:
        raise NoAnswerError("this socket does not exist") from None
    except PermissionError:
        raise NoAnswerError("you have no permission to open this socket") from None
    except socket.gaierror as error:
        raise NoAnswerError(f"the host name is unknown ({error.strerror or error})") from None
    except http.client.HTTPException as error:
        raise NoAnswerError(
            f"the server there does not speak HTTP ({type(error).__name__})"
        ) from None
    except (OSError, ValueError) as error:
        raise NoAnswerError(str(error) or type(error).__name__) from None
    return Answer(response.status, body, (time.monotonic() - began) * 1000, _ahead(at, date))


def _connection(
    parts: SplitResult, timeout_secs: float, through_proxy: bool
) -> http.client.HTTPConnection:
    if parts.scheme == "unix":
        return _OverUnixSocket(parts.netloc + parts.path, timeout_secs)
    if not parts.hostname:
        raise ValueError("this is not the URL of a server")
    return connection_to(parts, timeout_secs, through_proxy=through_proxy)


def _ahead(at: float, date: str | None) -> float | None:
    if not date:
        return None
    try:
        theirs = email.utils.parsedate_to_datetime(date)
    except ValueError:
        return None
    if theirs.tzinfo is None:
        theirs = theirs.replace(tzinfo=UTC)
    # The date is cut to whole seconds: on average, the true time is half a second later.
    return at - (theirs.timestamp() + 0.5)

"""Asking an Agent, or Datadog's API, one question: over TCP, TLS or a Unix socket."""

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
    """Nobody answered, or not in time; the text says why."""


@dataclass(frozen=True)
class Answer:
    """What was answered.

    Attributes:
        status: HTTP's status.
        body: What came with it.
        took_ms: How long that took from connecting on, in milliseconds.
        ahead_secs: By how much our clock is ahead of theirs, in seconds; None where they did not
            tell the time. Theirs is told in whole seconds.
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
    """Return a URL without the user and password in it.

    Args:
        url: The URL.
    """
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
    """Ask with GET, and read the answer.

    Args:
        url: Where: ``http://``, ``https://`` or ``unix://``.
        path: What for.
        timeout_secs: How long each step may take, in seconds.
        headers: HTTP headers to send.
        through_proxy: Whether the proxy that the environment names leads there, as it does for
            the bot's own shipping; False for an Agent.

    Raises:
        NoAnswerError: Nobody answered in HTTP, or not in time.
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
            told = response.getheader("Date")
        finally:
            connection.close()
    except TimeoutError:
        raise NoAnswerError(f"no answer within {timeout_secs:g} s") from None
    except ConnectionRefusedError:
        raise NoAnswerError("nothing listens there (connection refused)") from None
    except FileNotFoundError:
        raise NoAnswerError("there is no such socket") from None
    except PermissionError:
        raise NoAnswerError("this user may not open that socket") from None
    except socket.gaierror as error:
        raise NoAnswerError(f"its name is not known ({error.strerror or error})") from None
    except http.client.HTTPException as error:
        raise NoAnswerError(
            f"what answers there does not speak HTTP ({type(error).__name__})"
        ) from None
    except (OSError, ValueError) as error:
        raise NoAnswerError(str(error) or type(error).__name__) from None
    return Answer(response.status, body, (time.monotonic() - began) * 1000, _ahead(at, told))


def _connection(
    parts: SplitResult, timeout_secs: float, through_proxy: bool
) -> http.client.HTTPConnection:
    if parts.scheme == "unix":
        return _OverUnixSocket(parts.netloc + parts.path, timeout_secs)
    if not parts.hostname:
        raise ValueError("this is no URL of a server")
    return connection_to(parts, timeout_secs, through_proxy=through_proxy)


def _ahead(at: float, told: str | None) -> float | None:
    if not told:
        return None
    try:
        theirs = email.utils.parsedate_to_datetime(told)
    except ValueError:
        return None
    if theirs.tzinfo is None:
        theirs = theirs.replace(tzinfo=UTC)
    # What is told in whole seconds was, on average, half a second later.
    return at - (theirs.timestamp() + 0.5)

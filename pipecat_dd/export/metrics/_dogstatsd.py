"""The one door to the ``datadog`` package: its DogStatsD client.

Sending must never hold the event loop up. A UDP socket takes what it is given; a Unix socket
whose Agent does not read is full at some point, and a host's name has to be looked up. So the
client's own background thread does the sending, on sockets that never wait, from a queue that
drops its oldest packet when it is full. What is sent at once is as few packets as it fits into,
handed over at once: the client's own buffer, and the thread that empties it, are not used.

The client adds ``DD_SERVICE``, ``DD_ENV``, ``DD_VERSION`` and ``DATADOG_TAGS`` as tags, and the
Agent the tags of the container; ``DD_TAGS``, which it does not know, is added here. Its own
telemetry (``datadog.dogstatsd.client.*``, what it sent and dropped) is left on: it is not billed,
and tells when metrics are missing.
"""

import logging
import os
import time
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

from loguru import logger

from pipecat_dd import _ddtrace
from pipecat_dd.names.metric_tags import UNIFIED
from pipecat_dd.names.metrics import Type

PRIVATE: dict[str, str] = {
    "<class>_sender_thread": "the name of the client's thread, by which its log lines are told "
    "from those of other clients",
}
"""What is used here without being documented, and what it is used for."""

DEFAULT_PORT = 8125
DEFAULT_SOCKET = "/var/run/datadog/dsd.socket"
"""Where the Agent listens on a host or in Kubernetes, by Datadog's own defaults."""

QUEUE_PACKETS = 1_000
"""How many packets wait to be sent at most: minutes' worth of a hundred conversations."""

WARNING_EVERY_SECS = 60.0
"""How often the client may say that the Agent does not answer."""

_UNIX_SCHEMES = ("unix", "unixgram", "unixstream")
_NAME = "PipecatDogStatsd"

Line = tuple[Type, str, float, list[str]]
"""A metric to be sent: its type, name, value and tags."""


class Client:
    """A connection to the Agent, or to where it will be."""

    def __init__(self) -> None:
        """Begin to send where the environment says."""
        from datadog.dogstatsd.base import DogStatsd

        _Seldom.install()
        # By the class's name the client names its thread, and that its log lines.
        kind: Any = type(_NAME, (DogStatsd,), {})
        self._statsd = kind(
            **address(),
            constant_tags=[*missing_tags(), *tags_of_spans()],
            disable_aggregation=True,
            disable_buffering=True,
            disable_background_sender=False,
            sender_queue_size=QUEUE_PACKETS,
            # Otherwise each fork waits for the thread to end. A child makes a client anew.
            track_instance=False,
        )
        self._by_type: dict[Type, Callable[..., None]] = {
            Type.DISTRIBUTION: self._statsd.distribution,
            Type.COUNT: self._statsd.increment,
            Type.GAUGE: self._statsd.gauge,
        }

    def send(self, lines: Sequence[Line]) -> None:
        """Hand metrics to the sending thread, in as few packets as they fit into.

        Args:
            lines: The metrics.
        """
        with self._statsd:
            for type_, name, value, tags in lines:
                self._by_type[type_](name, value, tags=tags)

    def flush(self, timeout_secs: float) -> None:
        """Wait until what was handed over is sent, or dropped.

        Args:
            timeout_secs: How long at most.
        """
        self._statsd.wait_for_pending(timeout_secs)


def address() -> dict[str, Any]:
    """Return where metrics are sent to, as the client's arguments.

    As Datadog's own libraries have it: ``DD_DOGSTATSD_URL``; ``DD_DOGSTATSD_SOCKET``;
    ``DD_DOGSTATSD_HOST`` or ``DD_AGENT_HOST`` with ``DD_DOGSTATSD_PORT``; the Agent's default
    Unix socket, where there is one. Failing these, the host that traces are sent to.
    """
    url = _variable("DD_DOGSTATSD_URL")
    if url:
        try:
            parts = urlsplit(url)
            if parts.scheme in _UNIX_SCHEMES:
                return {"socket_path": url}
            if parts.scheme == "udp" and parts.hostname:
                return {"host": parts.hostname, "port": parts.port or DEFAULT_PORT}
        except ValueError:
            pass
        _say_ignored("DD_DOGSTATSD_URL", url, "udp://host:port or unix:///path")
    socket_path = _variable("DD_DOGSTATSD_SOCKET")
    if socket_path:
        return {"socket_path": socket_path}
    host = _variable("DD_DOGSTATSD_HOST") or _variable("DD_AGENT_HOST")
    port = _port()
    if not host and port is None:
        if os.path.exists(DEFAULT_SOCKET):
            return {"socket_path": DEFAULT_SOCKET}
        host = _traces_host()
    return {"host": host or "localhost", "port": port or DEFAULT_PORT}


def missing_tags() -> list[str]:
    """Return service, env and version where the client does not find them for itself.

    Spans have them from ddtrace, which knows more places to look, and infers a service.
    """
    return [
        f"{name}:{value}"
        for name, value in zip(UNIFIED, _ddtrace.unified(), strict=True)
        if value and not os.environ.get(f"DD_{name.upper()}")
    ]


def tags_of_spans() -> list[str]:
    """Return ``DD_TAGS``, which spans carry too, but for what ``DATADOG_TAGS`` says already.

    A user's ``team:voice`` must not find the traces of a bot and miss its metrics.
    """
    own = {tag.partition(":")[0].strip() for tag in _variable("DATADOG_TAGS").split(",")}
    return [
        f"{name}:{value}" if value else name
        for name, value in _ddtrace.tags().items()
        if name not in own
    ]


def _port() -> int | None:
    text = _variable("DD_DOGSTATSD_PORT")
    if text and (not text.isascii() or not text.isdigit() or not 0 < int(text) < 65_536):
        _say_ignored("DD_DOGSTATSD_PORT", text, "a number from 1 to 65535")
        return None
    return int(text) if text else None


def _traces_host() -> str:
    try:
        return urlsplit(_variable("DD_TRACE_AGENT_URL")).hostname or ""
    except ValueError:
        return ""


def _variable(name: str) -> str:
    return os.environ.get(name, "").strip()


def _say_ignored(name: str, value: str, allowed: str) -> None:
    logger.warning(f"pipecat_dd: {name}={value!r} is ignored: must be {allowed}")


class _Seldom(logging.Filter):
    """Lets our client's warnings through once a minute.

    With no Agent there is one for every packet. Other clients' lines are left alone.
    """

    _installed = False

    def __init__(self) -> None:
        super().__init__()
        self._next_secs = 0.0

    @classmethod
    def install(cls) -> None:
        if not cls._installed:
            cls._installed = True
            logging.getLogger("datadog.dogstatsd").addFilter(cls())

    def filter(self, record: logging.LogRecord) -> bool:
        if not str(record.threadName).startswith(_NAME):
            return True
        now_secs = time.monotonic()
        if now_secs < self._next_secs:
            return False
        self._next_secs = now_secs + WARNING_EVERY_SECS
        return True

"""The only module that uses the ``datadog`` package, for its DogStatsD client.

Sending must never block the event loop: a Unix socket fills up when the Agent does not read, and
a host name must be resolved. So the client's background thread sends, on non-blocking sockets,
from a queue that drops its oldest packet when it is full. Metrics that are sent together share as
few packets as possible; the client's own buffer, and the thread that flushes it, are not used.

The client adds ``DD_SERVICE``, ``DD_ENV``, ``DD_VERSION`` and ``DATADOG_TAGS`` as tags, and the
Agent adds the tags of the container. ``DD_TAGS``, which the client ignores, is added here. The
client's own telemetry (``datadog.dogstatsd.client.*``, the counts of what it sent and dropped)
stays on: it is not billed, and it shows when metrics are missing.
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
    "<class>_sender_thread": "the name of the client's thread, which distinguishes its log lines "
    "from those of other clients",
}
"""The undocumented parts of the client that are used here, and what for."""

DEFAULT_PORT = 8125
DEFAULT_SOCKET = "/var/run/datadog/dsd.socket"
"""Where the Agent listens on a host or in Kubernetes, by Datadog's defaults."""

QUEUE_PACKETS = 1_000
"""The most packets that wait to be sent: enough for minutes of a hundred conversations."""

WARNING_EVERY_SECS = 60.0
"""How often the client may log that the Agent does not answer."""

_UNIX_SCHEMES = ("unix", "unixgram", "unixstream")
_NAME = "PipecatDogStatsd"

Line = tuple[Type, str, float, list[str]]
"""A metric to be sent: its type, name, value and tags."""


class Client:
    """Sends metrics to the Agent at `address`, whether or not it runs already."""

    def __init__(self) -> None:
        from datadog.dogstatsd.base import DogStatsd

        _WarningLimit.install()
        # The client names its thread after its class, and log lines carry the thread's name.
        kind: Any = type(_NAME, (DogStatsd,), {})
        self._statsd = kind(
            **address(),
            constant_tags=[*missing_tags(), *tags_of_spans()],
            disable_aggregation=True,
            disable_buffering=True,
            disable_background_sender=False,
            sender_queue_size=QUEUE_PACKETS,
            # Else each fork would wait for the thread to end. A child creates a new client anyway.
            track_instance=False,
        )
        self._by_type: dict[Type, Callable[..., None]] = {
            Type.DISTRIBUTION: self._statsd.distribution,
            Type.COUNT: self._statsd.increment,
            Type.GAUGE: self._statsd.gauge,
        }

    def send(self, lines: Sequence[Line]) -> None:
        """Queue metrics for the sending thread, in as few packets as possible."""
        with self._statsd:
            for type_, name, value, tags in lines:
                self._by_type[type_](name, value, tags=tags)

    def flush(self, timeout_secs: float) -> None:
        """Wait until the queued metrics are sent or dropped.

        Args:
            timeout_secs: The longest wait, in seconds.
        """
        self._statsd.wait_for_pending(timeout_secs)


def address() -> dict[str, Any]:
    """Return where metrics are sent to, as arguments of the client.

    As in Datadog's own libraries, the first of these that is set: ``DD_DOGSTATSD_URL``;
    ``DD_DOGSTATSD_SOCKET``; ``DD_DOGSTATSD_HOST`` or ``DD_AGENT_HOST``, with
    ``DD_DOGSTATSD_PORT``; the Agent's default Unix socket, if it exists; else the host that
    traces are sent to.
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
        _warn_ignored("DD_DOGSTATSD_URL", url, "udp://host:port or unix:///path")
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
    """Return the tags service, env and version if the client cannot find them itself.

    Spans get them from ddtrace, which reads more sources and infers a service.
    """
    return [
        f"{name}:{value}"
        for name, value in zip(UNIFIED, _ddtrace.unified(), strict=True)
        if value and not os.environ.get(f"DD_{name.upper()}")
    ]


def tags_of_spans() -> list[str]:
    """Return ``DD_TAGS``, which spans also carry, except for names in ``DATADOG_TAGS``.

    A search for ``team:voice`` must find a bot's metrics as well as its traces.
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
        _warn_ignored("DD_DOGSTATSD_PORT", text, "a number from 1 to 65535")
        return None
    return int(text) if text else None


def _traces_host() -> str:
    try:
        return urlsplit(_variable("DD_TRACE_AGENT_URL")).hostname or ""
    except ValueError:
        return ""


def _variable(name: str) -> str:
    return os.environ.get(name, "").strip()


def _warn_ignored(name: str, value: str, allowed: str) -> None:
    logger.warning(f"pipecat_dd: {name}={value!r} is ignored: must be {allowed}")


class _WarningLimit(logging.Filter):
    """Lets our client's warnings through once a minute.

    Without an Agent the client logs one for every packet. Lines of other clients always pass.
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

"""A server of DogStatsD, over UDP and over Unix datagram sockets."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipecat_dd.export.metrics import process, sender

TELEMETRY = "datadog.dogstatsd.client."
"""Before the names of what the client says of itself."""


@dataclass(frozen=True)
class Metric:
    """One line of a datagram."""

    name: str
    value: float
    type: str
    tags: tuple[str, ...]

    @classmethod
    def parse(cls, line: str) -> "Metric":
        """Read a line as the Agent does.

        ``name:value|type|#tag,tag|c:container``
        """
        head, type_, *sections = line.split("|")
        name, value = head.split(":")
        tags = [section[1:].split(",") for section in sections if section.startswith("#")]
        assert len(tags) <= 1, line
        assert all(section[0] in "#c" for section in sections), line
        return cls(name, float(value), type_, tuple(tags[0]) if tags else ())

    def tag(self, name: str) -> str | None:
        """Return a tag's value; None where it is not there."""
        found = [tag.partition(":")[2] for tag in self.tags if tag.partition(":")[0] == name]
        assert len(found) <= 1, f"{name} stands twice on {self}"
        return found[0] if found else None

    @property
    def own_tags(self) -> dict[str, str]:
        """The tags but those on every metric."""
        names = [tag.partition(":")[0] for tag in self.tags]
        assert len(names) == len(set(names)), self
        pairs = (tag.partition(":")[::2] for tag in self.tags)
        return {name: value for name, value in pairs if name not in ("service", "env", "version")}


class Received:
    """What has arrived."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.datagrams: list[str] = []
        self._news = threading.Condition()

    def take(self, datagram: bytes) -> None:
        with self._news:
            self.datagrams.append(datagram.decode())
            self._news.notify_all()

    @property
    def metrics(self) -> list[Metric]:
        """All metrics, those of the client's own left out."""
        with self._news:
            lines = [line for datagram in self.datagrams for line in datagram.splitlines()]
        return [m for m in map(Metric.parse, lines) if not m.name.startswith(TELEMETRY)]

    def named(self, name: str, **tags: str) -> list[Metric]:
        """Return the metrics of a name that have these tags."""
        return [
            metric
            for metric in self.metrics
            if metric.name == name and all(metric.tag(tag) == value for tag, value in tags.items())
        ]

    def total(self, name: str, **tags: str) -> float:
        """Return the sum of a metric's values."""
        return sum(metric.value for metric in self.named(name, **tags))

    def values(self, name: str, **tags: str) -> list[float]:
        """Return a metric's values, in their order."""
        return sorted(metric.value for metric in self.named(name, **tags))

    def until(self, done: Callable[[], bool], timeout_secs: float = 5.0) -> None:
        """Wait until enough has arrived."""
        deadline = time.monotonic() + timeout_secs
        while not done():
            with self._news:
                assert self._news.wait(max(0.0, deadline - time.monotonic())), self.datagrams


@contextmanager
def listening(socket_path: Path | None = None) -> Iterator[Received]:
    """Listen on a UDP port of its own, or on a Unix datagram socket."""
    if socket_path is None:
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.bind(("127.0.0.1", 0))
        received = Received(f"udp://127.0.0.1:{server.getsockname()[1]}")
    else:
        server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        server.bind(str(socket_path))
        received = Received(f"unix://{socket_path}")

    def receive() -> None:
        while (datagram := server.recv(65_536)) != b"end":
            received.take(datagram)

    thread = threading.Thread(target=receive)
    thread.start()
    try:
        yield received
    finally:
        with socket.socket(server.family, socket.SOCK_DGRAM) as last:
            last.sendto(b"end", server.getsockname())
        thread.join()
        server.close()


@contextmanager
def sending_to(url: str) -> Iterator[None]:
    """Have the process's metrics sent there, as if it had just begun."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DD_DOGSTATSD_URL", url)
        patch.setattr(sender, "_shared", None)
        patch.setattr(process, "_shared", None)
        yield

"""Datadog's own mini agent, between a bot and a local intake.

``datadog-serverless-compat`` (PyPI) ships a trace agent and DogStatsD server that Datadog wrote, in
Rust, for places where the Agent cannot be. It runs anywhere. Spans go on to an intake of ours, as
Datadog's protobuf. Metrics would go to Datadog by TLS, which nothing but Datadog can answer, so
what it would send is read from what it says it sends; a proxy that is not there keeps it here.
"""

import gzip
import os
import re
import socket
import struct
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgpack
import zstandard

from tests.support.ports import free_port
from tests.support.server import HttpHandler, HttpServer

Json = dict[str, Any]

FLUSH_SECS = 10.0
"""How often it sends metrics on."""


def binary() -> Path | None:
    """Return the agent, where the package is installed and has one for this machine."""
    spec = find_spec("datadog_serverless_compat")
    if spec is None or spec.origin is None or os.uname().machine != "x86_64":
        return None
    path = Path(spec.origin).parent / "bin" / "linux-amd64" / "datadog-serverless-compat"
    return path if path.is_file() and os.uname().sysname == "Linux" else None


@dataclass
class MiniAgent:
    """The agent, and what went in and came out.

    Attributes:
        traces_url: Where a bot sends traces to: recorded, then passed on to the agent.
        metrics_url: The same for metrics.
        sent: The spans that the bot sent.
        received: The spans that arrived at the intake.
        refused: Answers of the agent that were not 200.
        sent_metrics: The lines of DogStatsD that the bot sent.
        said: What the agent said.
    """

    traces_url: str = ""
    metrics_url: str = ""
    agent_url: str = ""
    sent: list[Json] = field(default_factory=list)
    received: list[Json] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    sent_metrics: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    _news: threading.Condition = field(default_factory=threading.Condition)

    def until(self, holds: Callable[[], bool], timeout_secs: float = 30.0) -> None:
        """Wait until something holds after something has come."""
        with self._news:
            assert self._news.wait_for(holds, timeout_secs), (len(self.sent), len(self.received))

    def info(self) -> str:
        """Return what the agent says of itself."""
        with urllib.request.urlopen(f"{self.agent_url}/info", timeout=5) as answer:
            return str(answer.read().decode())

    def tell(self, act: Callable[[], None]) -> None:
        with self._news:
            act()
            self._news.notify_all()

    @property
    def series(self) -> Iterator[tuple[str, str, frozenset[str], float]]:
        """Counts and gauges that it would send: name, kind, tags and value."""
        pattern = (
            r'Metric \{ metric: "([^"]+)", points: \[Point \{ timestamp: \d+, value: ([^ ]+) \}\], '
            r"resources: \[.*?\], kind: (\w+), tags: \[(.*?)\]"
        )
        for name, value, kind, tags in re.findall(pattern, "\n".join(self.said)):
            yield name, kind.lower(), _tags(tags), float(value)

    @property
    def sketches(self) -> Iterator[tuple[str, frozenset[str], int, float]]:
        """Distributions that it would send: name, tags, how many values, and their sum."""
        pattern = (
            r'Sketch \{ metric: "([^"]+)", .*?tags: \[(.*?)\], '
            r"dogsketches: \[Dogsketch \{ ts: \d+, cnt: (\d+), "
            r"min: [^ ]+, max: [^ ]+, avg: [^ ]+, sum: ([^ ,]+)"
        )
        for name, tags, count, total in re.findall(pattern, "\n".join(self.said)):
            yield name, _tags(tags), int(count), float(total)


def _tags(text: str) -> frozenset[str]:
    own = ("dd.origin:", "origin:")
    return frozenset(tag for tag in re.findall(r'"([^"]*)"', text) if not tag.startswith(own))


@contextmanager
def running() -> Iterator[MiniAgent]:
    """Run the agent, and what stands before and behind it."""
    path = binary()
    assert path is not None
    agent = MiniAgent()
    port, statsd_port = free_port(), free_port()
    agent.agent_url = f"http://127.0.0.1:{port}"
    intake, relay = HttpServer(_intake(agent)), HttpServer(_relay(agent))
    intake.start()
    relay.start()
    agent.traces_url = relay.url
    statsd = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    statsd.bind(("127.0.0.1", 0))
    agent.metrics_url = f"udp://127.0.0.1:{statsd.getsockname()[1]}"
    if not os.access(path, os.X_OK):
        path.chmod(0o755)
    process = subprocess.Popen(
        [str(path)],
        env={
            "PATH": os.environ["PATH"],
            "ASCSVCRT_SPRING__APPLICATION__NAME": "x",
            "DD_API_KEY": "a" * 32,
            "DD_APM_DD_URL": intake.url,
            "DD_APM_RECEIVER_PORT": str(port),
            "DD_DOGSTATSD_PORT": str(statsd_port),
            "DD_PROXY_HTTPS": f"http://127.0.0.1:{free_port()}",
            "DD_LOG_LEVEL": "trace",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )

    def listen() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            agent.tell(lambda line=line: agent.said.append(line))

    def pass_on() -> None:
        out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with suppress(OSError):
            while datagram := statsd.recv(65_536):
                lines = datagram.decode().splitlines()
                agent.tell(lambda lines=lines: agent.sent_metrics.extend(lines))
                out.sendto(datagram, ("127.0.0.1", statsd_port))
        out.close()

    threads = [threading.Thread(target=one, daemon=True) for one in (listen, pass_on)]
    for thread in threads:
        thread.start()
    try:
        _wait_for(agent)
        yield agent
    finally:
        process.terminate()
        process.wait(10)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", statsd.getsockname())
        for thread in threads:
            thread.join(5)
        statsd.close()
        intake.stop()
        relay.stop()


def _wait_for(agent: MiniAgent) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            agent.info()
        except OSError:
            assert time.monotonic() < deadline, agent.said
            time.sleep(0.05)  # it announces nothing
        else:
            return


def _relay(agent: MiniAgent) -> type[HttpHandler]:
    class Relay(HttpHandler):
        def respond(self) -> None:
            body = self.read_body()
            headers = {k: v for k, v in self.headers.items() if k.lower() != "host"}
            request = urllib.request.Request(
                agent.agent_url + self.path, body or None, headers, method=self.command
            )
            try:
                with urllib.request.urlopen(request, timeout=10) as answer:
                    status, said = answer.status, answer.read()
            except urllib.error.HTTPError as error:
                status, said = error.code, error.read()
            if self.path.endswith("/traces"):
                if status != 200:
                    agent.tell(lambda: agent.refused.append(status))
                else:
                    chunks = msgpack.unpackb(body, strict_map_key=False)
                    spans = [span for chunk in chunks for span in chunk]
                    agent.tell(lambda: agent.sent.extend(spans))
            self.answer(status, said)

    return Relay


def _intake(agent: MiniAgent) -> type[HttpHandler]:
    class Intake(HttpHandler):
        methods = ("POST",)

        def respond(self) -> None:
            body = self.read_body()
            encoding = self.headers.get("Content-Encoding", "")
            if encoding == "zstd":
                body = zstandard.ZstdDecompressor().decompressobj().decompress(body)
            elif encoding == "gzip":
                body = gzip.decompress(body)
            if self.path.endswith("/traces"):
                spans = list(_spans(body))
                agent.tell(lambda: agent.received.extend(spans))
            self.answer(202, b"{}")

    return Intake


# Datadog's protobuf of traces (datadog-agent: pkg/proto/datadog/trace), as far as is needed.

_SPAN = {
    1: ("service", "text"),
    2: ("name", "text"),
    3: ("resource", "text"),
    4: ("trace_id", "number"),
    5: ("span_id", "number"),
    6: ("parent_id", "number"),
    7: ("start", "number"),
    8: ("duration", "number"),
    9: ("error", "number"),
    10: ("meta", "text_map"),
    11: ("metrics", "double_map"),
    12: ("type", "text"),
    14: ("span_links", "link"),
}
_LINK = {
    1: ("trace_id", "number"),
    2: ("trace_id_high", "number"),
    3: ("span_id", "number"),
    4: ("attributes", "text_map"),
}


def _spans(payload: bytes) -> Iterator[Json]:
    for number, tracer_payload in _fields(payload):
        if number == 5:
            for inner, chunk in _fields(tracer_payload):
                if inner == 6:
                    yield from (_object(one, _SPAN) for n, one in _fields(chunk) if n == 3)


def _object(message: bytes, names: dict[int, tuple[str, str]]) -> Json:
    made: Json = {}
    for number, value in _fields(message):
        name, kind = names.get(number, ("", ""))
        match kind:
            case "text":
                made[name] = value.decode()
            case "number":
                made[name] = value
            case "text_map" | "double_map":
                entry = dict(_fields(value))
                key = entry[1].decode()
                if kind == "double_map":
                    made.setdefault(name, {})[key] = struct.unpack("<d", entry.get(2, b"\0" * 8))[0]
                else:
                    made.setdefault(name, {})[key] = entry.get(2, b"").decode()
            case "link":
                made.setdefault(name, []).append(_object(value, _LINK))
    return made


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        match tag & 7:
            case 0:
                value, at = _varint(message, at)
                yield tag >> 3, value
            case 1:
                yield tag >> 3, message[at : at + 8]
                at += 8
            case 2:
                size, at = _varint(message, at)
                yield tag >> 3, message[at : at + size]
                at += size
            case 5:
                yield tag >> 3, message[at : at + 4]
                at += 4
            case wire:
                raise AssertionError(f"wire type {wire}")


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at

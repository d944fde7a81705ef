"""However the Agent listens, or does not: metrics arrive or are dropped, and nothing waits."""

import asyncio
import logging
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pipecat_dd import DatadogObserver, _exit, _guard
from pipecat_dd.cli.demo.environment import quiet_environment
from pipecat_dd.export.metrics import sender
from pipecat_dd.export.metrics._dogstatsd import Client, Line
from pipecat_dd.export.metrics.sample import Sample
from pipecat_dd.testing import CapturedSession, capture
from tests.support.agent import TestAgent
from tests.support.bot import Bot
from tests.support.dogstatsd import Received, listening, sending_to
from tests.support.ports import free_port
from tests.support.processes import await_word

HELD_UP_SECS = 0.02
"""What would be a pause in what is heard. A send takes some microseconds."""
REPOSITORY = Path(__file__).parents[3]
MANY = 20_000
"""More than the queue and the socket hold."""


def talk(url: str) -> CapturedSession:
    """Have a conversation of one turn."""

    async def converse() -> None:
        async with Bot(DatadogObserver(metrics=True)) as bot:
            await bot.ask("How are you?")
            await bot.end()

    with sending_to(url), capture() as seen:
        asyncio.run(converse())
        sender._flush()
    return seen.session()


def ended(received: Received) -> bool:
    return bool(received.named("pipecat.sessions.ended"))


def test_an_agent_on_a_unix_socket_receives_what_one_on_udp_does(socket_path: Path) -> None:
    with listening(socket_path) as received:
        session = talk(received.url)
        received.until(lambda: ended(received))
    (turn,) = session.named("pipecat.turn")
    assert received.total("pipecat.turns", outcome="answered") == 1
    assert received.values("pipecat.turn.user_bot_latency_seconds") == [
        turn.tags["turn.user_bot_latency_seconds"]
    ]
    assert received.total("pipecat.sessions.started") == 1


def test_an_agent_on_a_unix_stream_receives_whole_packets(socket_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(socket_path))
        server.listen()
        server.settimeout(5)
        with sending_to(f"unixstream://{socket_path}"):
            sender.shared().send([Sample("pipecat.turns", 1)])
            connection, _ = server.accept()
            with connection, connection.makefile("rb") as stream:
                (length,) = struct.unpack("<I", stream.read(4))
                assert stream.read(length).startswith(b"pipecat.turns:1|c|#")


def test_datadogs_own_variables_add_tags_and_turn_sending_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with listening() as received:
        monkeypatch.setenv("DATADOG_TAGS", "team:voice")
        with sending_to(received.url):
            sender.shared().send([Sample("pipecat.turns", 1)])
            received.until(lambda: bool(received.metrics))
        assert received.metrics[0].tag("team") == "voice"
        monkeypatch.setenv("DD_DOGSTATSD_DISABLE", "true")
        with sending_to(received.url):
            sender.shared().send([Sample("pipecat.interruptions", 1)])
            sender._flush()
        assert [metric.name for metric in received.metrics] == ["pipecat.turns"]


@contextmanager
def deaf(path: Path) -> Iterator[str]:
    """A socket that somebody has bound and nobody reads."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind(str(path))
        yield f"unix://{path}"


@contextmanager
def absent(path: Path) -> Iterator[str]:
    """No socket at all."""
    yield f"unix://{path}"


@contextmanager
def closed_port(path: Path) -> Iterator[str]:
    """A port that refuses what is sent to it."""
    yield f"udp://127.0.0.1:{free_port()}"


@pytest.mark.parametrize("agent", [deaf, absent, closed_port])
def test_an_agent_that_does_not_read_holds_nothing_up(
    agent: object, socket_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with agent(socket_path) as url, sending_to(url):  # type: ignore[operator]
        sends = sender.shared()
        took_secs = []
        with caplog.at_level(logging.WARNING, "datadog.dogstatsd"):
            for _ in range(MANY // 10):
                began = time.perf_counter()
                sends.send([Sample("pipecat.turns", 1, {"outcome": "answered"})] * 10)
                took_secs.append(time.perf_counter() - began)
            began = time.perf_counter()
            sends.flush(2.0)
            flushed_secs = time.perf_counter() - began
        # All but those in which the machine was busy with something else.
        assert sorted(took_secs)[int(len(took_secs) * 0.99)] < HELD_UP_SECS
        assert flushed_secs < 2.5
        client = sends._client
        assert client is not None
        # The Unix socket that is read by nobody takes some; nothing of it is waited for.
        assert client._statsd.packets_dropped > 0
        assert len(caplog.records) <= 1, "one line a minute, not one a packet"
    assert not _guard.metrics.failures


def test_a_conversation_is_the_same_with_an_agent_that_does_not_read(socket_path: Path) -> None:
    with deaf(socket_path) as url:
        session = talk(url)
    (turn,) = session.named("pipecat.turn")
    assert turn.tags["turn.outcome"] == "answered"
    assert session.root.tags["session.end_reason"] == "ended"


def test_metrics_that_cannot_begin_take_nothing_else_with_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken() -> None:
        raise OSError("no client for you")

    monkeypatch.setattr(_guard.metrics, "failures", 0)
    monkeypatch.setattr(_guard.metrics, "_kinds", set())
    monkeypatch.setattr(sender, "shared", broken)
    session = talk("udp://127.0.0.1:9")
    assert session.one("pipecat.turn").tags["turn.outcome"] == "answered"
    assert _guard.metrics.failures == 1


def test_metrics_of_one_stage_are_one_packet() -> None:
    with listening() as received, sending_to(received.url):
        samples = [Sample("pipecat.turns", 1), Sample("pipecat.interruptions", 1)]
        sender.shared().send(samples)
        received.until(lambda: bool(received.datagrams))
        assert [line.partition(":")[0] for line in received.datagrams[0].splitlines()] == [
            "pipecat.turns",
            "pipecat.interruptions",
        ]


class Unprintable:
    def __str__(self) -> str:
        raise ValueError


def test_what_one_session_says_wrongly_takes_nothing_of_others_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_guard.metrics, "failures", 0)
    monkeypatch.setattr(_guard.metrics, "_kinds", set())
    tries = 0

    def connect() -> Client:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise OSError("not yet")
        return Client()

    with listening() as received, sending_to(received.url):
        sends = sender.Sender(connect)
        sends.keep([Sample("pipecat.turns", 1)] * 5)
        sends.keep([Sample("pipecat.turns", 1, {"transport": Unprintable()})])
        with pytest.raises(OSError, match="not yet"):
            sends.pass_on()
        sends.pass_on()
        received.until(lambda: received.total("pipecat.turns") >= 5)
        assert received.total("pipecat.turns") == 5
    assert _guard.metrics.failures == 1


class Interrupted(Client):
    """A client that is interrupted while it holds its locks, as by the handler of a signal."""

    def __init__(self) -> None:
        super().__init__()
        self.handled = 0

    def send(self, lines: Sequence[Line]) -> None:
        queue = self._statsd._queue
        with queue._lock:
            self.handled += 1
            os.kill(os.getpid(), signal.SIGUSR1)
        super().send(lines)


def test_a_handler_of_a_signal_that_closes_sessions_waits_for_no_lock() -> None:
    with listening() as received, sending_to(received.url):
        sends = sender.Sender(Interrupted)

        def handler(*_: object) -> None:
            sends.send([Sample("pipecat.sessions.ended", 1)])
            sends.flush(1.0)

        before = signal.signal(signal.SIGUSR1, handler)
        try:
            sends.send([Sample("pipecat.turns", 1)])
        finally:
            signal.signal(signal.SIGUSR1, before)
        received.until(lambda: bool(received.metrics))
        assert [metric.name for metric in received.metrics] == ["pipecat.turns"]


# The process's end, and its forks


class Slow(Client):
    """A client to an Agent that takes its time."""

    def __init__(self, secs: float) -> None:
        super().__init__()
        transmit = self._statsd._xmit_packet

        def slowly(*args: Any, **options: Any) -> Any:
            time.sleep(secs)
            return transmit(*args, **options)

        self._statsd._xmit_packet = slowly


def test_what_waits_when_the_process_ends_is_waited_for() -> None:
    with listening() as received, sending_to(received.url):
        sends = sender.shared()
        sends._connect = lambda: Slow(0.02)
        for _ in range(10):
            sends.send([Sample("pipecat.turns", 1)])
        _exit._close_all("exited")
        assert sends._client is not None
        assert sends._client._statsd.packets_sent == 10
        received.until(lambda: received.total("pipecat.turns") == 10)


def test_the_end_of_the_process_is_held_up_for_so_long_at_most(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sender, "FLUSH_SECS", 0.2)
    with listening() as received, sending_to(received.url):
        sends = sender.shared()
        sends._connect = lambda: Slow(2.0)
        sends.send([Sample("pipecat.turns", 1)])
        began = time.perf_counter()
        _exit._close_all("exited")
        assert 0.2 <= time.perf_counter() - began < 1.5


@contextmanager
def dying_bot(agent: TestAgent, way: str) -> Iterator[tuple[Received, "subprocess.Popen[str]"]]:
    """Run a bot that ends in some way, in a process of its own."""
    with listening() as received:
        environment = quiet_environment() | {
            "DD_TRACE_AGENT_URL": agent.url,
            "DD_SERVICE": "dying-bot",
            "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
            "DD_REMOTE_CONFIGURATION_ENABLED": "false",
            "DD_DOGSTATSD_URL": received.url,
            "PIPECAT_DD_METRICS": "true",
            "PIPECAT_DD_SESSION_ID": f"metrics-{way}",
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.reliability.dying_bot", way],
            cwd=REPOSITORY,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        with process:
            try:
                yield received, process
            finally:
                # Pipecat waits for ever for a frame that its cancelled tasks do not pass on.
                process.kill()


@pytest.mark.parametrize(("way", "reason"), [("sys.exit", "exited"), ("sigterm", "terminated")])
def test_what_the_process_ends_with_is_sent(agent: TestAgent, way: str, reason: str) -> None:
    with dying_bot(agent, way) as (received, process):
        await_word(process, "speaking")
        if way == "sigterm":
            process.send_signal(signal.SIGTERM)
        received.until(lambda: ended(received), timeout_secs=15)
    (metric,) = received.named("pipecat.sessions.ended")
    assert metric.tag("end_reason") == reason
    assert metric.tag("bot_spoke") == "true"
    assert received.total("pipecat.turns") == 1


def test_a_fork_sends_for_its_own_session_and_not_for_its_parents(agent: TestAgent) -> None:
    with dying_bot(agent, "fork") as (received, process):
        await_word(process, "forked")
        assert process.wait(20) == 0
        received.until(lambda: received.total("pipecat.sessions.ended") == 2)
    assert received.total("pipecat.sessions.started") == 2
    assert received.total("pipecat.turns") == 2
    assert max(received.values("pipecat.sessions.active")) == 1

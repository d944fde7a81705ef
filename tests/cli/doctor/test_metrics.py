"""Whether anything listens for metrics: servers of DogStatsD, and nobody."""

import socket
from pathlib import Path

import pytest

from pipecat_dd.cli.doctor import metrics
from pipecat_dd.cli.doctor.finding import Finding, Level
from pipecat_dd.cli.doctor.start import Start
from tests.cli.doctor.running import found
from tests.support.dogstatsd import listening
from tests.support.ports import free_port

WANTED = {"PIPECAT_DD_METRICS": "true"}


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DD_DOGSTATSD_URL", f"udp://127.0.0.1:{free_port()}")


def judged(environ: dict[str, str] | None = None, **start: bool) -> Finding:
    return found(metrics.listening, environ, start=Start(**start))["metrics.listening"]


def test_one_that_listens_is_not_sent_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    with listening() as received:
        monkeypatch.setenv("DD_DOGSTATSD_URL", received.url)
        finding = judged(WANTED)
        assert finding.level is Level.OK
        assert received.url in finding.says
    assert received.metrics == []


def test_one_that_listens_on_a_socket_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with listening(tmp_path / "dsd.socket") as received:
        for url in (received.url, received.url.replace("unix://", "unixgram://")):
            monkeypatch.setenv("DD_DOGSTATSD_URL", url)
            assert judged(WANTED).level is Level.OK
    path = tmp_path / "stream.socket"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(path))
        server.listen()
        monkeypatch.setenv("DD_DOGSTATSD_URL", f"unixstream://{path}")
        assert judged(WANTED).level is Level.OK


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("udp://127.0.0.1:{port}", "connection refused"),
        ("unix:///no/such/dsd.socket", "this socket does not exist"),
        ("udp://no-such-host.invalid:8125", "the host name is unknown"),
    ],
)
def test_where_nobody_listens_it_says_why(
    monkeypatch: pytest.MonkeyPatch, url: str, why: str
) -> None:
    monkeypatch.setenv("DD_DOGSTATSD_URL", url.format(port=free_port()))
    finding = judged(WANTED)
    assert finding.level is Level.PROBLEM
    assert why in finding.says
    assert "DD_DOGSTATSD_URL" in finding.do


def test_it_is_a_problem_only_where_metrics_are_asked_for() -> None:
    assert judged().level is Level.OK
    assert "does not seem to send any" in judged().says
    assert judged(WANTED).level is Level.PROBLEM
    assert judged(metrics=True).level is Level.PROBLEM


def test_metrics_that_are_turned_off_are_told() -> None:
    assert judged({"DD_DOGSTATSD_DISABLE": "true"}).level is Level.NOTE

"""Whether an Agent answers: the test agent, small servers, sockets, and nobody."""

import json
import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from ddtrace.trace import tracer

from pipecat_dd.cli.doctor import _ddtrace
from pipecat_dd.cli.doctor import agent as checked
from pipecat_dd.cli.doctor.clock import clock
from pipecat_dd.cli.doctor.finding import Finding, Level
from pipecat_dd.cli.doctor.http_client import NoAnswerError, ask, without_userinfo
from tests.cli.doctor.running import found
from tests.cli.doctor.servers import INFO, Server, answering, answering_on_a_socket
from tests.support.agent import TestAgent
from tests.support.ports import free_port


@pytest.fixture
def server() -> Iterator[Server]:
    with answering(Server()) as running:
        yield running


def judged(url: str) -> Finding:
    return checked.judge_answer(ask(url, "/info", 2, {}), {"url": url})


def test_the_agent_that_ddtrace_sends_to_is_asked(agent: TestAgent) -> None:
    findings = found(checked.answers)
    finding = findings["agent.answers"]
    assert finding.level is Level.OK
    assert finding.facts["url"] == agent.url
    assert finding.facts["version"] == "test"
    took_ms = finding.facts["took_ms"]
    assert isinstance(took_ms, float)
    assert 0 < took_ms < 3_000
    assert findings["clock.agrees"].level is Level.OK


def test_without_an_agent_none_is_asked() -> None:
    finding = found(checked.answers, {"DD_AGENTLESS_ENABLED": "true"})["agent.answers"]
    assert finding.level is Level.OK
    assert "No Agent is needed" in finding.says


def test_an_agent_on_a_unix_socket_answers(tmp_path: Path) -> None:
    with answering_on_a_socket(tmp_path / "apm.socket", Server()) as server:
        assert judged(server.url).level is Level.OK
        assert server.asked[0][0] == "/info"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://127.0.0.1:{free_port}", "nothing listens there"),
        ("unix:///no/such/apm.socket", "this socket does not exist"),
        ("http://no-such-host.invalid:8126", "the host name is unknown"),
        ("http://", "not the URL of a server"),
        ("http://127.0.0.1:port", "invalid literal|nonnumeric|Port could not"),
    ],
)
def test_where_nobody_answers_it_says_why(url: str, why: str) -> None:
    with pytest.raises(NoAnswerError, match=why):
        ask(url.format(free_port=free_port()), "/info", 2, {})


def test_who_does_not_answer_in_time_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(NoAnswerError, match=r"no answer within 0\.1 s"):
            ask(url, "/info", 0.1, {})


def test_who_does_not_speak_http_is_told_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        listening.settimeout(5)

        import threading

        def greet() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"SSH-2.0-OpenSSH\r\n")

        thread = threading.Thread(target=greet)
        thread.start()
        with pytest.raises(NoAnswerError, match="does not speak HTTP"):
            ask(url, "/info", 2, {})
        thread.join(5)


@pytest.mark.parametrize(
    ("status", "body"),
    [(404, b"404 page not found"), (200, b"<html>Hello</html>"), (200, [1]), (500, INFO)],
)
def test_what_answers_and_is_no_agent_is_told(server: Server, status: int, body: object) -> None:
    server.status, server.body = status, body
    finding = judged(server.url)
    assert finding.level is Level.PROBLEM
    assert f"is not a Datadog Agent that accepts traces (HTTP {status})" in finding.says


def test_an_agent_that_takes_no_traces_is_told(server: Server) -> None:
    server.body = {**INFO, "endpoints": ["/v0.6/stats"]}
    finding = judged(server.url)
    assert finding.level is Level.PROBLEM
    assert "DD_APM_ENABLED=true" in finding.do


def test_an_agent_that_is_slow_is_told(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checked, "SLOW_MS", 50)
    server.delay_secs = 0.1
    assert judged(server.url).level is Level.NOTE
    server.delay_secs = 0
    assert judged(server.url).level is Level.OK


@pytest.mark.parametrize(
    ("ahead_secs", "level", "words"),
    [
        (0, Level.OK, "agrees"),
        (20, Level.OK, "agrees"),
        (3_600, Level.PROBLEM, "s behind"),
        (-3_600, Level.PROBLEM, "s ahead of"),
    ],
)
def test_a_clock_that_is_wrong_is_told(
    server: Server, ahead_secs: int, level: Level, words: str
) -> None:
    server.ahead_secs = ahead_secs
    (finding,) = clock(ask(server.url, "/info", 2, {}), "the Agent")
    assert finding.level is level
    assert words in finding.says
    ours = finding.facts["ahead_secs"]
    assert isinstance(ours, float)
    assert abs(ours + ahead_secs) < 3


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://me:pass@agent:8126/x", "http://agent:8126/x"),
        ("http://me:p@ss@agent:8126", "http://agent:8126"),
        ("unix:///var/run/datadog/apm.socket", "unix:///var/run/datadog/apm.socket"),
        ("agent:8126", "agent:8126"),
    ],
)
def test_a_password_in_a_url_is_not_shown(url: str, shown: str) -> None:
    assert without_userinfo(url) == shown


class TestTheTraceApi:
    @pytest.mark.parametrize(
        ("taken", "sent", "level"),
        [
            (["v0.4", "v0.5"], "v0.5", Level.OK),
            (["v0.4"], "v0.4", Level.OK),
            (["v0.4"], "v0.5", Level.PROBLEM),
            (["v0.5"], "v0.4", Level.PROBLEM),
            (["v0.9"], "v0.5", Level.PROBLEM),
        ],
    )
    def test_is_compared_with_what_ddtrace_sends(
        self, server: Server, taken: list[str], sent: str, level: Level
    ) -> None:
        server.body = {"version": "7", "endpoints": [f"/{one}/traces" for one in taken]}
        (finding,) = checked.judge_trace_api(ask(server.url, "/info", 2, {}), server.url, sent)
        assert finding.check == "agent.trace_api"
        assert finding.level is level
        if level is Level.PROBLEM:
            assert sent in finding.says
            assert "404" in finding.says
            known = taken[0] in ("v0.4", "v0.5")
            assert (f"DD_TRACE_API_VERSION={taken[0]}" in finding.do) is known

    def test_that_is_not_known_is_not_judged(self, server: Server) -> None:
        answer = ask(server.url, "/info", 2, {})
        assert list(checked.judge_trace_api(answer, server.url, None)) == []
        server.body = {"version": "7", "endpoints": ["/traces"]}
        answer = ask(server.url, "/info", 2, {})
        assert list(checked.judge_trace_api(answer, server.url, "v0.5")) == []

    def test_is_what_ddtrace_really_sends(self, agent: TestAgent) -> None:
        assert found(checked.answers)["agent.trace_api"].level is Level.OK
        sent = _ddtrace.trace_api()
        assert sent is not None
        tracer.trace("any").finish()
        tracer.flush()
        requests = json.loads(
            urllib.request.urlopen(f"{agent.url}/test/session/requests", timeout=5).read()
        )
        paths = {urlsplit(one["url"]).path for one in requests}
        assert f"/{sent}/traces" in paths

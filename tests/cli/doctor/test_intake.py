"""Whether Datadog takes the key: a local server speaks the endpoint that validates keys."""

from collections.abc import Iterator

import pytest

from pipecat_dd.cli.doctor import intake
from pipecat_dd.cli.doctor.finding import Level
from tests.cli.doctor.running import found
from tests.cli.doctor.servers import VALID, Server, answering
from tests.support.ports import free_port

KEY = "0123456789abcdef0123456789abcdef"
SET = {"DD_API_KEY": KEY}
AGENTLESS = {**SET, "DD_AGENTLESS_ENABLED": "true"}


@pytest.fixture
def server() -> Iterator[Server]:
    with answering(Server(body=VALID)) as running:
        yield running


def test_a_valid_key_is_told_so(server: Server) -> None:
    findings = found(intake.key, SET, api_url=server.url)
    assert findings["intake.key"].level is Level.OK
    assert findings["clock.agrees"].level is Level.OK
    ((path, headers),) = server.asked
    assert path == "/api/v1/validate"
    assert headers["DD-API-KEY"] == KEY
    assert KEY not in str(findings)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_a_problem(server: Server, status: int) -> None:
    server.status, server.body = status, {"errors": ["Forbidden"]}
    findings = found(intake.key, SET, api_url=server.url)
    assert findings["intake.key"].level is Level.PROBLEM
    assert "DD_SITE" in findings["intake.key"].do
    assert KEY not in str(findings)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_an_intake_that_is_unwell_says_nothing_of_the_key(server: Server, status: int) -> None:
    server.status = status
    assert found(intake.key, SET, api_url=server.url)["intake.key"].level is Level.NOTE


def test_an_intake_that_is_slow_is_not_waited_for(server: Server) -> None:
    server.delay_secs = 0.5
    finding = found(intake.key, AGENTLESS, api_url=server.url, timeout_secs=0.1)["intake.key"]
    assert finding.level is Level.PROBLEM
    assert "no answer within 0.1 s" in finding.says


@pytest.mark.parametrize(
    ("environ", "level"),
    [
        (SET, Level.NOTE),
        (AGENTLESS, Level.PROBLEM),
        ({**SET, "PIPECAT_DD_SHIP": "true"}, Level.PROBLEM),
        ({**SET, "PIPECAT_DD_SHIP": "yes"}, Level.PROBLEM),
    ],
)
def test_an_intake_that_is_not_reached_matters_where_there_is_no_agent(
    environ: dict[str, str], level: Level
) -> None:
    url = f"http://me:hunter2@127.0.0.1:{free_port()}"
    finding = found(intake.key, environ, api_url=url)["intake.key"]
    assert finding.level is level
    assert "hunter2" not in str(finding)


def test_datadog_is_asked_through_the_proxy_that_shipping_goes_through(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.status = 502
    monkeypatch.setenv("HTTPS_PROXY", server.url.replace("://", "://me:hunter2@"))
    monkeypatch.setenv("NO_PROXY", "")
    finding = found(intake.key, {**AGENTLESS, "DD_SITE": "dd.invalid"})["intake.key"]
    assert finding.level is Level.PROBLEM
    assert "502" in finding.says
    ((to, headers),) = server.asked
    assert to == "api.dd.invalid:443"
    assert headers["Proxy-Authorization"] == "Basic bWU6aHVudGVyMg=="
    assert KEY not in str(headers)
    assert "hunter2" not in str(finding)
    monkeypatch.setenv("NO_PROXY", "api.dd.invalid")
    server.asked.clear()
    found(intake.key, {**SET, "DD_SITE": "dd.invalid"}, timeout_secs=0.05)
    assert server.asked == []


def test_without_a_key_nobody_is_asked(server: Server) -> None:
    assert found(intake.key, api_url=server.url) == {}
    finding = found(intake.key, {"DD_AGENTLESS_ENABLED": "1"}, api_url=server.url)["intake.key"]
    assert finding.level is Level.PROBLEM
    assert server.asked == []

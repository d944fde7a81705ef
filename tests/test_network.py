"""Which proxy leads to a URL: Datadog's variables first, then those of everybody else."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner

from pipecat_dd._network import ProxyError, connection_to, proxy_for
from pipecat_dd.cli.doctor.http_client import NoAnswerError, ask
from pipecat_dd.cli.main import main
from pipecat_dd.cli.setup import _datadog_api
from pipecat_dd.cli.setup._datadog_api import Api
from pipecat_dd.cli.setup.errors import UnreachableError
from tests.cli.doctor.servers import Server, answering

INTAKE = "https://http-intake.logs.datadoghq.eu/api/v2/logs"
WORKER = "http://worker.internal:8282/api/v2/logs"

NAMES = ("http_proxy", "https_proxy", "no_proxy", "dd_proxy_http", "dd_proxy_https")


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*NAMES, "dd_proxy_no_proxy", "REQUEST_METHOD"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize(
    ("variables", "url", "proxy"),
    [
        ({}, INTAKE, None),
        # Python's rules.
        ({"HTTPS_PROXY": "http://a:1"}, INTAKE, "http://a:1"),
        ({"HTTPS_PROXY": "a:1"}, INTAKE, "http://a:1"),
        ({"HTTPS_PROXY": "http://a:1"}, WORKER, None),
        ({"HTTP_PROXY": "http://a:1"}, WORKER, "http://a:1"),
        ({"HTTP_PROXY": "http://a:1"}, INTAKE, None),
        ({"HTTP_PROXY": "http://a:1", "REQUEST_METHOD": "GET"}, WORKER, None),
        ({"HTTPS_PROXY": "http://a:1", "https_proxy": "http://b:2"}, INTAKE, "http://b:2"),
        ({"HTTPS_PROXY": "http://a:1", "https_proxy": ""}, INTAKE, None),
        ({"HTTPS_PROXY": "http://a:1", "NO_PROXY": "*"}, INTAKE, None),
        ({"HTTPS_PROXY": "http://a:1", "NO_PROXY": "x, datadoghq.eu"}, INTAKE, None),
        ({"HTTPS_PROXY": "http://a:1", "NO_PROXY": ".datadoghq.eu"}, INTAKE, None),
        ({"HTTPS_PROXY": "http://a:1", "NO_PROXY": "doghq.eu"}, INTAKE, "http://a:1"),
        ({"HTTP_PROXY": "http://a:1", "NO_PROXY": "worker.internal:8282"}, WORKER, None),
        ({"HTTP_PROXY": "http://a:1", "NO_PROXY": "worker.internal:1"}, WORKER, "http://a:1"),
        ({"HTTP_PROXY": "http://a:1", "NO_PROXY": "::1"}, "http://[::1]:8282", None),
        # The Agent's rules.
        ({"DD_PROXY_HTTPS": "http://d:4"}, INTAKE, "http://d:4"),
        ({"DD_PROXY_HTTPS": "http://d:4"}, WORKER, None),
        ({"DD_PROXY_HTTP": "d:4"}, WORKER, "http://d:4"),
        ({"DD_PROXY_HTTPS": "http://d:4", "HTTPS_PROXY": "http://a:1"}, INTAKE, "http://d:4"),
        ({"DD_PROXY_HTTPS": "", "HTTPS_PROXY": "http://a:1"}, INTAKE, None),
        ({"DD_PROXY_HTTPS": "http://d:4", "NO_PROXY": "datadoghq.eu"}, INTAKE, None),
        ({"HTTPS_PROXY": "http://a:1", "DD_PROXY_NO_PROXY": "x datadoghq.eu"}, INTAKE, None),
        (
            {"HTTPS_PROXY": "http://a:1", "DD_PROXY_NO_PROXY": "", "NO_PROXY": "*"},
            INTAKE,
            "http://a:1",
        ),
    ],
)
def test_the_proxy_is_the_one_that_the_environment_names(
    variables: dict[str, str], url: str, proxy: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = proxy_for(urlsplit(url))
    assert (None if found is None else found.geturl()) == proxy


@pytest.mark.parametrize(("url", "port"), [("http://proxy", 80), ("http://proxy:3128", 3128)])
def test_a_proxy_listens_on_port_80_where_none_is_named(
    url: str, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", url)
    connection = connection_to(urlsplit(INTAKE), 1)
    assert (connection.host, connection.port) == ("proxy", port)


def test_an_agent_is_reached_without_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy:3128")
    connection = connection_to(urlsplit("http://agent:8126"), 1, through_proxy=False)
    assert (connection.host, connection.port) == ("agent", 8126)


@pytest.fixture
def proxy() -> Iterator[Server]:
    with answering(Server(status=502)) as server:
        yield server


def test_setup_goes_through_the_proxy_that_shipping_goes_through(
    proxy: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_datadog_api, "RETRY_PAUSE_SECS", 0.01)
    monkeypatch.setenv("DD_API_KEY", "0123456789abcdef")
    monkeypatch.setenv("DD_APP_KEY", "fedcba9876543210")
    monkeypatch.delenv("DD_SITE", raising=False)
    monkeypatch.setenv("PIPECAT_DD_API_URL", "https://api.dd.invalid")
    monkeypatch.setenv("DD_PROXY_HTTPS", proxy.url.replace("://", "://me:hunter2@"))
    done = CliRunner().invoke(main, ["setup", "--dry-run"])
    assert done.exit_code == 1
    assert "cannot be reached" in done.output
    assert "hunter2" not in done.output
    to, headers = proxy.asked[0]
    assert to == "api.dd.invalid:443"
    assert headers["Proxy-Authorization"] == "Basic bWU6aHVudGVyMg=="
    assert "0123456789abcdef" not in str(headers)


@pytest.mark.parametrize("host", ["127.0.0.1:1", "localhost", "[::1]:9", "a.localhost"])
def test_this_machine_is_reached_without_a_proxy(
    monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    """The end of a tunnel here is given keys in the clear, which go no further."""
    for name in ("HTTP_PROXY", "DD_PROXY_HTTP", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://proxy.example:3128")
    assert proxy_for(urlsplit(f"http://{host}/x")) is None
    assert proxy_for(urlsplit(f"https://{host}/x")) is None
    assert proxy_for(urlsplit("https://api.datadoghq.com/x")) is not None


@pytest.mark.parametrize(
    "value",
    [
        "http://bob:hunter2/x@proxy.example:3128",
        "http://bob:hunter2#x@proxy.example:3128",
        "http://bob:hun[ter2@proxy.example:3128",
        "http://bob:12/hunter2@proxy.example:3128",
        "http://",
    ],
)
def test_a_proxy_that_is_none_is_named_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", value)
    with pytest.raises(ProxyError, match="HTTPS_PROXY") as raised:
        proxy_for(urlsplit("https://api.datadoghq.com/x"))
    assert "hunter2" not in str(raised.value)
    with pytest.raises(NoAnswerError, match="HTTPS_PROXY") as answered:
        ask("https://api.datadoghq.com", "/x", 1.0, {})
    assert "hunter2" not in str(answered.value)
    with pytest.raises(UnreachableError, match="HTTPS_PROXY"):
        Api("datadoghq.com", "k" * 32, "a" * 40, print)

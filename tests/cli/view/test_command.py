"""What the command line of ``pipecat-dd view`` takes, and what it says to what it does not take."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from pipecat_dd.cli.view import command
from pipecat_dd.cli.view.command import Options, view

AGENT = ("DD_TRACE_AGENT_URL", "DD_TRACE_AGENT_HOSTNAME", "DD_AGENT_HOST", "DD_AGENT_PORT")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Options]:
    """Have nothing served; return what would have been."""
    options: list[Options] = []

    async def show(given: Options, bot: Any) -> int:
        options.append(given)
        return 0

    monkeypatch.setattr(command, "show", show)
    monkeypatch.setattr(command, "AGENT_SOCKET", tmp_path / "apm.socket")
    for name in (*AGENT, "DD_TRACE_AGENT_PORT"):
        monkeypatch.delenv(name, raising=False)
    return options


def run(*arguments: str, **variables: str) -> str:
    result = CliRunner().invoke(view, arguments, env=variables)
    return "" if result.exit_code == 0 else result.output


@pytest.mark.parametrize(
    ("variables", "url"),
    [
        ({}, "http://localhost:8126"),
        ({"DD_AGENT_HOST": "agent"}, "http://agent:8126"),
        ({"DD_AGENT_HOST": "::1", "DD_TRACE_AGENT_PORT": "9126"}, "http://[::1]:9126"),
        ({"DD_TRACE_AGENT_HOSTNAME": "a", "DD_AGENT_HOST": "b"}, "http://a:8126"),
        ({"DD_TRACE_AGENT_URL": "https://agent:443"}, "https://agent:443"),
        ({"DD_TRACE_AGENT_URL": "unix:///run/apm.socket"}, "unix:///run/apm.socket"),
    ],
)
def test_everything_goes_on_to_the_agent_that_the_bot_would_send_to(
    asked: list[Options], variables: dict[str, str], url: str
) -> None:
    assert run("--forward", "--", "bot", **variables) == ""
    assert asked[0].forward == url


def test_an_agents_socket_is_found_where_ddtrace_finds_it(
    asked: list[Options], tmp_path: Path
) -> None:
    (tmp_path / "apm.socket").touch()
    assert run("--forward", "--", "bot") == ""
    assert run("--forward", "--", "bot", DD_AGENT_HOST="agent") == ""
    assert [one.forward for one in asked] == [
        f"unix://{tmp_path}/apm.socket",
        "http://agent:8126",
    ]


@pytest.mark.parametrize("url", ["agent:8126", "ftp://agent", "unix://", "http://", "http://a:b"])
def test_what_is_no_agents_url_is_refused_by_its_name(asked: list[Options], url: str) -> None:
    said = run(f"--forward={url}", "--", "bot")
    assert url in said
    assert "http://HOST:PORT" in said
    assert "DD_TRACE_AGENT_URL" in run("--forward", "--", "bot", DD_TRACE_AGENT_URL=url)
    assert not asked


def test_nothing_is_passed_on_to_the_page_itself(asked: list[Options]) -> None:
    assert "--port" in run("--forward")
    assert "--port" in run("--port=9000", "--forward=http://127.0.0.1:9000")
    assert run("--port=9000", "--forward") == ""
    assert run("--forward", "--", "bot") == ""


def test_a_port_that_is_taken_is_said_in_one_line() -> None:
    async def taken() -> str:
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        said = await asyncio.to_thread(run, f"--port={port}")
        server.close()
        return said

    said = asyncio.run(taken())
    assert "cannot listen on 127.0.0.1:" in said
    assert "Traceback" not in said

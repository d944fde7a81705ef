"""Without an Agent: traces by ddtrace's agentless mode and shipped lines, joined by their ids."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ddtrace.internal.settings._agentless", reason="ddtrace 4.15 brought it")
import zstandard

from pipecat_dd.cli.demo.environment import quiet_environment
from tests.support.intake import KEY, running_intake
from tests.support.server import HttpHandler, HttpServer

PROGRAM = Path(__file__).with_name("agentless_bot.py")


class TraceIntake(HttpServer):
    """Keeps what ddtrace sends to Datadog's trace intake."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        intake = self

        class Handler(HttpHandler):
            methods = ("POST",)

            def respond(self) -> None:
                body = self.read_body()
                plain = zstandard.ZstdDecompressor().decompressobj().decompress(body)
                headers = {name.lower(): value for name, value in self.headers.items()}
                intake.requests.append((self.path, headers, plain))
                self.answer(202)

        super().__init__(Handler)


@dataclass
class Sent:
    traces: list[dict[str, Any]]
    stats: list[bytes]
    keys: set[str]
    lines: list[dict[str, Any]]
    printed: str


@pytest.fixture(scope="module")
def sent() -> Iterator[Sent]:
    """What one session sends, with the environment that docs/deploy/agentless.md shows."""
    with TraceIntake() as traces, running_intake() as lines:
        done = subprocess.run(
            [sys.executable, "-m", "tests.export.shipping.agentless_bot"],
            cwd=PROGRAM.parents[3],
            env=quiet_environment()
            | {
                "DD_API_KEY": KEY,
                "DD_SITE": "datadoghq.com",
                "DD_AGENTLESS_ENABLED": "true",
                "DD_SERVICE": "agentless-bot",
                "DD_ENV": "test",
                "PIPECAT_DD_SHIP": "true",
                # Where else ddtrace would send to.
                "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
                "DD_REMOTE_CONFIGURATION_ENABLED": "false",
                "DD_CRASHTRACKING_ENABLED": "false",
                "DD_TRACE_AGENT_URL": "http://127.0.0.1:9",
                "TEST_TRACE_INTAKE": f"{traces.url}/v1/input",
                "PIPECAT_DD_SHIP_URL": lines.url,
            },
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        yield Sent(
            [
                trace
                for path, _, body in traces.requests
                if path == "/v1/input"
                for trace in json.loads(body)["traces"]
            ],
            [body for path, _, body in traces.requests if path == "/v1/input/stats"],
            {headers["dd-api-key"] for _, headers, _ in traces.requests},
            lines.lines,
            done.stdout + done.stderr,
        )


def spans(sent: Sent) -> list[dict[str, Any]]:
    return [span for trace in sent.traces for span in trace["spans"]]


def test_the_sessions_spans_arrive_whole(sent: Sent) -> None:
    found = {span["name"]: span for span in spans(sent)}
    session = found["pipecat.session"]
    assert session["service"] == "agentless-bot"
    assert session["meta"]["session_id"] == "agentless-1"
    assert session["meta"]["session.end_reason"] == "ended"
    assert "Greeter TextFrame" in {span["resource"] for span in spans(sent)}
    ids = {span["span_id"] for span in spans(sent)}
    for span in spans(sent):
        assert span is session or span["parent_id"] in ids
    assert {trace["env"] for trace in sent.traces} == {"test"}


def test_hits_and_errors_are_computed_here_since_no_agent_does(sent: Sent) -> None:
    assert any(b"pipecat.session" in body for body in sent.stats)


def test_a_line_leads_to_its_span(sent: Sent) -> None:
    (line,) = [line for line in sent.lines if line["message"] == "Greeting"]
    assert line["session_id"] == "agentless-1"
    (span,) = [span for span in spans(sent) if span["resource"] == "Greeter TextFrame"]
    assert int(line["dd.span_id"]) == int(span["span_id"], 16)
    root = next(span for span in spans(sent) if "_dd.p.tid" in span["meta"])
    assert line["dd.trace_id"] == root["meta"]["_dd.p.tid"] + span["trace_id"]
    assert line["service"] == span["service"]


def test_the_key_goes_to_the_intakes_and_nowhere_else(sent: Sent) -> None:
    assert sent.keys == {KEY}
    assert KEY not in sent.printed
    assert KEY not in json.dumps(sent.lines)


def test_lines_are_on_standard_output_as_well(sent: Sent) -> None:
    assert '"message":"Greeting"' in sent.printed


def test_ddtrace_refuses_to_start_agentless_without_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    from ddtrace.internal.settings._agentless import AgentlessConfig

    monkeypatch.setenv("DD_AGENTLESS_ENABLED", "true")
    monkeypatch.delenv("DD_API_KEY", raising=False)
    with pytest.raises(ValueError, match="DD_API_KEY is not"):
        AgentlessConfig()

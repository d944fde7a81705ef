"""Turning metrics on, and where they then go."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from loguru import logger

from pipecat_dd import DatadogObserver
from pipecat_dd.export.metrics import _dogstatsd
from pipecat_dd.settings import Settings
from pipecat_dd.settings.notes import raising
from tests.support.dogstatsd import listening, sending_to

VARIABLES = (
    "DD_DOGSTATSD_URL",
    "DD_DOGSTATSD_SOCKET",
    "DD_DOGSTATSD_HOST",
    "DD_DOGSTATSD_PORT",
    "DD_AGENT_HOST",
    "DD_TRACE_AGENT_URL",
)


def test_metrics_are_off_unless_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIPECAT_DD_METRICS", raising=False)
    assert Settings.read().metrics is False
    monkeypatch.setenv("PIPECAT_DD_METRICS", "true")
    assert Settings.read().metrics is True
    assert Settings.read(metrics=False).metrics is False


def test_a_wrong_value_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TypeError, match=r"^metrics='yes': must be True or False"):
        DatadogObserver(metrics="yes")  # type: ignore[arg-type]
    monkeypatch.setenv("PIPECAT_DD_METRICS", "maybe")
    with (
        raising(),
        pytest.raises(ValueError, match=r"^PIPECAT_DD_METRICS='maybe': must be true or false"),
    ):
        Settings.read()
    assert Settings.read().metrics is False, "a bot goes on: tests/test_environment.py"


def test_without_the_extra_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datadog", None)
    what = r"needs the datadog package; pip install 'pipecat-dd\[metrics\]'"
    with pytest.raises(ImportError, match=f"^metrics=True: {what}"):
        DatadogObserver(metrics=True)
    monkeypatch.setenv("PIPECAT_DD_METRICS", "1")
    with raising(), pytest.raises(ImportError, match=f"^PIPECAT_DD_METRICS='1': {what}"):
        Settings.read()
    assert Settings.read().metrics is False, "a bot goes on: tests/test_environment.py"
    DatadogObserver(metrics=False)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, {"host": "localhost", "port": 8125}),
        ({"DD_DOGSTATSD_URL": "udp://agent:9125"}, {"host": "agent", "port": 9125}),
        ({"DD_DOGSTATSD_URL": "udp://[::1]"}, {"host": "::1", "port": 8125}),
        ({"DD_DOGSTATSD_URL": "unix:///run/dsd"}, {"socket_path": "unix:///run/dsd"}),
        ({"DD_DOGSTATSD_URL": "unixstream:///run/d"}, {"socket_path": "unixstream:///run/d"}),
        ({"DD_DOGSTATSD_SOCKET": "/run/dsd"}, {"socket_path": "/run/dsd"}),
        ({"DD_AGENT_HOST": "agent"}, {"host": "agent", "port": 8125}),
        (
            {"DD_AGENT_HOST": "agent", "DD_DOGSTATSD_HOST": "statsd"},
            {"host": "statsd", "port": 8125},
        ),
        (
            {"DD_AGENT_HOST": "agent", "DD_DOGSTATSD_PORT": "9125"},
            {"host": "agent", "port": 9125},
        ),
        (
            {"DD_DOGSTATSD_URL": "udp://a:1", "DD_DOGSTATSD_SOCKET": "/s", "DD_AGENT_HOST": "b"},
            {"host": "a", "port": 1},
        ),
        ({"DD_TRACE_AGENT_URL": "http://agent:8126"}, {"host": "agent", "port": 8125}),
        ({"DD_TRACE_AGENT_URL": "unix:///run/apm"}, {"host": "localhost", "port": 8125}),
        (
            {"DD_TRACE_AGENT_URL": "http://agent:8126", "DD_DOGSTATSD_PORT": "9125"},
            {"host": "localhost", "port": 9125},
        ),
    ],
)
def test_metrics_go_where_datadogs_own_libraries_send_them(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: dict[str, Any]
) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(_dogstatsd, "DEFAULT_SOCKET", "/nonexistent/dsd.socket")
    assert _dogstatsd.address() == expected


def test_the_agents_default_socket_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "dsd.socket"
    path.touch()
    monkeypatch.setattr(_dogstatsd, "DEFAULT_SOCKET", str(path))
    assert _dogstatsd.address() == {"socket_path": str(path)}


@pytest.mark.parametrize(
    ("variable", "value", "allowed"),
    [
        ("DD_DOGSTATSD_URL", "http://agent:8125", "udp://host:port or unix:///path"),
        ("DD_DOGSTATSD_URL", "udp://agent:eight", "udp://host:port or unix:///path"),
        ("DD_DOGSTATSD_PORT", "99999", "a number from 1 to 65535"),
    ],
)
def test_a_variable_that_says_nothing_is_ignored_aloud(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, allowed: str
) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, value)
    monkeypatch.setattr(_dogstatsd, "DEFAULT_SOCKET", "/nonexistent/dsd.socket")
    said: list[str] = []
    handler = logger.add(said.append, format="{message}")  # type: ignore[arg-type]
    assert _dogstatsd.address() == {"host": "localhost", "port": 8125}
    logger.remove(handler)
    (line,) = said
    assert variable in line
    assert value in line
    assert allowed in line


def test_service_env_and_version_come_from_ddtrace_where_no_variable_says_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from pipecat_dd.export.metrics import sender
    from pipecat_dd.export.metrics.sample import Sample

    with listening() as received, sending_to(received.url):
        monkeypatch.delenv("DD_SERVICE")
        monkeypatch.delenv("DD_VERSION")
        sender.shared().send([Sample("pipecat.sessions.active", 1)])
        received.until(lambda: bool(received.metrics))
        (metric,) = received.metrics
        found = {name: metric.tag(name) for name in ("service", "env", "version")}
        assert found == {"service": "test-bot", "env": "test", "version": "1.2.3"}


BOT = """
from pipecat_dd.export.metrics import sender
from pipecat_dd.export.metrics.sample import Sample
from ddtrace.trace import tracer
import json

sender.shared().send([Sample("pipecat.sessions.active", 1)])
sender.shared().flush(2)
span = tracer.start_span("any")
span.finish()
print(json.dumps({name: str(value) for name, value in span.get_tags().items()}))
"""


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"DD_TAGS": "team:voice,region:eu"}, {"team": "voice", "region": "eu"}),
        ({"DD_TAGS": "team:voice region:eu"}, {"team": "voice", "region": "eu"}),
        ({"DD_TAGS": "team:voice,env:other"}, {"team": "voice"}),
        ({"DD_TAGS": "team:voice", "DATADOG_TAGS": "team:shop"}, {"team": "shop"}),
    ],
)
def test_tags_of_every_span_are_on_every_metric(
    variables: dict[str, str], expected: dict[str, str]
) -> None:
    with listening() as received:
        done = subprocess.run(
            [sys.executable, "-c", BOT],
            env={
                **os.environ,
                "DD_DOGSTATSD_URL": received.url,
                "DD_TRACE_ENABLED": "true",
                **variables,
            },
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert done.returncode == 0, done.stderr
        received.until(lambda: bool(received.metrics))
    (metric,) = received.metrics
    assert metric.own_tags == expected
    assert metric.tag("env") == "test"
    on_span = json.loads(done.stdout.splitlines()[-1])
    if "DATADOG_TAGS" not in variables:
        assert {name: on_span.get(name) for name in expected} == expected

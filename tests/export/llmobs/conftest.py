"""Two processes with LLM Observability on, each with several calls at once."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pipecat_dd.cli.demo.environment import quiet_environment
from tests.export.llmobs.received import Received
from tests.support.agent import running_test_agent
from tests.support.ports import free_port

ROOT = Path(__file__).parents[3]


def environment(agent_url: str, **more: str) -> dict[str, str]:
    return (
        quiet_environment()
        | {
            "DD_TRACE_AGENT_URL": agent_url,
            "DD_SERVICE": "voice-bot",
            "DD_ENV": "test",
            "DD_VERSION": "1.2.3",
            "DD_LLMOBS_ENABLED": "1",
            "DD_LLMOBS_ML_APP": "voice-app",
            "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
            "DD_REMOTE_CONFIGURATION_ENABLED": "false",
            "DD_TRACE_LOG_STREAM_HANDLER": "false",
            "DD_TRACE_API_VERSION": "v0.4",
            "LOGURU_LEVEL": "WARNING",
            "PIPECAT_DD_BLOCKED_MS": "0",  # a busy machine would be complained of
            "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)]),
        }
        | more
    )


@dataclass
class Calls:
    """What a process that held calls knows of them, and what was received from it."""

    received: Received
    told: list[dict[str, Any]]
    complaints: str

    def exported(self, session_id: str, turn: int | None) -> Any:
        (found,) = [
            line["exported"]
            for line in self.told
            if line["session"] == session_id and "turn" in line and line["turn"] == turn
        ]
        return found


def _hold(agent_url: str, *session_ids: str, **more: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "tests.export.llmobs.calls", *session_ids],
        cwd=ROOT,
        env=environment(agent_url, **more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="session")
def both() -> Iterator[dict[str, Calls]]:
    """Calls with ddtrace's integration of the SDK, and without: two processes at once."""
    with running_test_agent(free_port()) as one, running_test_agent(free_port()) as other:
        running = {
            "patched": (one, _hold(one.url, "shut", "open", "turns", "apart")),
            "unpatched": (
                other,
                _hold(other.url, "shut", "open", "remote", DD_TRACE_OPENAI_ENABLED="false"),
            ),
        }
        calls = {}
        for name, (agent, process) in running.items():
            out, complaints = process.communicate(timeout=90)
            assert process.returncode == 0, complaints
            told = [json.loads(line) for line in out.splitlines()]
            calls[name] = Calls(Received(agent), told, complaints)
        yield calls


@pytest.fixture
def patched(both: dict[str, Calls]) -> Calls:
    return both["patched"]


@pytest.fixture
def unpatched(both: dict[str, Calls]) -> Calls:
    return both["unpatched"]

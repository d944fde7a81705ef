"""The command as its user runs it."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest

from pipecat_dd.cli.demo import scenario
from pipecat_dd.cli.demo.received import Received, receive
from tests.cli.demo.processes import ends, is_running
from tests.support.spans import Trace, trace_of

COMMAND = [sys.executable, "-m", "pipecat_dd.cli", "demo"]


@dataclass(frozen=True)
class Run:
    exit_code: int
    printed: str
    out: Path
    received: Received


def environment() -> dict[str, str]:
    return {**os.environ, "COLUMNS": "140", "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8"}


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    """One run for all that is asked of it: it talks in real time."""
    out = tmp_path_factory.mktemp("demo")
    done = subprocess.run(
        [*COMMAND, "--out", str(out)],
        stdout=subprocess.PIPE,
        env=environment(),
        encoding="utf-8",
        timeout=100,
    )
    chunks = json.loads((out / "traces.json").read_text())
    return Run(done.returncode, done.stdout, out, receive(chunks, out / "bot.jsonl"))


def test_it_succeeds(run):
    assert "✗ " not in run.printed.replace("✗ error", "")
    assert run.exit_code == 0


def test_every_line_of_the_user_is_answered(run):
    said = [line for line in run.printed.splitlines() if "s  user  " in line or "s  bot   " in line]
    assert len(said) == 2 * len(scenario.CONVERSATION)


def test_it_leaves_the_log_and_the_traces_and_says_where(run):
    assert {file.name for file in run.out.iterdir()} == {"bot.jsonl", "traces.json"}
    assert str(run.out / "bot.jsonl") in run.printed
    assert str(run.out / "traces.json") in run.printed


def test_every_line_of_the_session_leads_to_a_span(run):
    assert run.received.problems() == []


def test_each_thing_the_user_says_is_a_turn(run):
    assert len(run.received.turns) == len(scenario.CONVERSATION)


@pytest.fixture(scope="module")
def trace(run) -> Trace:
    """All that the test agent received of the session."""
    chunks = json.loads((run.out / "traces.json").read_text())
    spans = [span for chunk in chunks for span in chunk]
    sessions = [span for span in spans if span["name"] == "pipecat.session"]
    assert len(sessions) == 1
    found = trace_of(spans, sessions[0]["meta"]["session_id"])
    assert found is not None
    return found


def test_every_span_is_closed_and_within_its_session(trace):
    trace.check()
    assert len(trace.named("pipecat.session")) == 1


def test_every_service_is_part_of_a_turn_and_its_sdks_work_part_of_it(trace):
    turns = trace.named("pipecat.turn")
    for kind in ("pipecat.stt", "pipecat.llm", "pipecat.tts"):
        services = trace.named(kind)
        assert len(services) >= len(turns), kind
        assert all(span.parent in turns for span in services), kind
    requests = trace.named("openai.request", "createChatCompletion")
    assert len(requests) == len(trace.named("pipecat.llm"))
    assert {request.parent.name for request in requests} == {"pipecat.llm"}
    assert {tool.parent.name for tool in trace.named("pipecat.tool")} == {"pipecat.llm"}


def test_every_line_between_start_and_end_of_the_session_has_its_ids(run, trace):
    session = trace.one("pipecat.session")
    within = 0
    for text in (run.out / "bot.jsonl").read_text().splitlines():
        line = json.loads(text)
        at_ns = datetime.fromisoformat(line["timestamp"]).timestamp() * 1e9
        if session.start_ns < at_ns < session.end_ns:
            within += 1
            assert line["session_id"] == session["session_id"], text
            assert line["dd.trace_id"] == trace.id, text
            assert int(line["dd.span_id"]) in trace.by_id, text
    assert within > 100


def test_the_tree_shows_the_failure_and_the_interruption(run):
    assert "503" in run.printed
    assert "✂ interrupted" in run.printed


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_it_leaves_nothing_running_when_stopped_in_the_middle(tmp_path, end):
    demo = subprocess.Popen(
        [*COMMAND, "--out", str(tmp_path)],
        stdout=subprocess.PIPE,
        env={**environment(), "PYTHONUNBUFFERED": "1"},
        encoding="utf-8",
    )
    assert demo.stdout is not None
    with demo:
        for line in demo.stdout:
            if "s  user  " in line:
                break
        children = children_of(demo.pid)
        demo.send_signal(end)
        rest = demo.stdout.read()
        demo.wait(timeout=20)
    assert len(children) == 2
    assert all(ends(child) for child in children)
    if end is signal.SIGKILL:
        assert demo.returncode == -end
    else:
        assert demo.returncode == 128 + end
        assert "No process is left running" in rest


def children_of(pid: int) -> list[int]:
    listed = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True
    )
    pairs = (map(int, row.split()) for row in listed.stdout.splitlines())
    return [child for child, parent in pairs if parent == pid and is_running(child)]

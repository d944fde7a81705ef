"""However a process ends, what was open is closed and sent; no handler is in anyone's way."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipecat_dd.demo.environment import quiet_environment
from tests.support.agent import TestAgent
from tests.support.spans import Trace, trace_of

BOT = Path(__file__).with_name("dying_bot.py")


def run(agent: TestAgent, session_id: str, way: str) -> "subprocess.Popen[str]":
    environment = quiet_environment() | {
        "DD_TRACE_AGENT_URL": agent.url,
        "DD_SERVICE": "dying-bot",
        "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
        "DD_REMOTE_CONFIGURATION_ENABLED": "false",
        "PIPECAT_DD_SESSION_ID": session_id,
    }
    return subprocess.Popen(
        [sys.executable, "-m", "tests.reliability.dying_bot", way],
        cwd=BOT.parents[2],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def arrived(agent: TestAgent, session_id: str, name: str) -> Trace:
    def look() -> Trace | None:
        trace = trace_of(agent.spans(), session_id)
        return trace if trace is not None and trace.named(name) else None

    return agent.wait(look, timeout_secs=10)


def await_word(process: "subprocess.Popen[str]", word: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == word:
            return
    raise AssertionError(f"the bot ended without saying {word!r}")


@pytest.mark.parametrize(
    ("way", "reason"),
    [
        ("sys.exit", "exited"),
        ("exception", "exited"),
        ("loop closes", "exited"),
        ("sigterm", "terminated"),
    ],
)
def test_what_is_open_is_closed_and_sent(agent: TestAgent, way: str, reason: str) -> None:
    session_id = f"dies-by-{way}-{os.getpid()}"
    with run(agent, session_id, way) as process:
        await_word(process, "speaking")
        if way == "sigterm":
            process.send_signal(signal.SIGTERM)
        trace = arrived(agent, session_id, "pipecat.session")
        # Pipecat waits for ever for a frame that its cancelled tasks do not pass on.
        process.kill()
    trace.check()
    assert trace.one("pipecat.session")["session.end_reason"] == reason
    assert trace.one("pipecat.turn")["turn.end_reason"] == "session_end"
    assert trace.named("pipecat.tts")


@pytest.mark.parametrize("way", ["sigint", "handler"])
def test_a_handler_of_the_users_ends_the_bot_as_it_would_without_us(
    agent: TestAgent, way: str
) -> None:
    session_id = f"dies-by-{way}-{os.getpid()}"
    with run(agent, session_id, way) as process:
        await_word(process, "speaking")
        process.send_signal(signal.SIGINT if way == "sigint" else signal.SIGTERM)
        await_word(process, "handled")
        assert process.wait(20) == 0
    session = arrived(agent, session_id, "pipecat.session").one("pipecat.session")
    assert session["session.end_reason"] == "cancelled"


def test_a_killed_process_has_sent_what_finished_seconds_before(agent: TestAgent) -> None:
    session_id = f"killed-{os.getpid()}"
    with run(agent, session_id, "sigkill") as process:
        await_word(process, "turn over")
        arrived(agent, session_id, "pipecat.turn")
        process.kill()
        process.wait(10)
    trace = trace_of(agent.spans(), session_id)
    assert trace is not None
    turn = trace.one("pipecat.turn")
    assert {child.name for child in turn.children} >= {"pipecat.tts", "pipecat.bot_speech"}


def test_a_forked_process_has_sessions_of_its_own(agent: TestAgent) -> None:
    session_id = f"forks-{os.getpid()}"
    with run(agent, session_id, "fork") as process:
        await_word(process, "forked")
        assert process.wait(20) == 0
    arrived(agent, f"{session_id}-child", "pipecat.session")
    trace = arrived(agent, session_id, "pipecat.session")
    assert len(trace.named("pipecat.session")) == len(trace.named("pipecat.turn")) == 1
    assert trace.one("pipecat.session")["session.end_reason"] == "ended"

"""However a process ends, what was open is closed and sent; no handler is in anyone's way."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

from tests.support.ill_agent import ENVIRONMENT, Health, IllAgent
from tests.support.processes import BotProcess, bot_process
from tests.support.spans import Trace, trace_of
from tests.support.together import together
from tests.support.versions import DDTRACE

WITHIN_SECS = 2.0
"""How long after the end what was open is at the Agent."""

BOT = "tests.reliability.dying_bot"


@dataclass(frozen=True)
class Death:
    """A way for a process to end.

    Attributes:
        way: What the bot is told.
        reason: What its session says.
        sent: The signal that it is sent while it speaks, where it does not end by itself.
    """

    way: str
    reason: str
    sent: signal.Signals | None = None

    @property
    def session_id(self) -> str:
        return f"dies-by-{self.way}-{os.getpid()}"


DEATHS = [
    Death("sys.exit", "exited"),
    Death("exception", "exited"),
    Death("loop stops", "exited"),
    Death("loop closes", "exited"),
    Death("cancelled runner", "cancelled"),
    Death("sigterm", "terminated", signal.SIGTERM),
    # As where ddtrace was imported in a thread, and so handles no signal.
    Death("nobody handles it", "terminated", signal.SIGTERM),
    # asyncio.run() cancels main for it, and that ends Pipecat's runner.
    Death("ctrl-c", "cancelled", signal.SIGINT),
]

HANDLERS = [
    Death("loop handles sigint", "cancelled", signal.SIGINT),
    Death("loop handles sigterm", "cancelled", signal.SIGTERM),
    Death("handled before", "exited", signal.SIGTERM),
    Death("handled after", "terminated", signal.SIGTERM),
    Death("handle_sigint", "cancelled", signal.SIGINT),
    # uvicorn puts back what it found and sends itself the signal again. ddtrace 4.0 has no handler
    # of its own that it could find.
    *([Death("uvicorn", "terminated", signal.SIGTERM)] if DDTRACE >= (4, 16) else []),
]
"""Handlers of the user's: an event loop's, by which the bot ends in order; one that was there
before the observer; one that came after it and calls what it found; Pipecat's runner's; a web
server's."""


def run(death: Death, agent: IllAgent, *args: str) -> Any:
    return bot_process(
        BOT,
        death.way,
        *args,
        agent_url=agent.url,
        environment={"PIPECAT_DD_SESSION_ID": death.session_id},
    )


def kill(process: BotProcess, death: Death) -> float:
    """Have it end as it speaks, and return when that began."""
    process.hears("speaking")
    if death.sent is not None:
        process.popen.send_signal(death.sent)
    return time.monotonic()


def arrived(agent: IllAgent, session_id: str, since: float) -> Trace:
    """Return a session that has ended, and hold it to the time that it may take to arrive."""
    deadline = time.monotonic() + 10
    while not any(span["name"] == "pipecat.session" for span in agent.of(session_id)):
        assert time.monotonic() < deadline, "it is not at the Agent"
        time.sleep(0.02)
    spans = agent.of(session_id)
    late = max(span["arrived"] for span in spans) - since
    assert late <= WITHIN_SECS, f"it took {late:.1f} s"
    trace = trace_of(spans, session_id)
    assert trace is not None
    trace.check()
    return trace


def check_cut(trace: Trace, reason: str) -> None:
    """Check a session that ended as the bot spoke."""
    assert trace.one("pipecat.session")["session.end_reason"] == reason
    assert trace.one("pipecat.turn")["turn.end_reason"] == "session_end"
    assert trace.one("pipecat.tts")
    assert trace.one("pipecat.bot_speech")


def test_what_is_open_is_closed_and_sent_within_two_seconds() -> None:
    def check(death: Death) -> None:
        with run(death, agent) as process:
            since = kill(process, death)
            check_cut(arrived(agent, death.session_id, since), death.reason)
            if death.way in ("loop closes", "cancelled runner"):
                process.hears("goes on")
                assert process.popen.poll() is None, "it was sent while the process goes on"

    with IllAgent() as agent:
        together(DEATHS, check)


def test_a_handler_of_the_users_ends_the_bot_as_it_would_without_us() -> None:
    def check(death: Death) -> None:
        with run(death, agent) as process:
            since = kill(process, death)
            if death.way == "handled before":
                # It exits in asyncio.run(), which Pipecat may never let end.
                process.hears("handled")
            else:
                observed = process.rest(), process.ends()[0]
            check_cut(arrived(agent, death.session_id, since), death.reason)
        if death.way.startswith("loop handles"):
            assert observed == (["handled"], 0)
        elif death.way == "handle_sigint":
            assert observed == ([], 0)
        elif death.way != "handled before":
            with run(death, agent, "plain") as process:
                kill(process, death)
                assert observed == (process.rest(), process.ends()[0])
                assert observed[0] == ["handled"]

    with IllAgent() as agent:
        together(HANDLERS, check)


def test_each_process_of_multiprocessing_sends_a_session_of_its_own() -> None:
    def check(death: Death) -> None:
        with run(death, agent) as process:
            process.hears("children ended")
            # Long after for the first of them: whatever has not arrived yet never will.
            since = time.monotonic()
            for way, reason in {
                "ends": "ended",
                "fails": "exited",
                "terminated": "terminated",
            }.items():
                trace = arrived(agent, f"{death.session_id}-{way}", since)
                assert trace.one("pipecat.session")["session.end_reason"] == reason
                assert trace.one("pipecat.bot_speech")

    with IllAgent() as agent:
        together([Death("fork children", ""), Death("spawn children", "")], check)


def test_a_killed_process_has_sent_what_finished_seconds_before() -> None:
    death = Death("sigkill", "")
    with IllAgent() as agent, run(death, agent) as process:
        process.hears("turn over")
        time.sleep(5)  # what is promised: no less, whatever else has arrived by then
        process.popen.kill()
        process.ends()
        trace = trace_of(agent.of(death.session_id), death.session_id)
    assert trace is not None
    turn = trace.one("pipecat.turn")
    assert {child.name for child in turn.children} >= {"pipecat.tts", "pipecat.bot_speech"}


def test_a_forked_process_has_sessions_of_its_own() -> None:
    death = Death("fork", "ended")
    with IllAgent() as agent, run(death, agent) as process:
        process.hears("forked")
        since = time.monotonic()
        assert process.ends()[0] == 0
        arrived(agent, f"{death.session_id}-child", since)
        trace = arrived(agent, death.session_id, since)
    assert len(trace.named("pipecat.session")) == len(trace.named("pipecat.turn")) == 1
    assert trace.one("pipecat.session")["session.end_reason"] == "ended"


ONE_SPAN = """
import sys, time
from ddtrace.trace import tracer
tracer.trace("one").finish()
print("speaking", flush=True)
time.sleep(60 if sys.argv[1] == "sigterm" else 0)
"""
"""A process that has one span of its own to send at its end, and nothing of ours."""


def test_a_dead_agent_holds_up_a_processs_end_no_longer_than_ddtrace_alone() -> None:
    def alone(way: str) -> float:
        process = subprocess.Popen(
            [sys.executable, "-c", ONE_SPAN, way],
            env={**os.environ, **ENVIRONMENT, "DD_TRACE_AGENT_URL": agent.url},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        with process:
            assert process.stdout is not None
            process.stdout.readline()
            since = time.monotonic()
            if way == "sigterm":
                process.terminate()
            process.wait(60)
            return time.monotonic() - since

    def check(death: Death) -> None:
        with run(death, agent) as process:
            since = kill(process, death)
            process.ends()
            took = time.monotonic() - since
        # ddtrace draws how long it waits between its tries.
        assert took <= max(alone(death.way), alone(death.way)) + WITHIN_SECS

    with IllAgent(Health.DEAD) as agent:
        together([Death("loop stops", ""), Death("sigterm", "", signal.SIGTERM)], check)

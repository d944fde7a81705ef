"""When LLM Observability itself fails, what is in the trace is sent all the same."""

import subprocess
import sys

from tests.export.llmobs.conftest import environment
from tests.support.agent import TestAgent
from tests.support.spans import Trace, trace_of

FAILING = """
import asyncio, sys
from ddtrace.llmobs import LLMObs
from pipecat_dd import DatadogObserver

def failing(inner):
    def fails(*args, **kwargs):
        inner(*args, **kwargs)
        raise RuntimeError("on purpose")
    return fails

async def main():
    observer = DatadogObserver(session_id="failing " + sys.argv[1])
    if sys.argv[1] == "start":
        LLMObs._instance._start_span = failing(LLMObs._instance._start_span)
    elif sys.argv[1] == "annotate":
        LLMObs.annotate = failing(LLMObs.annotate)
    elif sys.argv[1] == "missing":
        del LLMObs._instance._llmobs_context_provider
    await observer.setup(None)
    await observer.cleanup()

asyncio.run(main())
"""


def test_a_failure_costs_what_llm_observability_shows_and_nothing_else(agent: TestAgent) -> None:
    ways = ("start", "annotate", "missing")
    running = [
        subprocess.Popen(
            [sys.executable, "-c", FAILING, way],
            env=environment(agent.url),
            stderr=subprocess.PIPE,
            text=True,
        )
        for way in ways
    ]
    for way, process in zip(ways, running, strict=True):
        _, complaints = process.communicate(timeout=60)
        assert process.returncode == 0, complaints

        def arrived(session_id: str = f"failing {way}") -> Trace | None:
            trace = trace_of(agent.spans(), session_id)
            return trace if trace is not None and trace.named("pipecat.session") else None

        (session,) = agent.wait(arrived).named("pipecat.session")
        assert session["session.end_reason"], way
        if way == "missing":
            assert "pipecat_dd:" not in complaints
        else:
            assert complaints.count("reporting to LLM Observability failed; the bot is not") == 1
        assert (session.raw.get("type") == "llm") is (way == "annotate")


TEXT = """
import asyncio
from pipecat_dd import DatadogObserver

async def main():
    half = chr(0xdce9)
    observer = DatadogObserver(session_id="half a pair", name="bot" + half, tags={"a" + half: half})
    await observer.setup(None)
    await observer.cleanup()

asyncio.run(main())
"""


def test_text_that_cannot_be_written_is_replaced(agent: TestAgent) -> None:
    done = subprocess.run(
        [sys.executable, "-c", TEXT],
        env=environment(agent.url),
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "pipecat_dd:" not in done.stderr

    def arrived() -> Trace | None:
        trace = trace_of(agent.spans(), "half a pair")
        return trace if trace is not None and trace.named("pipecat.session") else None

    (session,) = agent.wait(arrived).named("pipecat.session")
    assert session.raw.get("type") == "llm"
    assert session["a\ufffd"] == "\ufffd"

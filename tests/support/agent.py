"""Datadog's test agent, and what it received."""

import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from ddtrace.trace import tracer

from pipecat_dd.cli.demo.environment import quiet_environment
from tests.support.ports import free_port
from tests.support.spans import Trace, trace_of

POLL_SECS = 0.05
T = TypeVar("T")


class TestAgent:
    """A running test agent."""

    __test__ = False

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def chunks(self) -> list[list[dict[str, Any]]]:
        """Return all chunks received since the start."""
        with urllib.request.urlopen(f"{self.url}/test/session/traces", timeout=10) as answer:
            chunks: list[list[dict[str, Any]]] = json.load(answer)
            return chunks

    def clear(self) -> None:
        """Forget all that was received: whoever asks is answered with all there is."""
        urllib.request.urlopen(f"{self.url}/test/session/clear", timeout=10).close()

    def spans(self) -> list[dict[str, Any]]:
        """Return all spans received since the start."""
        return [span for chunk in self.chunks() for span in chunk]

    def session(self, session_id: str) -> Trace:
        """Return the trace of a session that has ended, once all of it has arrived."""
        tracer.flush()

        def arrived() -> Trace | None:
            trace = trace_of(self.spans(), session_id)
            return trace if trace is not None and trace.named("pipecat.session") else None

        return self.wait(arrived)

    def wait(self, arrived: Callable[[], T | None], *, timeout_secs: float = 10.0) -> T:
        """Return what is waited for as soon as it has arrived.

        The test agent announces nothing, so it is asked again and again.
        """
        deadline = time.monotonic() + timeout_secs
        while (found := arrived()) is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"not at the test agent within {timeout_secs} s")
            time.sleep(POLL_SECS)
        return found


@contextmanager
def running_test_agent(port: int) -> Iterator[TestAgent]:
    """Run a test agent on a port."""
    with tempfile.TemporaryDirectory() as scratch:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "ddapm_test_agent.agent",
                "--host=127.0.0.1",
                f"--port={port}",
                f"--otlp-http-port={free_port()}",
                f"--otlp-grpc-port={free_port()}",
                "--disable-llmobs-data-forwarding",
                "--log-level=ERROR",
            ],
            cwd=scratch,
            env=quiet_environment(),  # it would pass everything on to DD_TRACE_AGENT_URL
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        agent = TestAgent(port)

        def answers() -> bool | None:
            if process.poll() is not None:
                raise RuntimeError(f"the test agent ended with {process.returncode}")
            try:
                agent.chunks()
            except OSError:
                return None
            return True

        try:
            agent.wait(answers, timeout_secs=30)
            yield agent
        finally:
            process.terminate()
            process.wait(10)

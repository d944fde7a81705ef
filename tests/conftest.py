"""One test agent for the whole run: ddtrace reads where to send to when it is imported."""

import os
import signal

from tests.support.ports import free_port

# A shell that runs the tests in its background has them ignore Ctrl-C, and each bot that they
# start and interrupt would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

AGENT_PORT = free_port()

os.environ.update(
    DD_TRACE_AGENT_URL=f"http://127.0.0.1:{AGENT_PORT}",
    DD_SERVICE="test-bot",
    DD_ENV="test",
    DD_VERSION="1.2.3",
    DD_TRACE_LOG_STREAM_HANDLER="false",
    DD_INSTRUMENTATION_TELEMETRY_ENABLED="false",
    DD_REMOTE_CONFIGURATION_ENABLED="false",
    DD_TRACE_STARTUP_LOGS="false",
)

from collections.abc import Iterator  # noqa: E402

import ddtrace  # noqa: E402
import pytest  # noqa: E402

from pipecat_dd.cli.demo.versions import split_sentences_offline  # noqa: E402
from pipecat_dd.conversation import live_sessions  # noqa: E402
from pipecat_dd.conversation.context import current  # noqa: E402
from tests.support.agent import TestAgent, running_test_agent  # noqa: E402

ddtrace.patch(raise_errors=False, openai=True, httpx=True, httpx2=True)
split_sentences_offline()


@pytest.fixture(scope="session")
def running_agent() -> Iterator[TestAgent]:
    with running_test_agent(AGENT_PORT) as running:
        yield running


@pytest.fixture
def agent(running_agent: TestAgent) -> TestAgent:
    """Datadog's test agent, to which this process really sends; it begins each test empty."""
    running_agent.clear()
    return running_agent


@pytest.fixture(autouse=True)
def nowhere() -> Iterator[None]:
    """Begin each test outside of every session: pytest runs them all in one context."""
    token = current.set(None)
    live_sessions._live.clear()
    yield
    current.reset(token)

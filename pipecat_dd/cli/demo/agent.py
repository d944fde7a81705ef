"""Run Datadog's test agent for the duration of a block.

The test agent (``ddapm-test-agent``, by Datadog) speaks the Agent's trace protocol and stores the
traces that it receives, so that a program can request them. ddtrace can send real traces to it on
a machine without an Agent, and nothing leaves that machine.

Example::

    async with running_agent() as agent:
        ...  # run something with DD_TRACE_AGENT_URL=agent.url
        chunks = await agent.traces()
"""

import asyncio
import base64
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from pipecat_dd.cli.demo.child_process import child_process
from pipecat_dd.cli.demo.environment import quiet_environment
from pipecat_dd.cli.demo.ports import LOOPBACK, free_ports

Chunks = list[list[dict[str, Any]]]
"""The traces that an agent received. Each chunk is a list of spans that ddtrace sent together."""

_START_TIMEOUT_SECS = 20.0
_START_ATTEMPTS = 3
_POLL_SECS = 0.05
_SETTLE_SECS = 2.0


class AgentError(RuntimeError):
    """The test agent did not start."""


class Agent:
    """A running test agent.

    Attributes:
        port: The port on which it receives traces.
        url: Its URL, the value for ``DD_TRACE_AGENT_URL``.
        pid: Its process id.
    """

    def __init__(self, port: int, pid: int, http: aiohttp.ClientSession) -> None:
        self.port = port
        self.url = f"http://{LOOPBACK}:{port}"
        self.pid = pid
        self._http = http

    async def traces(self) -> Chunks:
        """Return all chunks that were received since the start or the last :meth:`clear`."""
        async with self._http.get(f"{self.url}/test/session/traces") as response:
            response.raise_for_status()
            chunks: Chunks = await response.json()
            return chunks

    async def trace_bytes(self) -> int:
        """Return the total size of the request bodies with traces, in bytes as they were sent."""
        async with self._http.get(f"{self.url}/test/session/requests") as response:
            response.raise_for_status()
            requests = await response.json()
        return sum(
            len(base64.b64decode(request["body"]))
            for request in requests
            if request["url"].endswith("/traces")
        )

    async def clear(self) -> None:
        """Delete all traces that were received."""
        async with self._http.get(f"{self.url}/test/session/clear") as response:
            response.raise_for_status()

    async def traces_when(
        self, arrived: Callable[[Chunks], object], *, timeout_secs: float = 10.0
    ) -> Chunks:
        """Wait for expected traces, and return all chunks that were received.

        The test agent does not notify its clients, so this method polls it.

        Args:
            arrived: Returns a true value if the chunks contain the expected traces.
            timeout_secs: How long to wait, in seconds.

        Raises:
            TimeoutError: The traces did not arrive in time.
        """
        async with asyncio.timeout(timeout_secs):
            while not arrived(chunks := await self.traces()):  # noqa: ASYNC110 - another process
                await asyncio.sleep(_POLL_SECS)
            return chunks


@asynccontextmanager
async def running_agent(output: Path | None = None) -> AsyncIterator[Agent]:
    """Run a test agent on free ports of the loopback interface.

    Args:
        output: The file for the test agent's output; None discards it.

    Yields:
        The agent, ready to receive traces. Its process ends with the block, or when this process
        ends, for whatever reason.

    Raises:
        AgentError: The agent could not be started.
    """
    async with AsyncExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pipecat-dd-")))
        printed = output or scratch / "test-agent.log"
        http = await stack.enter_async_context(aiohttp.ClientSession())
        for attempt in range(_START_ATTEMPTS):
            port, otlp_http, otlp_grpc = free_ports(3)
            running = AsyncExitStack()
            process = await running.enter_async_context(
                child_process(
                    "ddapm_test_agent.agent",
                    f"--host={LOOPBACK}",
                    f"--port={port}",
                    f"--otlp-http-port={otlp_http}",
                    f"--otlp-grpc-port={otlp_grpc}",
                    "--disable-llmobs-data-forwarding",
                    "--log-level=WARNING",
                    env=quiet_environment(),
                    output=printed,
                    cwd=scratch,  # the agent loads snapshots and cassettes from its directory
                )
            )
            agent = Agent(port, process.pid, http)
            try:
                if await _wait_until_ready(agent, process, printed):
                    await stack.enter_async_context(running)
                    break
            except BaseException:
                await running.aclose()
                raise
            await running.aclose()
            if attempt + 1 == _START_ATTEMPTS:
                raise AgentError(
                    f"Datadog's test agent did not start. Its output was:\n{_tail(printed)}"
                )
        yield agent


async def _wait_until_ready(
    agent: Agent, process: asyncio.subprocess.Process, printed: Path
) -> bool:
    """Wait until the agent answers. Return False if it exits instead: its port may be in use."""
    ended = asyncio.create_task(process.wait())
    answered = asyncio.create_task(_poll_until_answer(agent))
    try:
        await asyncio.wait(
            [ended, answered],
            timeout=_START_TIMEOUT_SECS,
            return_when=asyncio.FIRST_COMPLETED,
        )
        if answered.done() and f"port {agent.port}" not in _tail(printed):
            # The agent has not logged that it listens on the port. Another one may have answered.
            await asyncio.wait([ended], timeout=_SETTLE_SECS)
        return answered.done() and not ended.done()
    finally:
        ended.cancel()
        answered.cancel()


async def _poll_until_answer(agent: Agent) -> None:
    while True:
        try:
            await agent.traces()
            return
        except aiohttp.ClientError:
            await asyncio.sleep(_POLL_SECS)


def _tail(path: Path, lines: int = 20) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])

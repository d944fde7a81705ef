"""Datadog's test agent, started and stopped around a block of code.

The test agent (``ddapm-test-agent``, Datadog's own) speaks the Agent's trace protocol and keeps
what it receives, so that a program can ask for it: a place to send real traces to on a machine
without an Agent. Nothing that it receives leaves the machine.

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

from pipecat_dd.cli.demo.environment import quiet_environment
from pipecat_dd.cli.demo.leash import leashed
from pipecat_dd.cli.demo.ports import LOOPBACK, free_ports

Chunks = list[list[dict[str, Any]]]
"""What an agent received: each chunk is the list of spans that ddtrace sent together."""

_START_TIMEOUT_SECS = 20.0
_START_ATTEMPTS = 3
_POLL_SECS = 0.05
_SETTLE_SECS = 2.0


class AgentError(RuntimeError):
    """The test agent did not start, or does not answer."""


class Agent:
    """A test agent that is running.

    Attributes:
        port: The port on which it receives traces.
        url: The same as a URL; the value for ``DD_TRACE_AGENT_URL``.
        pid: Its process.
    """

    def __init__(self, port: int, pid: int, http: aiohttp.ClientSession) -> None:
        self.port = port
        self.url = f"http://{LOOPBACK}:{port}"
        self.pid = pid
        self._http = http

    async def traces(self) -> Chunks:
        """Return all chunks received since the start or the last :meth:`clear`."""
        async with self._http.get(f"{self.url}/test/session/traces") as response:
            response.raise_for_status()
            chunks: Chunks = await response.json()
            return chunks

    async def trace_bytes(self) -> int:
        """Return the size of the bodies that brought the traces, as they went over the wire."""
        async with self._http.get(f"{self.url}/test/session/requests") as response:
            response.raise_for_status()
            requests = await response.json()
        return sum(
            len(base64.b64decode(request["body"]))
            for request in requests
            if request["url"].endswith("/traces")
        )

    async def clear(self) -> None:
        """Forget what was received."""
        async with self._http.get(f"{self.url}/test/session/clear") as response:
            response.raise_for_status()

    async def traces_when(
        self, arrived: Callable[[Chunks], object], *, timeout_secs: float = 10.0
    ) -> Chunks:
        """Return what was received as soon as it is what the caller waits for.

        The test agent announces nothing, so it is asked again and again.

        Args:
            arrived: Says, truthy or falsy, whether these chunks are what is waited for.
            timeout_secs: How long to wait, in seconds.

        Raises:
            TimeoutError: It did not arrive in time.
        """
        async with asyncio.timeout(timeout_secs):
            while not arrived(chunks := await self.traces()):  # noqa: ASYNC110 - another process
                await asyncio.sleep(_POLL_SECS)
            return chunks


@asynccontextmanager
async def running_agent(output: Path | None = None) -> AsyncIterator[Agent]:
    """Run a test agent on free ports of the loopback interface.

    Args:
        output: File for what the test agent prints; thrown away if not given.

    Yields:
        The agent, ready to receive. Its process ends with the block, and with this process
        however this process ends.

    Raises:
        AgentError: It could not be started.
    """
    async with AsyncExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pipecat-dd-")))
        printed = output or scratch / "test-agent.log"
        http = await stack.enter_async_context(aiohttp.ClientSession())
        for attempt in range(_START_ATTEMPTS):
            port, otlp_http, otlp_grpc = free_ports(3)
            running = AsyncExitStack()
            process = await running.enter_async_context(
                leashed(
                    "ddapm_test_agent.agent",
                    f"--host={LOOPBACK}",
                    f"--port={port}",
                    f"--otlp-http-port={otlp_http}",
                    f"--otlp-grpc-port={otlp_grpc}",
                    "--disable-llmobs-data-forwarding",
                    "--log-level=WARNING",
                    env=quiet_environment(),
                    output=printed,
                    cwd=scratch,  # it would look for snapshots and cassettes in ours
                )
            )
            agent = Agent(port, process.pid, http)
            try:
                if await _starts(agent, process, printed):
                    await stack.enter_async_context(running)
                    break
            except BaseException:
                await running.aclose()
                raise
            await running.aclose()
            if attempt + 1 == _START_ATTEMPTS:
                raise AgentError(f"Datadog's test agent did not start. It said:\n{_tail(printed)}")
        yield agent


async def _starts(agent: Agent, process: asyncio.subprocess.Process, printed: Path) -> bool:
    """Wait until the agent answers; false if it ends instead, as when a port was taken."""
    ended = asyncio.create_task(process.wait())
    answered = asyncio.create_task(_answers(agent))
    try:
        await asyncio.wait(
            [ended, answered],
            timeout=_START_TIMEOUT_SECS,
            return_when=asyncio.FIRST_COMPLETED,
        )
        if answered.done() and f"port {agent.port}" not in _tail(printed):
            # It has not said that it listens there. Is it another one that answers?
            await asyncio.wait([ended], timeout=_SETTLE_SECS)
        return answered.done() and not ended.done()
    finally:
        ended.cancel()
        answered.cancel()


async def _answers(agent: Agent) -> None:
    while True:
        try:
            await agent.traces()
            return
        except aiohttp.ClientError:
            await asyncio.sleep(_POLL_SECS)


def _tail(path: Path, lines: int = 20) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])

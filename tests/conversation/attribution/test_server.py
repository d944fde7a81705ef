"""In a server, each line and span is of its call, and of none where it is no call's."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect

from pipecat_dd.cli.demo.environment import quiet_environment
from pipecat_dd.cli.demo.provider import Delays, Provider, Say
from tests.conversation.attribution.calls import NOBODY
from tests.support.agent import TestAgent
from tests.support.processes import REPOSITORY
from tests.support.spans import Trace, trace_of
from tests.support.versions import needs_pipecat

CALLS = 20
PLACES_OF_A_CALL = 26
"""How many lines of its own each call writes, with an observer of its own."""

pytestmark = needs_pipecat("1.8", "a processor does not lead to its worker")


async def ring(port: int, mark: str) -> None:
    async with connect(f"ws://127.0.0.1:{port}/call/{mark}") as websocket:
        async for _ in websocket:
            pass


async def check_health(port: int, over: asyncio.Event) -> int:
    count = 0
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        while not over.is_set():
            for path in ("/ready", "/health"):
                answer = await client.get(path)
                assert answer.status_code == 200
                count += 1
            await asyncio.sleep(0.05)
    return count


async def serve(agent: TestAgent, loop: str, *, shared: bool) -> list[dict[str, Any]]:
    """Run the server, hold all calls at once, and return its lines."""
    answering = Provider(lambda *_: Say("Fine, thank you."), delays=Delays(0.02, 0.002))
    async with answering as provider:
        environment = quiet_environment() | {
            "DD_TRACE_AGENT_URL": agent.url,
            "DD_SERVICE": "server",
            "DD_TRACE_LOG_STREAM_HANDLER": "false",
            "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
            "DD_REMOTE_CONFIGURATION_ENABLED": "false",
            "DD_TRACE_STARTUP_LOGS": "false",
            "DD_TRACE_WEBSOCKET_MESSAGES_ENABLED": "false",
            "PROVIDER": provider.url,
            "CALLS": str(CALLS),
            "SHARED": "1" if shared else "0",
            "PYTHONUNBUFFERED": "1",
        }
        process = await asyncio.create_subprocess_exec(
            *(str(Path(sys.executable).with_name("ddtrace-run")), sys.executable),
            *("-m", "tests.conversation.attribution.server", loop),
            cwd=REPOSITORY,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            limit=2**24,
        )
        assert process.stdout is not None
        lines: list[str] = []
        try:
            async with asyncio.timeout(90):
                async for raw in process.stdout:
                    if raw.startswith(b"port "):
                        break
                    lines.append(raw.decode())
                else:
                    raise AssertionError("the server has not started")
                port, over = int(raw.split()[1]), asyncio.Event()
                reading = asyncio.create_task(process.stdout.read())
                health = asyncio.create_task(check_health(port, over))
                await asyncio.gather(*(ring(port, f"caller-{n}") for n in range(CALLS)))
                over.set()
                assert await health >= 4
                process.send_signal(signal.SIGINT)
                lines += (await reading).decode().splitlines()
                await process.wait()
        finally:
            if process.returncode is None:
                os.kill(process.pid, signal.SIGKILL)
                await process.wait()
    return [json.loads(line) for line in lines if line.startswith("{")]


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("shared", [False, True], ids=["an observer a call", "one for all"])
async def test_each_line_and_span_is_of_its_call_or_of_none(
    agent: TestAgent, loop: str, shared: bool
) -> None:
    if loop == "uvloop":
        pytest.importorskip("uvloop", reason="uvloop is not installed")
    lines = await serve(agent, loop, shared=shared)

    marked = [line for line in lines if line["message"].startswith("⟨")]
    by_mark: dict[str, list[dict[str, Any]]] = {}
    for line in marked:
        by_mark.setdefault(line["message"][1:].partition("⟩")[0], []).append(line)
    nobodys = by_mark.pop(NOBODY)
    assert len(nobodys) > 100
    for line in nobodys:
        assert not {"session_id", "participant_id"} & set(line), line
    for line in lines:
        if line["name"].startswith("uvicorn") and "/health" in line["message"]:
            assert "session_id" not in line, line

    assert set(by_mark) == {f"caller-{n}" for n in range(CALLS)}
    ids: dict[str, str] = {}
    for mark, own in by_mark.items():
        found = Counter(line.get("session_id") for line in own)
        assert len(found) == 1, f"{mark}: {found}"
        (ids[mark],) = found
        assert ids[mark] is not None
        if not shared:
            assert ids[mark] == mark
            assert len(own) == PLACES_OF_A_CALL
    assert len(set(ids.values())) == CALLS, "two callers have one id"

    def arrived() -> dict[str, Trace] | None:
        spans = agent.spans()
        found = {one: trace_of(spans, one) for one in ids.values()}
        whole = {
            one: trace
            for one, trace in found.items()
            if trace is not None and trace.named("pipecat.session")
        }
        return whole if len(whole) == CALLS else None

    traces = agent.wait(arrived, timeout_secs=30)
    assert len({trace.id for trace in traces.values()}) == CALLS
    for line in lines:
        session_id = line.get("session_id")
        if session_id is None:
            continue
        trace = traces[session_id]
        assert line["dd.trace_id"] == trace.id, line
        assert int(line["dd.span_id"]) in trace.by_id, line
    requests = [span for span in agent.spans() if span["name"] == "openai.request"]
    assert len(requests) == CALLS
    for session_id, trace in traces.items():
        for request in trace.named("openai.request"):
            assert request.parent is not None
            assert request.parent.name == "pipecat.llm"
        assert len(trace.named("openai.request")) == 1, session_id
        assert trace.one("pipecat.participant")
        assert not [span for span in trace.spans if span.name.startswith(("fastapi", "starlette"))]

import asyncio
import subprocess
import sys

import aiohttp
import pytest

from pipecat_dd.cli.demo import agent as agent_module
from pipecat_dd.cli.demo.agent import AgentError, running_agent
from pipecat_dd.cli.demo.environment import bot_environment
from tests.cli.demo.processes import is_running

ONE_SPAN = "from ddtrace.trace import tracer; tracer.trace('probe', resource='r').finish()"


def send_one_span(url: str) -> None:
    env = bot_environment(agent_url=url, provider_url="http://unused.invalid")
    subprocess.run([sys.executable, "-c", ONE_SPAN], env=env, check=True)


async def test_it_receives_what_ddtrace_sends_until_cleared():
    async with running_agent() as agent:
        assert await agent.traces() == []
        await asyncio.to_thread(send_one_span, agent.url)
        ((span,),) = await agent.traces()
        assert (span["name"], span["service"]) == ("probe", "pipecat-dd-demo")
        await agent.clear()
        assert await agent.traces() == []


async def test_traces_can_be_waited_for():
    async with running_agent() as agent:
        sending = asyncio.create_task(asyncio.to_thread(send_one_span, agent.url))
        chunks = await agent.traces_when(bool, timeout_secs=20)
        assert chunks[0][0]["name"] == "probe"
        await sending


async def test_waiting_for_traces_that_never_come_ends():
    async with running_agent() as agent:
        with pytest.raises(TimeoutError):
            await agent.traces_when(bool, timeout_secs=0.1)


async def test_it_leaves_neither_process_nor_port_behind():
    async with running_agent() as agent:
        assert is_running(agent.pid)
    assert not is_running(agent.pid)
    async with aiohttp.ClientSession() as http:
        with pytest.raises(aiohttp.ClientConnectorError):
            await http.get(agent.url)


async def test_it_leaves_nothing_behind_when_cancelled():
    running = asyncio.Event()
    pids = []

    async def use() -> None:
        async with running_agent() as agent:
            pids.append(agent.pid)
            running.set()
            await asyncio.Event().wait()

    using = asyncio.create_task(use())
    await running.wait()
    using.cancel()
    with pytest.raises(asyncio.CancelledError):
        await using
    assert not is_running(pids[0])


async def test_two_run_side_by_side():
    async with running_agent() as one, running_agent() as other:
        await asyncio.to_thread(send_one_span, one.url)
        assert await one.traces()
        assert not await other.traces()


async def test_a_port_taken_meanwhile_is_given_up_for_another(monkeypatch):
    async with running_agent() as first:
        tries = []

        def ports(count: int) -> list[int]:
            tries.append(count)
            free = agent_free_ports(count)
            return [first.port, *free[1:]] if len(tries) == 1 else free

        agent_free_ports = agent_module.free_ports
        monkeypatch.setattr(agent_module, "free_ports", ports)
        async with running_agent() as second:
            assert second.url != first.url
            assert len(tries) == 2


async def test_that_it_does_not_start_is_said_with_its_own_words(monkeypatch):
    async with running_agent() as first:
        monkeypatch.setattr(agent_module, "free_ports", lambda _: [first.port, 0, 0])
        with pytest.raises(AgentError, match="did not start"):
            async with running_agent():
                pass

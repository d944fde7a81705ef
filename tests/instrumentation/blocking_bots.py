"""Many bots on one event loop, each of which blocks it in another place of its code."""

import asyncio
import contextvars
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from pipecat.frames.frames import DataFrame, EndFrame, Frame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.llm_service import FunctionCallParams
from pipecat.transports.base_input import BaseInputTransport
from pipecat.transports.base_transport import BaseTransport, TransportParams

from pipecat_dd import DatadogObserver
from pipecat_dd.cli.demo.versions import PipelineWorker, WorkerRunner
from pipecat_dd.testing import SeenSession, SeenSpan
from tests.support.bot import QuickOutput
from tests.support.scripted import ScriptedLLM, asked

BLOCK_SECS = 0.16
SETTLE_SECS = 0.05
PATIENCE_SECS = 20.0


block = partial(time.sleep, BLOCK_SECS)
"""Block whatever calls it, with no function of Python's of its own."""


class PokeFrame(DataFrame):
    """Has a processor do something."""


class Transport(BaseTransport):
    """A transport with an event, and nobody at the other end."""

    def __init__(self) -> None:
        super().__init__()
        params = TransportParams(audio_out_enabled=True)
        self._input, self._output = BaseInputTransport(params), QuickOutput(params)
        self._input._transport = self._output._transport = self  # type: ignore[attr-defined]
        self._register_event_handler("on_client_connected")

    def input(self) -> FrameProcessor:
        return self._input

    def output(self) -> FrameProcessor:
        return self._output

    async def connect(self) -> None:
        await self._call_event_handler("on_client_connected", object())


class Poked(FrameProcessor):
    """Does what it is asked to, on a frame."""

    def __init__(self) -> None:
        super().__init__()
        self.work: Callable[[], Awaitable[None]] | None = None
        self._register_event_handler("on_poke")

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, PokeFrame) and self.work is not None:
            await self.work()
        await self.push_frame(frame, direction)

    async def in_process_frame(self) -> None:
        block()

    async def call_soon(self) -> None:
        def blocking_callback() -> None:
            block()

        asyncio.get_running_loop().call_soon(blocking_callback)

    async def call_later(self) -> None:
        asyncio.get_running_loop().call_later(0.02, self.blocking_timer)

    def blocking_timer(self) -> None:
        block()

    async def in_event(self) -> None:
        await self._call_event_handler("on_poke")

    async def in_own_task(self) -> None:
        async def blocking_task() -> None:
            await asyncio.sleep(0)
            block()

        self._task = asyncio.create_task(blocking_task(), name="of the user's")

    async def in_thread(self) -> None:
        await asyncio.to_thread(block)


class Bot:
    """One bot of many."""

    def __init__(self, number: int, *, poked: type[Poked] = Poked, **options: Any) -> None:
        self.session_id = f"session-{number}"
        self.observer = DatadogObserver(session_id=self.session_id, **options)
        self.transport, self.poked, self.llm = Transport(), poked(), ScriptedLLM()
        self.done = asyncio.Event()
        self.running: asyncio.Task[None] | None = None
        self._register()
        self.worker = PipelineWorker(
            Pipeline([self.transport.input(), self.poked, self.llm, self.transport.output()]),
            observers=[self.observer],
        )

    def _register(self) -> None:
        @self.transport.event_handler("on_client_connected")
        async def connected(*_: Any) -> None:
            block()

        @self.poked.event_handler("on_poke")
        async def poked(*_: Any) -> None:
            block()

        self.poked_handler, self.connected_handler = poked, connected
        for tool in (forecast, slow_library, slow_process, lazy_import, regex):
            self.llm.register_function(tool.__name__, self._calling(tool))

    def _calling(self, tool: Callable[[], object]) -> Callable[[FunctionCallParams], Any]:
        async def run(params: FunctionCallParams) -> None:
            tool()
            await params.result_callback({"done": True})
            self.done.set()

        return run

    async def call(self, tool: str) -> None:
        """Have the model call a tool, and wait until it has run."""
        await self.worker.queue_frame(asked(f"call {tool}"))
        async with asyncio.timeout(PATIENCE_SECS):
            await self.done.wait()

    async def poke(self, work: Callable[[], Awaitable[None]]) -> None:
        """Have the processor do something."""

        async def and_say() -> None:
            await work()
            self.done.set()

        self.poked.work = and_say
        await self.worker.queue_frame(PokeFrame())
        async with asyncio.timeout(PATIENCE_SECS):
            await self.done.wait()

    async def run(self, ready: "Together", act: "Act | None") -> None:
        """Run, in a turn that is open, until all others have acted."""
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(self.worker)
        running = asyncio.create_task(runner.run())
        await self.worker.queue_frame(asked("say hello"))
        await ready.arrive()
        try:
            async with ready.turn:
                if act is not None:
                    await act(self)
                    await asyncio.sleep(SETTLE_SECS)
        finally:
            await ready.leave()
            await self.worker.queue_frame(EndFrame())
            async with asyncio.timeout(PATIENCE_SECS):
                await running


Act = Callable[[Bot], Awaitable[None]]


@dataclass
class Together:
    """Lets bots act one after another once all are there, and end once all have acted."""

    count: int

    def __post_init__(self) -> None:
        self.turn = asyncio.Lock()
        self._here = self._done = 0
        self._all_here, self._all_done = asyncio.Event(), asyncio.Event()

    async def arrive(self) -> None:
        await asyncio.sleep(0.3)
        self._here += 1
        if self._here == self.count:
            self._all_here.set()
        await self._all_here.wait()

    async def leave(self) -> None:
        self._done += 1
        if self._done == self.count:
            self._all_done.set()
        await self._all_done.wait()


async def run_all(acts: Sequence[Act | None], *, first: int = 0, **options: Any) -> None:
    """Run a bot for each act, all on this loop.

    Args:
        acts: What each does; None for nothing.
        first: The first bot's number.
        **options: The observers'; of a list, each bot gets its own.
    """
    together = Together(len(acts))

    async def one(number: int, act: Act | None) -> None:
        own = {
            name: value[number] if isinstance(value, list) else value
            for name, value in options.items()
        }
        await Bot(first + number, **own).run(together, act)

    async with asyncio.TaskGroup() as group:
        for number, act in enumerate(acts):
            group.create_task(one(number, act))


# What tools do


def forecast() -> None:
    """Sleep, as code does that was not written for an event loop."""
    block()


def slow_library() -> None:
    """Ask a server that is slow to answer, by the standard library."""
    urllib.request.urlopen(SLOW_URL[0], timeout=10).close()  # blocks


SLOW_URL = [""]
"""The URL of a server that takes its time."""


def slow_process() -> None:
    """Run another program."""
    program = f"import time; time.sleep({BLOCK_SECS})"
    subprocess.run([sys.executable, "-S", "-c", program], check=True)  # blocks


def lazy_import() -> None:
    """Import a module that takes its time."""
    import tests.instrumentation.slow_module  # noqa: F401


def regex() -> None:
    """Match a catastrophic pattern, which holds Python's lock for about 0.2 s of CPU time."""
    re.match(CATASTROPHIC, regex_text())  # blocks


CATASTROPHIC = r"(a|a)*$"


@cache
def regex_text() -> str:
    """Return a text that takes about that long on this machine."""
    for chars in range(14, 40):
        text = "a" * chars + "b"
        begun_secs = time.process_time()
        re.match(CATASTROPHIC, text)
        if time.process_time() - begun_secs > 0.15:
            return text
    raise AssertionError("this machine is too fast")


# What bots do


async def tool_sleeps(bot: Bot) -> None:
    await bot.call("forecast")


async def tool_uses_library(bot: Bot) -> None:
    await bot.call("slow_library")


async def tool_runs_program(bot: Bot) -> None:
    await bot.call("slow_process")


async def tool_imports(bot: Bot) -> None:
    await bot.call("lazy_import")


async def tool_matches(bot: Bot) -> None:
    await bot.call("regex")


async def processor_sleeps(bot: Bot) -> None:
    await bot.poke(bot.poked.in_process_frame)


async def callback_sleeps(bot: Bot) -> None:
    await bot.poke(bot.poked.call_soon)


async def timer_sleeps(bot: Bot) -> None:
    await bot.poke(bot.poked.call_later)
    await asyncio.sleep(0.05)


async def processor_event_sleeps(bot: Bot) -> None:
    await bot.poke(bot.poked.in_event)


async def transport_event_sleeps(bot: Bot) -> None:
    await bot.transport.connect()


async def task_sleeps(bot: Bot) -> None:
    await bot.poke(bot.poked.in_own_task)


async def thread_sleeps(bot: Bot) -> None:
    await bot.poke(bot.poked.in_thread)


async def own_function_sleeps(bot: Bot) -> None:
    block()


async def nobodys_callback_sleeps(bot: Bot) -> None:
    def blocking_nobody() -> None:
        block()

    asyncio.get_running_loop().call_soon(blocking_nobody, context=contextvars.Context())


def blocked(session: SeenSession) -> list[SeenSpan]:
    """Return the spans of a session that name code of these tests.

    On a busy machine, what a bot does as it starts may take too long as well.
    """
    found = session.named("pipecat.blocked")
    return [one for one in found if one.resource.startswith("tests.instrumentation.")]

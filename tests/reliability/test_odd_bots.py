"""Bots that do what few do: they run as they do without us, and are seen."""

import asyncio
import threading
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import pytest
from loguru import logger
from pipecat.frames.frames import ControlFrame, EndFrame, Frame, TextFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.transports.base_transport import TransportParams

from pipecat_dd import DatadogObserver, _guard, current_session
from pipecat_dd.cli.demo.versions import PipelineWorker, WorkerRunner
from tests.support.agent import TestAgent
from tests.support.bot import QuickOutput
from tests.support.lines import written_lines
from tests.support.scripted import ScriptedLLM, ScriptedTTS, asked


@dataclass
class Over(ControlFrame):
    """Nothing more is to come."""


class Last(FrameProcessor):
    """Says when that has come through."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = asyncio.Event()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, Over):
            self.reached.set()
        await self.push_frame(frame, direction)


async def run(observer: DatadogObserver, *processors: FrameProcessor) -> None:
    """Have a pipeline answer once."""
    last = Last()
    output = QuickOutput(TransportParams(audio_out_enabled=True))
    worker = PipelineWorker(Pipeline([*processors, output, last]), observers=[observer])
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    running = asyncio.create_task(runner.run())
    await worker.queue_frame(asked("say it"))
    await worker.queue_frame(Over())
    async with asyncio.timeout(20):
        await last.reached.wait()
        await worker.queue_frame(EndFrame())
        await running


@pytest.fixture(autouse=True)
def no_failures(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Nothing of ours fails in any of these."""
    for part in _guard.parts().values():
        monkeypatch.setattr(part, "failures", 0)
    yield
    assert not any(part.failures for part in _guard.parts().values())


async def test_a_task_factory_that_takes_no_context(agent: TestAgent) -> None:
    loop = asyncio.get_running_loop()
    loop.set_task_factory(lambda loop, work: asyncio.Task(work, loop=loop))  # type: ignore[arg-type]
    try:
        observer = DatadogObserver()
        await run(observer, ScriptedLLM(), ScriptedTTS())
    finally:
        loop.set_task_factory(None)
    trace = agent.session(observer.session_id)
    trace.check()
    assert trace.one("pipecat.llm")


async def test_two_processors_of_one_name(agent: TestAgent) -> None:
    observer = DatadogObserver()
    await run(observer, ScriptedLLM(name="main"), ScriptedTTS(name="main"))
    trace = agent.session(observer.session_id)
    trace.check()
    assert trace.one("pipecat.llm").resource.startswith("ScriptedLLM")
    assert trace.one("pipecat.tts").resource.startswith("ScriptedTTS")


async def test_methods_that_take_other_arguments_than_pipecats() -> None:
    class Greets(ScriptedTTS):
        given: Any = None

        async def run_tts(  # type: ignore[override]
            self, text: str, context_id: str = "greeting"
        ) -> AsyncGenerator[Frame | None, None]:
            self.given = context_id
            yield None

    class Upwards(FrameProcessor):
        given: Any = None

        async def process_frame(  # type: ignore[override]
            self, frame: Frame, direction: FrameDirection = FrameDirection.UPSTREAM, **more: Any
        ) -> None:
            self.given = direction, more

    observer, greets, upwards = DatadogObserver(), Greets(), Upwards()
    await observer.setup(None)
    assert observer._latest.pipelines is not None
    observer._latest.pipelines.install(Pipeline([greets, upwards]))
    async for _ in greets.run_tts("hello"):
        pass
    assert greets.given == "greeting"
    await upwards.process_frame(TextFrame("hello"))
    assert upwards.given == (FrameDirection.UPSTREAM, {})
    await upwards.process_frame(TextFrame("hello"), FrameDirection.DOWNSTREAM, quietly=True)
    assert upwards.given == (FrameDirection.DOWNSTREAM, {"quietly": True})
    await observer.cleanup()


def test_a_function_that_uses_its_locals() -> None:
    class Client:
        def create(self, city: str) -> dict[str, Any]:
            params = locals()
            params.pop("self")
            url = "somewhere"
            logger.info(f"asking {url}")
            return params

    kept: list[Any] = []
    with written_lines():
        observer = DatadogObserver()
        kept.append(observer)
        thread = threading.Thread(target=lambda: kept.append(Client().create("Paris")))
        thread.start()
        thread.join()
    assert kept[1] == {"city": "Paris"}


async def test_a_thread_that_outlives_its_session_stays_of_it_and_is_not_the_next_ones() -> None:
    goes_on, done = threading.Event(), threading.Event()
    found: list[Any] = []

    def outlives() -> None:
        goes_on.wait(20)
        found.append(current_session())
        done.set()

    async def first() -> None:
        observer = DatadogObserver(session_id="first")
        await observer.setup(None)
        threading.Thread(target=outlives).start()
        await observer.cleanup()

    async def second() -> None:
        observer = DatadogObserver()
        await observer.setup(None)
        goes_on.set()
        await asyncio.to_thread(done.wait, 20)
        threading.Thread(target=lambda: found.append(current_session())).start()
        while len(found) < 2:  # noqa: ASYNC110 - a plain thread announces nothing
            await asyncio.sleep(0.01)
        assert found[1].id == observer.session_id
        await observer.cleanup()

    await asyncio.create_task(first())
    await asyncio.create_task(second())
    assert found[0].id == "first"

"""A bot that is begun in somebody else's span: what SDKs open in it nests in its stages."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from typing import Any

import ddtrace
import httpx
import pytest
from ddtrace.contrib.asgi import TraceMiddleware
from ddtrace.contrib.internal.asyncio import patch as asyncio_patch
from ddtrace.propagation.http import HTTPPropagator
from ddtrace.trace import tracer
from fastapi import BackgroundTasks, FastAPI
from pipecat.frames.frames import LLMTextFrame
from pipecat.processors.frame_processor import FrameProcessor

from pipecat_dd import DatadogObserver
from pipecat_dd.testing import Captured, capture
from tests.support.bot import Bot

STAGES = {"pipecat.stt", "pipecat.llm"}
Main = Callable[[], Coroutine[Any, Any, None]]


@pytest.fixture(autouse=True)
def tasks_are_patched() -> Iterator[None]:
    """As under ddtrace-run, a task takes along what is active where it is made."""
    ddtrace.patch(asyncio=True)
    yield
    asyncio_patch.unpatch()


def on_asyncio(main: Main) -> None:
    asyncio.run(main())


def on_uvloop(main: Main) -> None:
    pytest.importorskip("uvloop").run(main())


LOOPS = pytest.mark.parametrize("run", [on_asyncio, on_uvloop])


async def begun_by_create_task(bot: Coroutine[Any, Any, None]) -> asyncio.Future[None]:
    return asyncio.create_task(bot)


async def begun_by_ensure_future(bot: Coroutine[Any, Any, None]) -> asyncio.Future[None]:
    return asyncio.ensure_future(bot)


async def begun_in_a_task_group(bot: Coroutine[Any, Any, None]) -> asyncio.Future[None]:
    async def group() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(bot)

    return asyncio.create_task(group())


SCENES = [
    # How the bot is begun, in how many nested spans, and when those end.
    (begun_by_create_task, 1, "at once"),
    (begun_by_create_task, 3, "later"),
    (begun_by_create_task, 1, "last"),
    (begun_by_ensure_future, 1, "at once"),
    (begun_in_a_task_group, 1, "later"),
]


def nested_in(seen: Captured) -> list[str]:
    """Return what each request of the model's, or of transcription, is part of."""
    spans = {span.span_id: span for span in seen.spans}
    requests = [span for span in seen.spans if span.name == "openai.request"]
    assert len(requests) == 4
    return [spans[request.parent_id].name for request in requests]


@LOOPS
@pytest.mark.parametrize(("begin", "depth", "ends"), SCENES)
def test_sdks_spans_nest_in_the_stages_whenever_the_request_ends(
    run: Callable[[Main], None],
    begin: Callable[[Coroutine[Any, Any, None]], Awaitable[asyncio.Future[None]]],
    depth: int,
    ends: str,
) -> None:
    async def main() -> None:
        request_is_over = asyncio.Event()

        async def call() -> None:
            async with Bot(DatadogObserver()) as bot:
                if ends == "later":
                    await bot.ask("How are you?")
                    for span in reversed(spans):
                        span.finish()
                else:
                    await request_is_over.wait()
                    await bot.ask("How are you?")
                await bot.ask("And now?")
                await bot.end()

        spans = [tracer.trace(f"web.request.{number}") for number in range(depth)]
        call_task = await begin(call())
        if ends == "at once":
            for span in reversed(spans):
                span.finish()
        request_is_over.set()
        await call_task
        for span in reversed(spans):
            span.finish()

    with capture(level="INFO") as seen:
        run(main)
    assert set(nested_in(seen)) == STAGES
    (trace_id,) = {span.trace_id for span in seen.spans if span.name.startswith("web.")}
    strays = [
        s.name for s in seen.spans if s.trace_id == trace_id and not s.name.startswith("web.")
    ]
    assert strays == []


@asynccontextmanager
async def client_of(app: FastAPI) -> Any:
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://bots") as client:
        yield client


@LOOPS
@pytest.mark.parametrize("way", ["create_task", "background", "awaited"])
def test_a_bot_that_a_web_request_starts_is_no_part_of_the_request(
    run: Callable[[Main], None], way: str
) -> None:
    async def call() -> None:
        async with Bot(DatadogObserver()) as bot:
            await bot.ask("How are you?")
            await bot.ask("And now?")
            await bot.end()

    async def main() -> None:
        app, calls = FastAPI(), []
        app.add_middleware(TraceMiddleware)

        @app.post("/start")
        async def start(background: BackgroundTasks) -> dict[str, bool]:
            if way == "background":
                background.add_task(call)
            else:
                calls.append(asyncio.create_task(call()))
            if way == "awaited":
                await asyncio.gather(*calls)
            return {"started": True}

        async with client_of(app) as client:
            await client.post("/start")
        await asyncio.gather(*calls)

    with capture(level="INFO") as seen:
        run(main)
    assert set(nested_in(seen)) == STAGES
    traces = {span.trace_id for span in seen.session().spans}
    assert len(traces) == 1
    assert not [s for s in seen.session().spans if s.name == "asgi.request"]
    assert [span for span in seen.spans if span.name == "asgi.request"]


async def test_a_request_whose_trace_is_continued_is_left_aside_as_well() -> None:
    headers: dict[str, str] = {}
    with capture(level="INFO") as seen, tracer.trace("client"):
        HTTPPropagator.inject(tracer.current_trace_context(), headers)
        remote = HTTPPropagator.extract(headers)
        with tracer.start_span("web.request", child_of=remote, activate=True) as request:
            async with Bot(DatadogObserver(parent=remote)) as bot:
                await bot.ask("How are you?")
                await bot.ask("And now?")
                await bot.end()
    assert set(nested_in(seen)) == STAGES
    assert "session_id" not in {
        tag for span in seen.spans if span.span_id == request.span_id for tag in span.tags
    }


class Works(FrameProcessor):
    """Starts work of its own, once, at the first word of the answer."""

    def __init__(self, work: Callable[[], Awaitable[None]]) -> None:
        super().__init__()
        self._work: Callable[[], Awaitable[None]] | None = work

    async def process_frame(self, frame: Any, direction: Any) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMTextFrame) and self._work is not None:
            work, self._work = self._work, None
            await work()
        await self.push_frame(frame, direction)


async def test_a_task_made_within_a_span_of_ones_own_keeps_it_as_parent() -> None:
    tasks = []

    async def late(name: str) -> None:
        with tracer.trace(f"late.{name}"):
            pass

    async def work() -> None:
        with tracer.trace("own.outer"):
            with tracer.trace("own.inner"):
                tasks.append(asyncio.create_task(late("inner")))
            tasks.append(asyncio.create_task(late("outer")))
        tasks.append(asyncio.create_task(late("none")))

    with capture(level="INFO") as seen:
        async with Bot(DatadogObserver(), extra=[Works(work)]) as bot:
            await bot.ask("How are you?")
            await asyncio.gather(*tasks)
            await bot.end()
    session = seen.session()
    parents = {span.name: span.parent.name for span in session.spans if span.parent is not None}
    assert parents["late.inner"] == "own.inner"
    assert parents["late.outer"] == "own.outer"
    assert parents["late.none"].startswith("pipecat.")

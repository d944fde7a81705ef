"""A sink that posts by a library which logs is not fed with its own work; the bot's lines come."""

import asyncio
import logging
import queue
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from logging.handlers import QueueHandler, QueueListener
from typing import Any

import httpx
import pytest
import urllib3
from loguru import logger

from pipecat_dd.export.logs import configure_logging, datadog_format
from tests.support.server import HttpHandler, HttpServer

ON_BEHALF = "on the bot's behalf"
AT_MOST = 8
"""How many posts a sink may make that has one or two lines to write: more is a loop."""


class Intake:
    """A server that counts what is posted to it."""

    def __init__(self) -> None:
        self.posted: list[str] = []
        self.is_flooded = threading.Event()
        intake = self

        class Answering(HttpHandler):
            methods = ("GET", "POST")

            def respond(self) -> None:
                intake.posted.append(self.read_body().decode())
                if len(intake.posted) > AT_MOST:
                    intake.is_flooded.set()
                self.answer(202)

        self._server = HttpServer(Answering)
        self._server.start()
        self.url = f"{self._server.url}/lines"

    def close(self) -> None:
        self._server.stop()

    @property
    def text(self) -> str:
        return "\n".join(self.posted)

    def has(self, words: str) -> bool:
        return words in self.text


@pytest.fixture
def intake() -> Iterator[Intake]:
    one = Intake()
    yield one
    one.close()


@pytest.fixture(autouse=True)
def _httpx_speaks() -> Iterator[None]:
    logging.getLogger("httpx").setLevel(logging.NOTSET)
    yield
    logging.getLogger("httpx").setLevel(logging.NOTSET)


async def until(asks: Callable[[], bool], secs: float = 5.0) -> None:
    async with asyncio.timeout(secs):
        while not asks():  # noqa: ASYNC110 (the server is in a thread)
            await asyncio.sleep(0.01)


def post_by_httpx(url: str, line: str) -> None:
    httpx.post(url, content=line)


def post_by_urllib3(url: str, line: str) -> None:
    with urllib3.PoolManager() as pool:
        pool.request("POST", url, body=line)


def post_by_library(url: str, line: str) -> None:
    # As botocore and others do: a line before, and one after.
    logging.getLogger("some.sdk").info("posting")
    post_by_httpx(url, line)
    logging.getLogger("some.sdk").info("posted")


# Sinks, each of which posts each line in a way of its own


def in_the_task(url: str) -> Any:
    async def sink(message: str) -> None:
        async with httpx.AsyncClient() as client:
            await client.post(url, content=str(message))

    return sink


def in_a_task_it_starts(url: str) -> Any:
    async def post(message: str) -> None:
        async with httpx.AsyncClient() as client:
            await client.post(url, content=str(message))

    async def sink(message: str) -> None:
        await asyncio.create_task(post(message))

    return sink


def by_to_thread(url: str) -> Any:
    async def sink(message: str) -> None:
        await asyncio.to_thread(post_by_library, url, str(message))

    return sink


def by_the_loops_executor(url: str) -> Any:
    async def sink(message: str) -> None:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, post_by_library, url, str(message))

    return sink


def in_a_thread(url: str) -> Any:
    def sink(message: str) -> None:
        threading.Thread(target=post_by_library, args=(url, str(message)), daemon=True).start()

    return sink


def in_a_thread_of_a_thread(url: str) -> Any:
    def start(message: str) -> None:
        threading.Thread(target=post_by_urllib3, args=(url, message), daemon=True).start()

    def sink(message: str) -> None:
        threading.Timer(0, start, args=(str(message),)).start()

    return sink


def in_a_pool(url: str) -> Any:
    pool = ThreadPoolExecutor(2)

    def sink(message: str) -> None:
        pool.submit(post_by_library, url, str(message))

    return sink


def in_the_call(url: str) -> Any:
    def sink(message: str) -> None:
        post_by_library(url, str(message))

    return sink


class Stream:
    """A stream that posts what is written to it, and says so itself."""

    def __init__(self, url: str) -> None:
        self._url = url

    def write(self, text: str) -> None:
        post_by_library(self._url, text)


class Callable_:  # noqa: N801
    """An object that is a coroutine function."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def __call__(self, message: str) -> None:
        logger.info("the sink itself has something to say")
        async with httpx.AsyncClient() as client:
            await client.post(self._url, content=str(message))


class Handler(logging.Handler):
    """A handler that posts what it gets."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url

    def emit(self, record: logging.LogRecord) -> None:
        post_by_library(self._url, record.getMessage())


# Sinks with a worker that was there before their first line


class WithThread:
    """Posts from a thread of its own, which its methods run in."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._lines: deque[str] = deque()
        self._has_lines = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()

    def write(self, text: str) -> None:
        self._lines.append(str(text))
        self._has_lines.set()

    def _run(self) -> None:
        while self._has_lines.wait():
            self._has_lines.clear()
            while self._lines:
                post_by_library(self._url, self._lines.popleft())


def queue_and_thread(url: str) -> Any:
    lines: queue.Queue[str] = queue.Queue()

    def post() -> None:
        while True:
            post_by_library(url, lines.get())

    threading.Thread(target=post, daemon=True).start()
    return lambda message: lines.put(str(message))


def queue_given_to_a_thread(url: str) -> Any:
    def post(theirs: queue.SimpleQueue[str]) -> None:
        for line in iter(theirs.get, None):
            post_by_library(url, line)

    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=post, args=(lines,), daemon=True).start()
    return lambda message: lines.put(str(message))


def queue_and_task(url: str) -> Any:
    lines: asyncio.Queue[str] = asyncio.Queue()

    async def post() -> None:
        async with httpx.AsyncClient() as client:
            while True:
                await client.post(url, content=await lines.get())

    async def sink(message: str) -> None:
        lines.put_nowait(str(message))

    WORKERS.append(asyncio.create_task(post()))
    return sink


def queue_listener(url: str) -> Any:
    lines: queue.Queue[Any] = queue.Queue()
    listener = QueueListener(lines, Handler(url))
    listener.start()
    return QueueHandler(lines)


WORKERS: list[Any] = []
"""Tasks, which nothing else holds."""

SINKS = [
    WithThread,
    queue_and_thread,
    queue_given_to_a_thread,
    queue_and_task,
    queue_listener,
    in_the_task,
    in_a_task_it_starts,
    by_to_thread,
    by_the_loops_executor,
    in_a_thread,
    in_a_thread_of_a_thread,
    in_a_pool,
    in_the_call,
    Stream,
    Callable_,
    Handler,
]
OF_LOGGING = (Handler, queue_listener)
LEVELS: dict[str, Any] = {"urllib3": "DEBUG", "httpcore": "INFO"}


def fed(
    added: Callable[[Any, bool], Any],
) -> Callable[[Intake, Any, bool], Awaitable[None]]:
    async def run(intake: Intake, sink: Any, enqueue: bool) -> None:
        added(sink(intake.url), enqueue)
        logger.info("hello from the bot")
        await until(lambda: intake.has("hello from the bot"))
        # Of a line that a thread writes a coroutine function hears nothing: so Loguru has it.
        logging.getLogger("some.library").info(ON_BEHALF)
        if sink in OF_LOGGING:
            # One of these that the user adds may be left out of what is of logging already.
            logger.info(ON_BEHALF)
        await until(lambda: intake.has(ON_BEHALF))
        # Were a post a line to be posted, this would go on without end.
        await asyncio.to_thread(intake.is_flooded.wait, 0.15)
        assert not intake.is_flooded.is_set(), intake.text[:2000]
        await asyncio.gather(logger.complete())

    return run


@pytest.mark.parametrize("enqueue", [False, True], ids=["direct", "enqueued"])
@pytest.mark.parametrize("sink", SINKS, ids=lambda sink: sink.__name__)
async def test_what_configure_logging_was_given(intake: Intake, sink: Any, enqueue: bool) -> None:
    await fed(
        lambda one, queue: configure_logging(one, level="DEBUG", levels=LEVELS, enqueue=queue)
    )(intake, sink, enqueue)


@pytest.mark.parametrize("enqueue", [False, True], ids=["direct", "enqueued"])
@pytest.mark.parametrize("sink", SINKS, ids=lambda sink: sink.__name__)
async def test_what_the_user_has_added_beside_us(
    intake: Intake, sink: Any, enqueue: bool, configured: Any
) -> None:
    if sink is Callable_:
        pytest.skip("what it says by Loguru itself is the user's own, with us or without")
    lines = configured(level="DEBUG", levels=LEVELS)
    await fed(lambda one, queue: logger.add(one, format=datadog_format, enqueue=queue))(
        intake, sink, enqueue
    )
    assert [line["message"] for line in lines.all if line["name"] == "httpx"] == []


async def test_requests_on_the_bots_behalf_are_lines_while_a_sink_posts(intake: Intake) -> None:
    configure_logging(in_a_pool(intake.url), level="INFO")
    async with httpx.AsyncClient() as client:
        for asked in range(3):
            await client.get(f"{intake.url}?asked={asked}", headers={"Content-Length": "0"})
            await until(lambda asked=asked: intake.has(f"asked={asked}"))
    await asyncio.to_thread(httpx.get, f"{intake.url}?asked=3", headers={"Content-Length": "0"})
    await until(lambda: intake.has("asked=3"))


async def test_a_pool_that_a_sink_has_used_first_is_not_the_sinks(
    intake: Intake, configured: Any
) -> None:
    pool = ThreadPoolExecutor(1)
    lines = configured(level="INFO")

    def sink(message: str) -> None:
        pool.submit(post_by_library, intake.url, str(message))

    logger.add(sink, format=datadog_format)
    logger.info("hello")
    await until(lambda: intake.has("hello"))
    library = logging.getLogger("some.library")
    await asyncio.get_running_loop().run_in_executor(pool, library.info, ON_BEHALF)
    await until(lambda: intake.has(ON_BEHALF))
    assert [line["message"] for line in lines.all] == ["hello", ON_BEHALF]
    pool.shutdown()


async def test_what_a_sink_says_by_loguru_reaches_the_other_sinks(configured: Any) -> None:
    other: list[str] = []
    written: list[str] = []

    async def sink(message: str) -> None:
        written.append(str(message))
        logger.warning("the collector does not answer")

    configure_logging(sink)
    logger.add(other.append, format="{message}")
    logger.info("hello")
    await until(lambda: len(other) == 2)
    await logger.complete()
    assert other == ["hello\n", "the collector does not answer\n"]
    assert len(written) == 1


class Bot:
    """A bot whose own method is the sink, and which knows its queue from the start."""

    def __init__(self) -> None:
        self.lines: queue.Queue[str] = queue.Queue()
        self.other: asyncio.Queue[int] = asyncio.Queue()

    def log(self, message: str) -> None:
        self.lines.put(str(message))

    async def run(self, intake: Intake) -> list[str]:
        configure_logging(self.log, format="console")
        self.other.put_nowait(1)
        assert await self.other.get() == 1
        logging.getLogger("some.library").info(ON_BEHALF)
        async with httpx.AsyncClient() as client:
            await client.post(intake.url, content="x")
        found = []
        while not self.lines.empty():
            found.append(self.lines.get())
        return found


async def test_a_bot_that_keeps_its_lines_itself_has_all_of_them(intake: Intake) -> None:
    behalf, request = await Bot().run(intake)
    assert ON_BEHALF in behalf
    assert "HTTP Request: POST" in request


async def test_with_an_intercept_handler_of_the_users_alone_it_holds_too(intake: Intake) -> None:
    class InterceptHandler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            logger.opt(depth=6).log(record.levelname, record.getMessage())

    handler = InterceptHandler()
    logging.getLogger().addHandler(handler)
    logging.getLogger().setLevel(logging.INFO)
    configure_logging(in_the_task(intake.url), intercept_stdlib=False)
    logging.getLogger("some.library").info(ON_BEHALF)
    await until(lambda: intake.has(ON_BEHALF))
    await asyncio.to_thread(intake.is_flooded.wait, 0.15)
    assert len(intake.posted) == 1

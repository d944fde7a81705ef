"""Every line carries the session, the trace and the span of the work that wrote it."""

import asyncio
import concurrent.futures
import gc
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from ddtrace.trace import Context, tracer
from loguru import logger
from pipecat.frames.frames import Frame, StartFrame, TextFrame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from pipecat_dd import DatadogObserver, current_session
from pipecat_dd.cli.demo.versions import WorkerRunner
from tests.support.agent import TestAgent
from tests.support.bot import Bot
from tests.support.lines import Lines, written_lines
from tests.support.spans import Trace
from tests.support.versions import SETS_UP_OBSERVERS


@pytest.fixture
def lines() -> Iterator[Lines]:
    with written_lines() as written:
        yield written


class Chatty(FrameProcessor):
    """Writes a line wherever a processor's code can run."""

    def __init__(self, mark: str) -> None:
        super().__init__()
        self.mark = mark
        self.loops: list[asyncio.Task[None]] = []
        self.wake = asyncio.Event()

    def say(self, where: str) -> None:
        logger.info(f"{self.mark} {where}")

    async def setup(self, *args: Any, **kwargs: Any) -> None:
        await super().setup(*args, **kwargs)
        self.say("setup")
        self.loops.append(self.create_task(self.loop("setup's task")))

    async def loop(self, where: str) -> None:
        await self.wake.wait()
        self.say(where)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, TextFrame):
            self.say("process_frame")
            logging.getLogger("some.library").warning(f"{self.mark} standard logging")
            await asyncio.to_thread(self.say, "to_thread")
            self.loops.append(self.create_task(self.loop("visit's task")))
            with tracer.trace("own.work"):
                self.say("own span")
        await self.push_frame(frame, direction)

    async def cleanup(self) -> None:
        self.say("cleanup")
        await super().cleanup()


PLACES = (
    "setup",
    "setup's task",
    "process_frame",
    "standard logging",
    "to_thread",
    "visit's task",
    "own span",
    "cleanup",
)


def check_lines(written: list[dict[str, Any]], trace: Trace, session_id: str) -> None:
    """Assert that lines carry a session's ids and lead to spans of it."""
    assert written
    for line in written:
        if line["name"].startswith("ddtrace"):
            continue  # its own threads go on after the session
        assert line.get("session_id") == session_id, line["message"] + line["function"]
        assert line.get("dd.trace_id") == trace.id, line
        assert int(line["dd.span_id"]) in trace.by_id, line
        assert line["service"] == line["dd.service"] == "test-bot"


async def test_every_line_of_a_conversation_leads_to_its_span(
    agent: TestAgent, lines: Lines
) -> None:
    observer = DatadogObserver()
    before = len(lines.all)
    chatty = Chatty("one")
    async with Bot(observer, extra=[chatty]) as bot:
        await bot.ask("How are you?")
        chatty.wake.set()
        await bot.end()
    logger.info("after the run")

    trace = agent.session(observer.session_id)
    check_lines(lines.all[before:], trace, observer.session_id)
    session = trace.one("pipecat.session")
    for place in PLACES:
        assert lines.saying(f"one {place}"), f"nothing was written in {place}"

    def at(where: str) -> Any:
        return trace.by_id[int(lines.saying(f"one {where}")[0]["dd.span_id"])]

    assert at("process_frame").name == "pipecat.frame"
    assert at("process_frame").resource == "Chatty LLMTextFrame"
    assert at("standard logging") in trace.named("pipecat.frame", "Chatty LLMTextFrame")
    assert at("to_thread") in trace.named("pipecat.frame", "Chatty LLMTextFrame")
    assert at("own span").name == "own.work"
    assert at("visit's task").name == "pipecat.turn", "the visit it was made in is over"
    assert at("setup") is at("cleanup") is session
    heard = trace.by_id[int(lines.one("Transcription: ")["dd.span_id"])]
    assert heard.name in ("openai.request", "pipecat.stt")


async def run_together(*bots: Bot) -> None:
    for bot in bots:
        await bot.__aenter__()
    try:
        for number in range(2):
            await asyncio.gather(*(bot.ask(f"Question {number}") for bot in bots))
        await asyncio.gather(*(bot.end() for bot in bots))
    finally:
        for bot in bots:
            await bot.__aexit__(None, None, None)


async def test_two_bots_at_once_never_carry_each_others_ids(agent: TestAgent, lines: Lines) -> None:
    marks = ("ruby", "jade")
    ids: dict[str, str] = {}

    async def serve(mark: str) -> None:
        chatty = Chatty(mark)
        chatty.wake.set()
        observer = DatadogObserver()
        ids[mark] = observer.session_id
        logger.info(f"{mark} begins")
        async with Bot(observer, extra=[chatty]) as bot:
            await bot.ask("One")
            await bot.ask("Two")
            await bot.end()
        logger.info(f"{mark} is over")

    await asyncio.gather(*(asyncio.create_task(serve(mark)) for mark in marks))

    traces = {mark: agent.session(ids[mark]) for mark in marks}
    assert traces["ruby"].id != traces["jade"].id
    for mark, trace in traces.items():
        trace.check()
        check_lines(lines.saying(f"{mark} "), trace, ids[mark])
    of_sessions = {ids[mark]: traces[mark].id for mark in marks}
    for line in lines.all:
        # What an earlier test left may still write a line, of its own session.
        if line.get("session_id") in of_sessions:
            assert line["dd.trace_id"] == of_sessions[line["session_id"]]


async def test_two_bots_built_in_one_task_never_carry_each_others_ids(
    agent: TestAgent, lines: Lines
) -> None:
    chatties = [Chatty("ruby"), Chatty("jade")]
    for chatty in chatties:
        chatty.wake.set()
    observers = [DatadogObserver(), DatadogObserver()]
    logger.info("whose is this")
    bots = [
        Bot(observer, extra=[chatty]) for observer, chatty in zip(observers, chatties, strict=True)
    ]
    for bot in bots:
        await bot.provider.__aenter__()
        bot.build(bot.provider.url)
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(*(bot.worker for bot in bots))
    running = asyncio.create_task(runner.run())
    for bot in bots:
        bot.running = running
    await asyncio.gather(*(bot.ask("One") for bot in bots))
    for bot in bots:
        await bot.worker.cancel()
    await asyncio.wait_for(running, 15)
    for bot in bots:
        await bot.provider.__aexit__(None, None, None)
    logger.info("whose was that")

    for observer, chatty in zip(observers, chatties, strict=True):
        trace = agent.session(observer.session_id)
        trace.check()
        written = lines.saying(f"{chatty.mark} ")
        assert len(written) >= len(PLACES)
        if not SETS_UP_OBSERVERS:
            # Before Pipecat 1.8 nobody has said by then whose processor it is.
            early = [line for line in written if "setup" in line["message"]]
            assert {line.get("session_id") for line in early} <= {None, observer.session_id}
            written = [line for line in written if line not in early]
        check_lines(written, trace, observer.session_id)
    for text in ("whose is this", "whose was that"):
        assert "session_id" not in lines.one(text), "a wrong id is worse than none"


async def test_no_line_of_the_bot_carries_the_ids_of_the_request_that_started_it(
    agent: TestAgent, lines: Lines
) -> None:
    with tracer.trace("web.request") as request:
        logger.info("in the request")
        observer = DatadogObserver()
        before = len(lines.all)
        chatty = Chatty("one")
        chatty.wake.set()
        async with Bot(observer, extra=[chatty]) as bot:
            await bot.ask("How are you?")
            await bot.end()
        logger.info("one in the bot function")

    trace = agent.session(observer.session_id)
    assert trace.id != f"{request.trace_id:032x}"
    check_lines(lines.all[before:], trace, observer.session_id)
    assert lines.one("in the request")["dd.span_id"] == str(request.span_id)
    assert "session_id" not in lines.one("in the request")


async def test_code_of_no_session_carries_none_and_a_thread_that_of_whoever_starts_it(
    agent: TestAgent, lines: Lines
) -> None:
    def raw_thread(text: str) -> None:
        thread = threading.Thread(target=logger.info, args=[text])
        thread.start()
        thread.join()

    async def job(text: str) -> None:
        logger.info(f"job {text}")
        raw_thread(f"thread of the job {text}")
        await asyncio.to_thread(logger.info, f"pool of the job {text}")

    async def call(observer: DatadogObserver, text: str) -> Bot:
        bot = Bot(observer)
        await bot.__aenter__()
        await bot.ask("How are you?")
        raw_thread(f"thread of {text}")
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            await asyncio.get_running_loop().run_in_executor(pool, logger.info, f"pool of {text}")
        return bot

    def serve(text: str) -> "asyncio.Task[tuple[DatadogObserver, Bot]]":
        async def serving() -> tuple[DatadogObserver, Bot]:
            observer = DatadogObserver()
            return observer, await call(observer, text)

        return asyncio.create_task(serving())

    first, bot = await serve("one")
    await asyncio.create_task(job("beside one"))
    second, other = await serve("two")
    await asyncio.create_task(job("beside two"))
    for ending in (other, bot):
        await ending.end()
        await ending.__aexit__(None, None, None)

    for observer, text in ((first, "one"), (second, "two")):
        trace = agent.session(observer.session_id)
        own = [lines.one(f"thread of {text}"), lines.one(f"pool of {text}")]
        check_lines(own, trace, observer.session_id)
        for line in lines.saying(f"beside {text}"):
            assert not {"session_id", "dd.span_id", "participant_id"} & set(line), line
        assert len(lines.saying(f"beside {text}")) == 3


def write_in_a_thread(text: str, *, active: Context | None = None) -> None:
    def write() -> None:
        tracer.context_provider.activate(active)
        logger.info(text)

    thread = threading.Thread(target=write)
    thread.start()
    thread.join()


async def test_a_thread_of_a_bot_that_is_not_running_yet_is_not_taken_for_the_running_ones(
    lines: Lines,
) -> None:
    async def prepare() -> DatadogObserver:
        observer = DatadogObserver(session_id="the-second")
        write_in_a_thread("the second loads a model")
        return observer

    write_in_a_thread("before there is any")
    first = DatadogObserver()
    write_in_a_thread("the first loads a model")
    async with Bot(first) as bot:
        await bot.until(StartFrame)
        second = await asyncio.create_task(prepare())
        del second
        await asyncio.sleep(0)  # the event loop holds on to what the task returned until then
        gc.collect()
        write_in_a_thread("the second was thrown away")
        await bot.end()

    assert "session_id" not in lines.one("before there is any")
    assert lines.one("the first loads a model")["session_id"] == first.session_id
    assert lines.one("the second loads a model")["session_id"] == "the-second"
    assert lines.one("the second was thrown away")["session_id"] == first.session_id


async def test_a_trace_that_several_sessions_continue_names_none_of_them(lines: Lines) -> None:
    async def make(parent: Context) -> DatadogObserver:
        return DatadogObserver(parent=parent)

    shared = Context(trace_id=0x1234_5678 << 64 | 1, span_id=7, sampling_priority=1)
    alone = Context(trace_id=0x1234_5678 << 64 | 2, span_id=7, sampling_priority=1)
    observers = [await asyncio.create_task(make(shared)) for _ in range(3)]
    other = await asyncio.create_task(make(alone))

    write_in_a_thread("on the trace of three", active=shared)
    write_in_a_thread("on the trace of one", active=alone)

    assert len(observers) == 3
    assert "session_id" not in lines.one("on the trace of three")
    assert lines.one("on the trace of one")["session_id"] == other.session_id


async def test_the_code_that_asks_learns_its_session() -> None:
    assert not current_session()
    observer = DatadogObserver(session_id="mine")
    session = current_session()
    assert session
    assert session is observer.session
    assert session.id == observer.session_id == "mine"


async def test_a_session_after_another_in_one_task_is_not_taken_for_it(lines: Lines) -> None:
    for number in range(2):
        observer = DatadogObserver(session_id=f"s-{number}")
        async with Bot(observer) as bot:
            await bot.end()
        logger.info(f"after {number}")
        assert lines.one(f"after {number}")["session_id"] == f"s-{number}"


async def test_ids_are_never_zero_and_absent_where_nothing_is_active(lines: Lines) -> None:
    async def elsewhere() -> None:
        logger.info("nothing here")

    import contextvars

    await asyncio.create_task(elsewhere(), context=contextvars.Context())
    line = lines.one("nothing here")
    assert not {"dd.trace_id", "dd.span_id", "session_id"} & set(line)

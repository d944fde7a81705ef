"""Several workers on one runner: one conversation, one trace."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from ddtrace.trace import tracer
from loguru import logger
from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    Frame,
    FunctionCallResultProperties,
    TextFrame,
)
from pipecat.observers.base_observer import BaseObserver
from pipecat.pipeline.pipeline import Pipeline
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.llm_service import FunctionCallParams

from pipecat_dd import DatadogObserver, session_instrumentation
from pipecat_dd.cli.demo.provider import Answer, CallTool, Say
from pipecat_dd.cli.demo.versions import PipelineWorker, WorkerRunner
from tests.support.agent import TestAgent
from tests.support.bot import Bot
from tests.support.lines import written_lines
from tests.support.shapes import Shaped, watching
from tests.support.spans import trace_of
from tests.support.trees import stages, tree
from tests.test_delivery import agent_rate, arriving, decisions

pytest.importorskip("pipecat.workers.llm.llm_worker", reason="workers came with Pipecat 1.3")

from pipecat.bus.bridge_processor import BusBridgeProcessor
from pipecat.bus.messages import BusJobRequestMessage
from pipecat.pipeline.job_context import JobParams
from pipecat.pipeline.job_decorator import job
from pipecat.workers.base_worker import BaseWorker
from pipecat.workers.llm.llm_worker import LLMWorker, LLMWorkerActivationArgs
from pipecat.workers.llm.tool_decorator import tool


class Greeter(LLMWorker):
    """Hands over to the expert."""

    @tool
    async def transfer(self, params: FunctionCallParams) -> None:
        """Hand over to the expert."""
        await params.result_callback(
            {"handed": "over"}, properties=FunctionCallResultProperties(run_llm=False)
        )
        args = LLMWorkerActivationArgs(messages=[{"role": "developer", "content": "Say hello."}])
        await self.activate_worker("expert", args=args, deactivate_self=True)


class Expert(LLMWorker):
    """Asks the library."""

    @tool
    async def look_up(self, params: FunctionCallParams) -> None:
        """Look something up."""
        async with self.job("library", params=JobParams(name="search")) as search:
            pass
        await params.result_callback(search.response)


class Library(BaseWorker):
    """Works on jobs; has no pipeline."""

    @job(name="search")
    async def search(self, message: BusJobRequestMessage) -> None:
        with tracer.trace("library.search"):
            logger.info("the library searches")
        await self.send_job_response(message.job_id, {"found": "a book"})


class Passes(FrameProcessor):
    """Passes everything on."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)


HEARD = """
    user_speech [vad]
    stt [OpenAISTTService gpt-transcribe]
      openai.request [createTranscription]
    end_of_turn [SpeechTimeoutUserTurnStopStrategy]"""
SPOKEN = """
    tts [OpenAITTSService gpt-4o-mini-tts]
    bot_speech [bot]"""


def script(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> Answer:
    """Hand over when asked for an expert; look up what the expert is asked."""
    last = str(messages[-1].get("content"))
    if "expert" in last:
        return CallTool("transfer", {})
    if "book" in last and messages[-1]["role"] == "user":
        return CallTool("look_up", {})
    return Say("Fine, thank you.")


@asynccontextmanager
async def conversing(observer: DatadogObserver, *unobserved: str) -> AsyncIterator[Shaped]:
    """Run a worker that has the transport, two that have models, and one that has neither."""
    runner = WorkerRunner(handle_sigint=False)

    def shape(bot: Shaped) -> list[FrameProcessor]:
        bridge = BusBridgeProcessor(bus=runner.bus, worker_name="main")
        voice = bot.make_tts()
        return [bot.make_stt(), bot.pair.user(), bridge, voice, bot.output, bot.pair.assistant()]

    bot = Shaped(shape, observer, script=script, worker={"name": "main"})
    async with bot.provider:
        main = bot.build(bot.provider.url)
        greeter = Greeter("greeter", llm=bot.make_llm("gpt-4.1-mini"), bridged=(), active=True)
        expert = Expert("expert", llm=bot.make_llm(), bridged=())
        for worker in (greeter, expert):
            if worker.name not in unobserved:
                worker.add_observer(observer)
        await runner.add_workers(main, greeter, expert, Library("library"))
        running = asyncio.create_task(runner.run())
        yield bot
        await bot.push(EndFrame())
        await main.wait()
        await runner.end()
        await asyncio.wait_for(running, 15)


async def test_workers_that_share_an_observer_are_one_conversation(agent: TestAgent) -> None:
    observer = watching()
    with written_lines() as lines:
        async with conversing(observer) as bot:
            await bot.ask("Let me talk to an expert.")
            await bot.ask("What is in the book?")

    assert not lines.saying("add_observer"), "a worker without a pipeline needs no observer"
    trace = agent.session(observer.session_id)
    trace.check()
    names = {
        (span.name.removeprefix("pipecat."), span.resource): span.get("worker.name")
        for span in trace.spans
        if span.name.startswith("pipecat.")
    }
    assert names.pop(("session", "bot")) is None, "it is all of them"
    assert names.pop(("turn", "user")) is None
    names.pop(("startup", "pipeline"))
    assert names["llm", "OpenAILLMService gpt-4.1-mini"] == names["tool", "transfer"] == "greeter"
    assert names["llm", "OpenAILLMService gpt-4.1"] == names["tool", "look_up"] == "expert"
    for of_transport in ("user_speech", "stt", "end_of_turn", "tts", "bot_speech"):
        assert {name for (kind, _), name in names.items() if kind == of_transport} == {"main"}
    assert None not in names.values()
    assert (
        tree(trace, stages)
        == f"""session [bot]
  turn [user] outcome:answered{HEARD}
    llm [OpenAILLMService gpt-4.1-mini] outcome:completed
      openai.request [createChatCompletion]
      tool [transfer] outcome:completed
    llm [OpenAILLMService gpt-4.1] outcome:completed
      openai.request [createChatCompletion]{SPOKEN}
  turn [user] outcome:answered{HEARD}
    llm [OpenAILLMService gpt-4.1] outcome:completed
      openai.request [createChatCompletion]
      tool [look_up] outcome:completed
    llm [OpenAILLMService gpt-4.1] outcome:completed
      openai.request [createChatCompletion]{SPOKEN}"""
    )
    session = trace.one("pipecat.session")
    assert session["session.end_reason"] == "ended"
    assert session["session.turn_count"] == 2
    first, second = trace.named("pipecat.turn")
    # Each worker's processors are counted for themselves.
    keys = {f"processor.OpenAILLMService{place}.frames" for place in ("", ".1")}
    assert keys <= set(first.tags)
    search, asked = trace.one("library.search"), trace.one("pipecat.tool", "look_up")
    assert search.parent is second, "a worker without a pipeline works for the turn"
    assert asked.start_ns <= search.start_ns <= search.end_ns <= asked.end_ns
    events = {span.resource: span for span in trace.named("pipecat.service.event")}
    request, response = events["on_job_request"], events["on_job_response"]
    assert request.parent is response.parent is second
    assert [request["worker.name"], response["worker.name"]] == ["library", "expert"]
    assert request["job.id"] == response["job.id"]
    assert [request["job.name"], response["job.status"]] == ["search", "completed"]
    handed = [
        (span.resource, span["worker.name"])
        for span in first.children
        if span.name == "pipecat.service.event"
    ]
    assert handed == [("on_deactivated", "greeter"), ("on_activated", "expert")]
    line = lines.one("the library searches")
    assert line["session_id"] == observer.session_id
    assert line["dd.trace_id"] == trace.id
    assert line["dd.span_id"] == str(search.id)


@pytest.mark.parametrize("unobserved", [["greeter", "expert"], ["expert"]])
async def test_it_is_said_once_whom_nobody_observes(
    agent: TestAgent, unobserved: list[str]
) -> None:
    observer = watching()
    with written_lines() as lines:
        async with conversing(observer, *unobserved) as bot:
            await bot.ask("How are you?")
    line = lines.one("call add_observer(observer)")
    assert line["levelname"] == "WARNING"
    assert line["session_id"] == observer.session_id
    assert ("workers greeter, expert of" if len(unobserved) > 1 else "worker expert of") in line[
        "message"
    ]
    assert "library" not in line["message"]
    assert agent.session(observer.session_id).one("pipecat.stt")["worker.name"] == "main"


async def test_whom_nobody_observes_is_said_while_the_conversation_goes_on(
    agent: TestAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_instrumentation, "UNOBSERVED_SECS", 0.05)
    observer = watching()
    with written_lines() as lines:
        async with conversing(observer, "expert") as bot:
            async with asyncio.timeout(10):
                while not lines.saying("call add_observer"):  # noqa: ASYNC110 - of lines
                    await asyncio.sleep(0.01)
            await bot.ask("How are you?")
        assert lines.one("call add_observer")["session_id"] == observer.session_id


async def test_a_worker_with_an_observer_of_its_own_is_observed(agent: TestAgent) -> None:
    main, child = watching(), watching()
    with written_lines() as lines:
        runner = WorkerRunner(handle_sigint=False)
        bots = [Bot(main), Bot(child)]
        async with bots[0].provider, bots[1].provider:
            for bot in bots:
                bot.build(bot.provider.url)
            await runner.add_workers(*(bot.worker for bot in bots))
            running = asyncio.create_task(runner.run())
            await bots[0].ask("How are you?")
            for bot in bots:
                await bot.push(EndFrame())
            await asyncio.wait_for(running, 15)
    assert not lines.saying("add_observer")


async def test_a_bot_with_one_worker_has_no_name_of_it(agent: TestAgent) -> None:
    observer = watching()
    async with Bot(observer) as bot:
        await bot.ask("How are you?")
        await bot.end()
    for span in agent.session(observer.session_id).spans:
        assert span.get("worker.name") is None


@pytest.mark.parametrize(
    ("ends", "reason"), [("both", "ended"), ("one", "lost_end"), ("cancel", "cancelled")]
)
async def test_a_session_of_several_workers_ends_as_they_do(
    agent: TestAgent, ends: str, reason: str
) -> None:
    class Keeps(FrameProcessor):
        def __init__(self) -> None:
            super().__init__()
            self.kept = asyncio.Event()

        async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
            await super().process_frame(frame, direction)
            if isinstance(frame, EndFrame) and ends == "one":
                self.kept.set()
                return
            await self.push_frame(frame, direction)

    observer, keeps = watching(), Keeps()
    first = PipelineWorker(Pipeline([Passes()]), name="first", observers=[observer])
    second = PipelineWorker(Pipeline([keeps]), name="second", observers=[observer])
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(first, second)
    running = asyncio.create_task(runner.run())
    async with asyncio.timeout(20):
        if ends == "cancel":
            await runner.cancel()
        else:
            await first.queue_frame(EndFrame())
            await second.queue_frame(EndFrame())
        if ends == "one":
            await keeps.kept.wait()
            await first.wait()
            await second.cancel()
            await FrameProcessor.push_frame(keeps, CancelFrame())
        await running
    session = agent.session(observer.session_id).one("pipecat.session")
    assert session["session.end_reason"] == reason
    assert session.get("session.end_lost_in") == ("Keeps" if ends == "one" else None)


async def test_a_worker_that_ends_does_not_end_the_session_of_the_others(
    agent: TestAgent,
) -> None:
    observer = watching()
    runner = WorkerRunner(handle_sigint=False)
    bots = [Bot(observer), Bot(observer)]
    async with bots[0].provider, bots[1].provider:
        for bot in bots:
            bot.build(bot.provider.url)
        await runner.add_workers(*(bot.worker for bot in bots))
        running = asyncio.create_task(runner.run())
        await bots[0].ask("How are you?")
        await bots[0].worker.cancel()
        await bots[0].worker.wait()
        await bots[1].ask("And you?")
        await bots[1].push(EndFrame())
        await asyncio.wait_for(running, 15)

    trace = agent.session(observer.session_id)
    trace.check()
    assert [turn["turn.outcome"] for turn in trace.named("pipecat.turn")] == ["answered"] * 2
    assert trace.one("pipecat.session")["session.end_reason"] == "ended"


@pytest.mark.parametrize(("before", "after"), [(1.0, 0.0), (0.0, 1.0)])
async def test_a_session_under_another_is_sampled_with_it_and_holds_nothing_back(
    agent: TestAgent, before: float, after: float
) -> None:
    with agent_rate(before):
        main = DatadogObserver(name="main", turn_end_timeout_secs=0.2)
    with agent_rate(after):
        child = DatadogObserver(name="child", parent=main.context, turn_end_timeout_secs=0.2)
        async with Bot(main) as bot, Bot(child) as other:
            await asyncio.gather(bot.ask("How are you?"), other.ask("And you?"))
            for observer in (main, child):
                await asyncio.to_thread(arriving, agent, observer.session_id, "pipecat.turn", 2)
            await other.end()
            await bot.end()

    trace = agent.session(main.session_id)
    assert trace.id == agent.session(child.session_id).id
    agent.wait(lambda: len(agent.session(main.session_id).named("pipecat.session")) == 2 or None)
    trace = agent.session(main.session_id)
    assert trace.one("pipecat.session", "child").parent is trace.one("pipecat.session", "main")
    for turn in trace.named("pipecat.turn"):
        assert turn.parent is not None
        assert turn.parent["session_id"] == turn["session_id"]
    assert {turn["session_id"] for turn in trace.named("pipecat.turn")} == {
        main.session_id,
        child.session_id,
    }
    assert decisions(trace) == {int(before)}


async def test_a_worker_that_is_observed_as_it_runs_does_not_end_the_session(
    agent: TestAgent,
) -> None:
    class Passes(FrameProcessor):
        def __init__(self) -> None:
            super().__init__()
            self.saw = asyncio.Event()

        async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
            await super().process_frame(frame, direction)
            if isinstance(frame, TextFrame):
                self.saw.set()
            await self.push_frame(frame, direction)

    class CleanedUpAfterIt(BaseObserver):
        def __init__(self) -> None:
            super().__init__()
            self.is_cleaned_up = asyncio.Event()

        async def cleanup(self) -> None:
            self.is_cleaned_up.set()

    def has_ended() -> bool:
        tracer.flush()
        trace = trace_of(agent.spans(), observer.session_id)
        return trace is not None and bool(trace.named("pipecat.session"))

    observer, last, passes = DatadogObserver(), CleanedUpAfterIt(), [Passes(), Passes()]
    lasting = PipelineWorker(Pipeline([passes[0]]), observers=[observer])
    passing = PipelineWorker(Pipeline([passes[1]]))
    ended = asyncio.Event()
    passing.add_event_handler("on_pipeline_finished", lambda *_: ended.set())
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(lasting)
    await runner.add_workers(passing)
    running = asyncio.create_task(runner.run())
    async with asyncio.timeout(20):
        for worker, one in zip((lasting, passing), passes, strict=True):
            await worker.queue_frame(TextFrame("hello"))
            await one.saw.wait()
            one.saw.clear()
        passing.add_observer(observer)
        passing.add_observer(last)
        await passing.queue_frame(TextFrame("and again"))
        await passes[1].saw.wait()
        await passing.queue_frame(EndFrame())
        await ended.wait()
        await last.is_cleaned_up.wait()
        had_ended = has_ended()
        await lasting.queue_frame(EndFrame())
        await running
    assert not had_ended
    assert agent.session(observer.session_id).one("pipecat.session")["session.end_reason"]

"""One observer that several conversations use never puts two callers under one id."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from loguru import logger
from pipecat.frames.frames import EndFrame, Frame, TextFrame
from pipecat.observers.base_observer import BaseObserver, FramePushed
from pipecat.pipeline.pipeline import Pipeline
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from pipecat_dd import DatadogObserver
from pipecat_dd.cli.demo.versions import PipelineWorker
from tests.conversation.attribution.calls import run
from tests.support.agent import TestAgent
from tests.support.lines import Lines, written_lines
from tests.support.versions import SETS_UP_OBSERVERS

OBSERVER = DatadogObserver(name="shared")


@pytest.fixture
def lines() -> Iterator[Lines]:
    with written_lines("INFO") as written:
        yield written


class Writes(FrameProcessor):
    """Writes a line for each text, and lets the test go on."""

    def __init__(self, mark: str, together: asyncio.Barrier | None = None) -> None:
        super().__init__()
        self.mark, self._together = mark, together

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, TextFrame):
            logger.info(f"⟨{self.mark}⟩ {frame.text}")
            if self._together is not None:
                await self._together.wait()
            logger.info(f"⟨{self.mark}⟩ again")
        await self.push_frame(frame, direction)


class Follows(BaseObserver):
    """An observer of the bot's own; Pipecat begins its task before ours is asked."""

    def __init__(self, mark: str) -> None:
        super().__init__()
        self.mark = mark

    async def on_push_frame(self, data: FramePushed) -> None:
        # Before 1.8, nothing of ours runs before the first frame.
        if isinstance(data.frame, TextFrame) and SETS_UP_OBSERVERS:
            logger.info(f"⟨{self.mark}⟩ observed")


async def hold(
    observer: DatadogObserver, mark: str, together: asyncio.Barrier | None = None
) -> None:
    logger.info(f"({mark}) rings")
    worker = PipelineWorker(Pipeline([Writes(mark, together)]), observers=[Follows(mark), observer])
    await worker.queue_frames([TextFrame("hello"), EndFrame()])
    await run(worker)
    logger.info(f"({mark}) is over")


def sessions_of(lines: Lines, marks: list[str], *, at_module_level: bool = False) -> dict[str, Any]:
    """Return the one session id on each call's lines, once nothing about them is wrong."""
    found: dict[str, Any] = {}
    for mark in marks:
        ids = {line.get("session_id") for line in lines.saying(f"⟨{mark}⟩")}
        assert len(ids) == 1, f"{mark}: {ids}"
        (found[mark],) = ids
    # A function that makes one and serves several calls is, until the second, like one that
    # serves one; the code of a module serves none.
    if at_module_level:
        for mark in [*marks, "between"]:
            for line in lines.saying(f"({mark})"):
                assert "session_id" not in line, line["message"]
    assert None not in found.values()
    assert len(set(found.values())) == len(marks), "two callers have one id"
    return found


@pytest.mark.parametrize("observer", [OBSERVER, None], ids=["of a module", "of a function"])
async def test_calls_one_after_another(
    agent: TestAgent, lines: Lines, observer: DatadogObserver | None
) -> None:
    observer = observer or DatadogObserver(name="shared")
    marks = ["ruby", "jade", "opal"]
    for mark in marks:
        await asyncio.create_task(hold(observer, mark))
        logger.info("(between) calls")
    for mark, session_id in sessions_of(lines, marks, at_module_level=observer is OBSERVER).items():
        trace = agent.session(session_id)
        trace.check()
        session = trace.one("pipecat.session", "shared")
        assert session["session.end_reason"] == "ended"
        spans = {span.id for span in trace.spans}
        assert {int(line["dd.span_id"]) for line in lines.saying(f"⟨{mark}⟩")} <= spans


@pytest.mark.parametrize("observer", [OBSERVER, None], ids=["of a module", "of a function"])
async def test_calls_that_overlap(
    agent: TestAgent, lines: Lines, observer: DatadogObserver | None
) -> None:
    observer = observer or DatadogObserver(name="shared")
    marks = ["ruby", "jade", "opal"]
    together = asyncio.Barrier(len(marks))
    await asyncio.gather(*(asyncio.create_task(hold(observer, mark, together)) for mark in marks))
    for session_id in sessions_of(lines, marks, at_module_level=observer is OBSERVER).values():
        trace = agent.session(session_id)
        trace.check()
        assert trace.one("pipecat.session")["session.end_reason"] == "ended"


async def test_an_id_that_was_given_names_the_first_and_one_warning_says_so(lines: Lines) -> None:
    observer = DatadogObserver(session_id="given")
    for mark in ("ruby", "jade", "opal"):
        await asyncio.create_task(hold(observer, mark))
    found = sessions_of(lines, ["ruby", "jade", "opal"])
    assert found["ruby"] == "given"
    assert lines.one("names one conversation")["levelname"] == "WARNING"


async def test_each_takes_the_id_that_its_own_code_was_given(lines: Lines) -> None:
    observer = DatadogObserver()

    async def with_id(mark: str) -> None:
        with logger.contextualize(session_id=f"id-of-{mark}"):
            await hold(observer, mark)

    await asyncio.create_task(hold(observer, "first"))
    for mark in ("ruby", "jade"):
        await asyncio.create_task(with_id(mark))
    found = sessions_of(lines, ["ruby", "jade"])
    assert found == {"ruby": "id-of-ruby", "jade": "id-of-jade"}


async def test_it_says_the_id_of_the_call_that_asks(lines: Lines) -> None:
    observer = DatadogObserver()
    together = asyncio.Barrier(2)
    asked: dict[str, str] = {}

    class Asks(Writes):
        async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
            await super().process_frame(frame, direction)
            if isinstance(frame, TextFrame):
                asked[self.mark] = observer.session_id

    async def ask(mark: str) -> None:
        worker = PipelineWorker(Pipeline([Asks(mark, together)]), observers=[observer])
        await worker.queue_frames([TextFrame("hello"), EndFrame()])
        await run(worker)

    await asyncio.gather(*(asyncio.create_task(ask(mark)) for mark in ("ruby", "jade")))
    assert asked == sessions_of(lines, ["ruby", "jade"])

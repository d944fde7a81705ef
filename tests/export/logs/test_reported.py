"""An error that Pipecat reports, and logs without its exception, has it on the line."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from loguru import logger
from pipecat.frames.frames import ErrorFrame, Frame, LLMTextFrame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from pipecat_dd import DatadogObserver
from tests.support.bot import Bot
from tests.support.lines import Lines, written_lines


@pytest.fixture
def lines() -> Iterator[Lines]:
    with written_lines() as written:
        yield written


class Breaks(FrameProcessor):
    """Fails in each way that Pipecat reports, when the model has answered."""

    def __init__(self) -> None:
        super().__init__()
        self._register_event_handler("on_answer")
        self.done = asyncio.Event()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMTextFrame) and not self.done.is_set():
            await self._call_event_handler("on_answer")
            try:
                self.fail("pushed")
            except ValueError as error:
                await self.push_error("The service is gone", exception=error)
            try:
                raise LookupError("Bearer abcdef0123456789")
            except LookupError as error:
                later = ErrorFrame("Reported later", exception=error)
            await self.push_error_frame(later)
            try:
                self.fail("another")
            except ValueError:
                await self.push_error("Has none of its own")
            self.create_task(self.fails_in_a_task())
            self.done.set()
            self.fail("in process_frame")
        await self.push_frame(frame, direction)

    def fail(self, text: str) -> None:
        raise ValueError(text)

    async def fails_in_a_task(self) -> None:
        self.fail("in a task")


async def test_errors_that_pipecat_reports_carry_their_exception(lines: Lines) -> None:
    breaks = Breaks()

    @breaks.event_handler("on_answer")
    async def on_answer(_: Any) -> None:
        breaks.fail("in a handler")

    observer = DatadogObserver()
    async with Bot(observer, extra=[breaks]) as bot:
        await bot.ask("How are you?")
        await bot.end()
    assert breaks.done.is_set()
    # The worker repeats what is pushed, as a warning.
    lines.all = [line for line in lines.all if line["levelname"] == "ERROR"]
    for text, message in (
        ("The service is gone", "pushed"),
        ("Error processing frame: in process_frame", "in process_frame"),
        ("uncaught exception in event handler 'on_answer'", "in a handler"),
        ("unexpected exception", "in a task"),
    ):
        line = lines.one(text)
        assert line["name"].startswith("pipecat.")
        assert (line["error"]["kind"], line["error"]["message"]) == ("ValueError", message), text
        assert "in fail" in line["error"]["stack"]
        assert line["session_id"] == observer.session_id
    later = lines.one("Reported later")["error"]
    assert (later["kind"], "abcdef" in str(later)) == ("LookupError", False)
    assert "error" not in lines.one("Has none of its own")


async def test_what_pipecat_says_while_something_else_is_handled_has_no_error(
    lines: Lines,
) -> None:
    frames: dict[str, Any] = {"__name__": "pipecat.some.module", "logger": logger}
    exec("def says(text): logger.error(text)", frames)
    try:
        raise ValueError("somebody else's")
    except ValueError:
        frames["says"]("a wholly different thing")
        logger.error("of the user's own")
    assert "error" not in lines.one("a wholly different thing")
    assert "error" not in lines.one("of the user's own")

"""A part of ours that keeps failing says so once per kind, turns itself off, and says that too."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from ddtrace.trace import tracer
from loguru import logger

from pipecat_dd import DatadogObserver, _guard, configure_logging, unconfigure_logging
from tests.reliability.test_nothing_escapes import fresh_guards  # noqa: F401 - a fixture
from tests.support.calls import call

TURNS = 8


class BrokenError(Exception):
    """What a function of ours raises, each time."""


def breaks(*args: Any, **kwargs: Any) -> Any:
    raise BrokenError


@pytest.fixture
def lines() -> Iterator[list[str]]:
    written: list[str] = []
    configure_logging(written.append, level="INFO")
    yield written
    unconfigure_logging()


@pytest.mark.parametrize(
    ("part", "function"),
    [
        (_guard.instrumentation, "pipecat_dd.instrumentation.frame_tracker.FrameProcessing"),
        (_guard.conversation, "pipecat_dd.instrumentation.dispatcher.FrameDispatcher._remember"),
        (_guard.spans, "pipecat_dd.export.active.stage_at"),
        (_guard.lines, "pipecat_dd.export.correlation.current_context"),
    ],
    ids=lambda value: value.name if isinstance(value, _guard.Part) else "",
)
async def test_a_part_that_keeps_failing_turns_itself_off_and_says_so(
    lines: list[str], monkeypatch: pytest.MonkeyPatch, part: _guard.Part, function: str
) -> None:
    said = await call([], TURNS)
    with monkeypatch.context() as patch:
        patch.setattr(function, breaks)
        observer = DatadogObserver()
        talking = asyncio.create_task(call([observer], TURNS))
        for _ in range(2 * _guard.FAILURES_BEFORE_OFF):
            await asyncio.sleep(0)
            with tracer.trace("mine"):  # as an integration does in the middle of it
                logger.info("working")
        assert await talking == said, "the bot said something else"

    assert part.off
    assert part.failures >= _guard.FAILURES_BEFORE_OFF
    others = {p for p in vars(_guard).values() if isinstance(p, _guard.Part)} - {part}
    assert not any(other.off for other in others), "what works goes on"
    told = [line for line in lines if "the bot is not affected" in line]
    failed = [line for line in told if f"{part.name} failed;" in line]
    assert len(failed) == 1
    assert "BrokenError" in failed[0], "with its traceback"
    assert "test_turning_off.py" in failed[0]
    off = [line for line in told if f"{part.name} failed 50 times and was turned off" in line]
    assert len(off) == 1
    assert sum("working" in line for line in lines) == 2 * _guard.FAILURES_BEFORE_OFF

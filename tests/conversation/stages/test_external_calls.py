"""A tool that a backend worker runs is one span, whether that worker is observed or not."""

from typing import Any

import pytest
from pipecat.frames.frames import TranscriptionFrame
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.llm_service import FunctionCallParams
from pipecat.utils.time import time_now_iso8601

from pipecat_dd.cli.demo.provider import Answer, CallTool, Say
from tests.support.agent import TestAgent
from tests.support.shapes import Shaped, watching

pytest.importorskip("pipecat.pipeline.llm_with_backend", reason="came with 1.14")

from pipecat.frames.frames import (
    ExternalFunctionCall,
    ExternalFunctionCallCancelFrame,
    ExternalFunctionCallInProgressFrame,
    ExternalFunctionCallResultFrame,
    ExternalFunctionCallsStartedFrame,
)
from pipecat.pipeline.llm_with_backend import LLMWithBackend
from pipecat.workers.llm.backend_llm_worker import BackendLLMWorker

SECRET = "Chelsea"


async def get_weather(params: FunctionCallParams, city: str) -> None:
    """Get the weather.

    Args:
        params: What Pipecat gives.
        city: Where.
    """
    await params.result_callback({"weather": f"rain in {city}"})


def script(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> Answer:
    """Delegate, and look the weather up, each once."""
    names = {tool["function"]["name"] for tool in tools}
    last = messages[-1]
    if "get_weather" in names:
        asked = last["role"] == "user"
        return CallTool("get_weather", {"city": SECRET}) if asked else Say(">> It rains.")
    return CallTool("delegate") if last["role"] == "user" else Say("It rains.")


class Delegates(Shaped):
    """A bot whose model has a backend."""

    def __init__(self, *observers: Any, is_backend_observed: bool) -> None:
        self.is_backend_observed = is_backend_observed
        super().__init__(self._processors, *observers, script=script)

    def _processors(self, _: Shaped) -> list[FrameProcessor]:
        self.backend = BackendLLMWorker(
            llm=self.make_llm("gpt-4.1-mini"), context=LLMContext(tools=[get_weather])
        )
        if self.is_backend_observed:
            for observer in self._observers:
                self.backend.add_observer(observer)
        llm = LLMWithBackend(frontend=self.make_llm(), backend=self.backend)
        return [self.pair.user(), llm, self.make_tts(), self.output, self.pair.assistant()]


@pytest.mark.parametrize("is_observed", [True, False])
@pytest.mark.parametrize("capture", [True, False])
async def test_a_tool_that_a_backend_runs_is_one_span(
    agent: TestAgent, is_observed: bool, capture: bool
) -> None:
    observer = watching(capture_content=capture)
    async with Delegates(observer, is_backend_observed=is_observed) as bot:
        await bot.push(TranscriptionFrame("What is the weather?", "u", time_now_iso8601()))
        await bot.until(ExternalFunctionCallResultFrame)
        await bot.answered()
        await bot.end()

    trace = agent.session(observer.session_id)
    trace.check()
    tool = trace.one("pipecat.tool", "get_weather")
    assert tool["tool.outcome"] == "completed"
    assert not tool.error
    assert tool.get("worker.name") == (bot.backend.name if is_observed else None)
    assert (SECRET in str(tool.raw)) is capture
    trace.one("pipecat.tool", "delegate")
    if not is_observed:
        assert tool.parent is trace.one("pipecat.turn")


async def test_how_a_tool_elsewhere_ends_is_told(agent: TestAgent) -> None:
    observer = watching()

    def shape(bot: Shaped) -> list[FrameProcessor]:
        return [bot.pair.user(), bot.make_llm(), bot.make_tts(), bot.output]

    def begun(call_id: str) -> list[Any]:
        return [
            ExternalFunctionCallsStartedFrame([ExternalFunctionCall("look_up", call_id)]),
            ExternalFunctionCallInProgressFrame("look_up", call_id, arguments={"q": SECRET}),
        ]

    def result(call_id: str, value: Any, *, is_final: bool = True) -> Any:
        return ExternalFunctionCallResultFrame("look_up", call_id, {}, value, is_final=is_final)

    async with Shaped(shape, observer) as bot:
        await bot.push(*begun("a"), result("a", 1, is_final=False), result("a", 2))
        await bot.push(*begun("b"), result("b", {"status": "error", "error": SECRET}))
        await bot.push(*begun("c"), ExternalFunctionCallCancelFrame("look_up", "c"))
        await bot.push(*begun("d"), result("never begun", 3))
        await bot.until(ExternalFunctionCallResultFrame, 4)
        await bot.end()

    trace = agent.session(observer.session_id)
    trace.check()
    outcomes = {
        span["tool.call_id"]: (span["tool.outcome"], span.error)
        for span in trace.named("pipecat.tool")
    }
    assert outcomes == {
        "a": ("completed", False),
        "b": ("failed", True),
        "c": ("cancelled", False),
        "d": ("cancelled", False),
    }
    assert SECRET not in str([span.raw for span in trace.spans])
    assert trace.one("pipecat.session")["session.error_count"] == 1

"""Several calls at once with LLM Observability on, in a process of their own.

Prints, one JSON object a line, what the calls themselves know of it.
"""

import asyncio
import contextvars
import json
import re
import sys
from pathlib import Path
from typing import Any

from ddtrace.llmobs import LLMObs, LLMObsSpan
from ddtrace.propagation.http import HTTPPropagator
from ddtrace.trace import tracer
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    ErrorFrame,
    Frame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.llm_service import FunctionCallParams

from pipecat_dd import DatadogObserver, current_session
from pipecat_dd.cli.demo.provider import Answer, CallTool, Say
from pipecat_dd.cli.demo.versions import FunctionSchema, ToolsSchema, split_sentences_offline
from tests.support.bot import Bot


def tell(**facts: Any) -> None:
    print(json.dumps(facts), flush=True)  # noqa: T201 - the test reads it


def documented() -> dict[str, Any]:
    """Return what the examples of the document define."""
    text = (Path(__file__).parents[3] / "docs" / "llm-observability.md").read_text("utf8")
    defined: dict[str, Any] = {}
    for code in re.findall(r"```python\n(.*?)```", text, re.S):
        exec(code, defined)
    return defined


async def search(question: str) -> list[dict[str, str]]:
    """Find documents that hold the canary of the question."""
    canary = question.removesuffix(QUERY)
    return [{"text": f"{canary} text", "name": f"{canary} name"}]


QUERY = " query"
DOCUMENTED = documented()
DOCUMENTED["search"] = search  # which the document's own look_up calls


class Knowledge(FrameProcessor):
    """Looks up what may help the model to answer."""

    llmobs_kind = {"LLMContextFrame": "retrieval"}  # noqa: RUF012

    def __init__(self, canary: str) -> None:
        super().__init__()
        self._canary = canary

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if type(frame).__name__ == "LLMContextFrame":
            await DOCUMENTED["look_up"](f"{self._canary}{QUERY}")
        await self.push_frame(frame, direction)


REMOTE_TRACE_ID, REMOTE_SPAN_ID = 987654321, 123456789

WAYS: dict[str, dict[str, Any]] = {
    "shut": {},
    "open": {"capture_content": True},
    "turns": {"trace_scope": "turn"},
    "apart": {"llmobs": False},
    "remote": {
        "parent": HTTPPropagator.extract(
            {
                "x-datadog-trace-id": "77",
                "x-datadog-parent-id": "78",
                "x-datadog-sampling-priority": "1",
                "x-datadog-tags": f"_dd.p.llmobs_parent_id={REMOTE_SPAN_ID},"
                f"_dd.p.llmobs_trace_id={REMOTE_TRACE_ID}",
            }
        )
    },
}
"""The calls there can be, and what the observer of each is told."""


def users(span: LLMObsSpan) -> LLMObsSpan | None:
    """Leave out a span by what it says, which only one that sees it can."""
    return None if any("drop me" in str(message) for message in span.input) else span


async def continue_elsewhere(observer: DatadogObserver) -> None:
    """Hold a session of its own in the trace of another."""
    child = DatadogObserver(session_id=f"{observer.session_id} child", parent=observer.context)
    await child.setup(None)
    await child.cleanup()


async def call(session_id: str) -> None:
    """Hold a call: a tool, an interruption, an error."""
    canary = f"CANARY-{session_id}"
    observer = DatadogObserver(
        session_id=session_id,
        name=f"bot {session_id}",
        turn_end_timeout_secs=0.3,
        **WAYS[session_id],
    )
    LLMObs.register_processor(users)

    def script(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> Answer:
        last = messages[-1]
        if last["role"] == "tool":
            return Say(f"{canary} reply")
        if "weather" in str(last["content"]):
            return CallTool("get_weather", {"city": f"{canary} city"})
        if "story" in str(last["content"]):
            return Say(f"{canary} reply. " + "And so on, and so on. " * 20)
        return Say(f"{canary} reply")

    async def get_weather(params: FunctionCallParams) -> None:
        with LLMObs.task(name="look up") as span:
            LLMObs.annotate(span, input_data=f"{canary} task", metadata={"note": f"{canary} note"})
            await asyncio.sleep(0.02)
            exported = LLMObs.export_span(span)
        with LLMObs.task(name="dropped") as span:
            LLMObs.annotate(span, input_data=f"{canary} drop me")
        headers: dict[str, str] = {}
        HTTPPropagator.inject(tracer.current_trace_context(), headers)
        tell(session=session_id, task=exported, headers=headers)
        await params.result_callback({"weather": f"{canary} result"})

    schema = FunctionSchema("get_weather", f"{canary} tool", {"city": {"type": "string"}}, [])
    bot = Bot(
        observer,
        script=script,
        tools=ToolsSchema(standard_tools=[schema]),
        register=lambda llm: llm.register_function("get_weather", get_weather),
        between=[Knowledge(canary)],
    )
    async with bot:
        await bot.ask(f"{canary} weather?")
        session = current_session()
        session.set_outcome("helped")
        session.set_tag("campaign", "call +1 415 555 2671")
        session.set_tag("cart.items", 2, turn=True)
        if session_id in ("turns", "apart"):
            await asyncio.create_task(continue_elsewhere(observer), context=contextvars.Context())
        DOCUMENTED["report_helpful"](True)
        DOCUMENTED["report_quality"](session_id, 2, 0.5)
        # A second turn in which the model fails, and a third that the user cuts off.
        bot.provider.fail("chat", status=400)
        await bot.user_says(f"{canary} more", 0.1)
        await bot.until(ErrorFrame)
        spoken = bot.watch.count(BotStartedSpeakingFrame)
        await bot.user_says(f"{canary} a story", 0.1)
        await bot.speaks(spoken + 1)
        await bot.user_says(f"{canary} stop", 0.1)
        await bot.provider.requested("chat", 5)
        tell(session=session_id, turn=None, exported=session.export_turn())
        await bot.end()
    for turn in (1, 2, 99):
        tell(session=session_id, turn=turn, exported=session.export_turn(turn))


async def main() -> None:
    """Hold all the calls that are named, at the same time."""
    await asyncio.gather(*(asyncio.create_task(call(session_id)) for session_id in sys.argv[1:]))


if __name__ == "__main__":
    split_sentences_offline()
    asyncio.run(main())

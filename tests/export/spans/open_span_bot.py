"""A bot in a process of its own in which spans that are not ours stay open.

``python -m tests.export.spans.open_span_bot SCOPE WHAT``: ``own`` is a span of a processor's own
for the whole call and one that each turn's tool leaves open, ``pipecat`` Pipecat's own tracing.
"""

import asyncio
import json
import sys
from typing import Any

import ddtrace.auto  # noqa: F401
from ddtrace.trace import tracer
from loguru import logger
from pipecat.frames.frames import StartFrame
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.llm_service import FunctionCallParams

from pipecat_dd import DatadogObserver
from tests.conversation.stages.test_tools import bot_with

SAID = "The harbour, with the key sk-abcdefghijklmnopqrstuvwx"


class Subscribes(FrameProcessor):
    """Has a span of its own open for as long as the call lasts."""

    async def _subscribe(self) -> None:
        with tracer.trace("crm.subscription"):
            await asyncio.get_running_loop().create_future()

    async def process_frame(self, frame: Any, direction: Any) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, StartFrame):
            self._task = self.create_task(self._subscribe())
        await self.push_frame(frame, direction)

    async def cleanup(self) -> None:
        await super().cleanup()
        await self.cancel_task(self._task)


async def look_up(params: FunctionCallParams) -> None:
    left.append(tracer.start_span("left.open", child_of=tracer.current_span()))
    with tracer.trace("look.up"):
        pass
    await params.result_callback({"found": True})


left: list[Any] = []


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


async def main(scope: Any, what: str) -> None:
    captures = what == "pipecat-content"
    observer = DatadogObserver(
        session_id="open", trace_scope=scope, turn_end_timeout_secs=0.2, capture_content=captures
    )
    bot = bot_with(observer, {"look_up": look_up})
    if what == "own":
        bot._extra = [Subscribes()]
    else:
        bot._worker_args = {"enable_tracing": True, "enable_turn_tracking": True}
    async with bot:
        await bot.ask(SAID)
        await bot.ask("And now?")
        say("asked")
        await asyncio.to_thread(sys.stdin.readline)
        await bot.end()


if __name__ == "__main__":
    said: list[str] = []
    logger.add(lambda m: said.append(m.record["message"]), filter="pipecat_dd", level="INFO")
    asyncio.run(main(*sys.argv[1:]))
    say(json.dumps(said))

"""Services of Pipecat's own base classes that answer at once, with no provider behind them."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from pipecat.frames.frames import (
    Frame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TTSAudioRawFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.llm_service import FunctionCallFromLLM, LLMService
from pipecat.services.tts_service import TTSService


def asked(text: str) -> LLMContextFrame:
    """Return what has a model do something."""
    return LLMContextFrame(LLMContext([{"role": "user", "content": text}]))


class ScriptedLLM(LLMService):
    """Does what the last message of its context says.

    ``say …`` answers, ``call …`` calls a tool of that name and then answers, ``hang`` answers
    half and waits to be interrupted, ``fail`` reports an error, ``raise`` raises.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._calls = 0

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if not isinstance(frame, LLMContextFrame):
            await self.push_frame(frame, direction)
            return
        messages: list[Any] = frame.context.get_messages()
        word, _, rest = str(messages[-1].get("content")).partition(" ")
        if word == "raise":
            raise RuntimeError("the model is gone")
        await self.push_frame(LLMFullResponseStartFrame())
        try:
            if word == "fail":
                await self.push_error("no model of that name")
            elif word == "call":
                self._calls += 1
                call = FunctionCallFromLLM(
                    function_name=rest,
                    tool_call_id=f"call-{id(self)}-{self._calls}",
                    arguments={},
                    context=frame.context,
                )
                await self.run_function_calls([call])
            else:
                await self.push_frame(LLMTextFrame("Well, "))
                if word == "hang":
                    await asyncio.Event().wait()
                await self.push_frame(LLMTextFrame("yes. "))
        finally:
            await self.push_frame(LLMFullResponseEndFrame())


class ScriptedTTS(TTSService):
    """Speaks a tenth of a second of silence for each sentence."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(sample_rate=16_000, push_start_frame=True, push_stop_frames=True, **kwargs)

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        yield TTSAudioRawFrame(b"\1\0" * 1_600, 16_000, 1, context_id=context_id)

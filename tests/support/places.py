"""Each place where a bot's code can run, and what a line that is written there must carry.

`Everywhere` is a processor that writes a marked line in each of them; the services and handlers
that a bot needs for the others are here too. A line's message says whose it is and where it was
written (``⟨ruby|process_frame⟩``), so that whoever reads it knows what it should carry.
"""

import asyncio
import logging
import queue
import threading
import warnings
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from ddtrace.trace import tracer
from loguru import logger
from pipecat.frames.frames import Frame, LLMFullResponseEndFrame, LLMTextFrame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.cartesia.stt import CartesiaSTTService
from pipecat.services.cartesia.tts import CartesiaTTSService
from pipecat.services.llm_service import FunctionCallParams

FRAME = ("pipecat.frame",)
TURN = ("pipecat.turn",)
SESSION = ("pipecat.session",)
ANY = ()


@dataclass(frozen=True)
class Place:
    """A place where a bot's code can run.

    Attributes:
        name: What it is called.
        spans: The spans of which one must be on the line; empty where any of the session's is
            right.
    """

    name: str
    spans: tuple[str, ...] = FRAME


PROCESS_FRAME = Place("process_frame")
SETUP = Place("a processor's setup()", SESSION)
SETUP_TASK = Place("a task made in setup()", TURN)
CLEANUP = Place("a processor's cleanup()", SESSION)
LATER_TASK = Place("a task made in process_frame, when that is over", TURN)
SUBTASK = Place("asyncio.create_task in process_frame")
CALL_SOON = Place("loop.call_soon in process_frame")
TO_THREAD = Place("asyncio.to_thread")
RUN_IN_EXECUTOR = Place("loop.run_in_executor")
POOL = Place("a thread pool")
RAW_THREAD = Place("a raw thread")
SDK_THREAD = Place("a processor's method, called from an SDK's thread", TURN)
THREADSAFE_TASK = Place("run_coroutine_threadsafe from an SDK's thread", TURN)
THREADSAFE_CALL = Place("call_soon_threadsafe from an SDK's thread", TURN)
STDLIB = Place("the standard library's logging")
WARNING = Place("warnings.warn")
LOST_TASK = Place(
    "a task's uncaught exception", ("pipecat.frame", "pipecat.turn", "pipecat.session")
)
OWN_SPAN = Place("a span of one's own", ("own.work",))
AFTER_OWN_SPAN = Place("after a span of one's own")
PROCESSOR_EVENT = Place("a processor's event handler", ("pipecat.service.event",))
TRANSPORT_EVENT = Place("a transport's event handler", ("pipecat.participant.event",))
WORKER_EVENT = Place("a worker's event handler", SESSION)
TOOL = Place("a tool's handler", ("pipecat.tool",))
TOOL_TASK = Place("a task of a tool's handler", ("pipecat.tool",))
STT_LOOP = Place("a websocket STT's receive loop", ("pipecat.stt",))
TTS_LOOP = Place("a websocket TTS's receive loop", ("pipecat.tts",))
BEFORE_RUN = Place("the bot function, before the run", SESSION)
AFTER_RUN = Place("the bot function, after the run", SESSION)
WORKERS_OWN = Place("the worker's own lines", ANY)
RUNNERS_OWN = Place("the runner's own lines", ANY)

PLACES = tuple(value for value in list(globals().values()) if isinstance(value, Place))


def write(mark: str, place: Place) -> None:
    """Write a line that says whose it is and where it is written."""
    logger.info(f"⟨{mark}|{place.name}⟩")


class SdkThread:
    """A thread like those from which SDKs call back: older than any session."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def call(self, callback: Callable[[], object]) -> None:
        """Have a function called."""
        self._calls.put(callback)

    def close(self) -> None:
        """End the thread."""
        self._calls.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (callback := self._calls.get()) is not None:
            callback()


class Everywhere(FrameProcessor):
    """Writes a line in each place that a processor's code can run in."""

    def __init__(self, mark: str, sdk: SdkThread) -> None:
        super().__init__()
        self.mark = mark
        self._sdk = sdk
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._has_written = False
        self._register_event_handler("on_notice")

    def write(self, place: Place) -> None:
        write(self.mark, place)

    async def setup(self, *args: Any, **kwargs: Any) -> None:
        await super().setup(*args, **kwargs)
        self.write(SETUP)
        self._tasks.append(self.create_task(self._when_woken(SETUP_TASK)))

    async def cleanup(self) -> None:
        self.write(CLEANUP)
        await super().cleanup()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMTextFrame) and not self._has_written:
            self._has_written = True
            await self._write_all()
        elif isinstance(frame, LLMFullResponseEndFrame) and self._has_written:
            self._wake.set()
            await asyncio.gather(*self._tasks)
        await self.push_frame(frame, direction)

    async def _write_all(self) -> None:
        self.write(PROCESS_FRAME)
        logging.getLogger("some.library").warning(f"⟨{self.mark}|{STDLIB.name}⟩")
        warnings.warn(f"⟨{self.mark}|{WARNING.name}⟩", UserWarning, stacklevel=1)
        self._tasks.append(self.create_task(self._when_woken(LATER_TASK)))
        await asyncio.create_task(self._write_soon(SUBTASK))
        await self._called(lambda call: asyncio.get_running_loop().call_soon(call), CALL_SOON)
        await self._write_from_threads()
        await self._lose_a_task()
        with tracer.trace("own.work"):
            self.write(OWN_SPAN)
        self.write(AFTER_OWN_SPAN)
        noticed = asyncio.Event()
        self._noticed = noticed
        await self._call_event_handler("on_notice")
        await noticed.wait()

    async def _write_from_threads(self) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.to_thread(write, self.mark, TO_THREAD)
        await loop.run_in_executor(None, write, self.mark, RUN_IN_EXECUTOR)
        with ThreadPoolExecutor(1) as pool:
            await asyncio.wrap_future(pool.submit(write, self.mark, POOL))
        raw = threading.Thread(target=write, args=(self.mark, RAW_THREAD))
        raw.start()
        raw.join()

        async def from_sdk(work: Callable[[Callable[[], object]], object], place: Place) -> None:
            await self._called(lambda call: self._sdk.call(lambda: work(call)), place)

        await from_sdk(lambda call: call(), SDK_THREAD)
        await from_sdk(loop.call_soon_threadsafe, THREADSAFE_CALL)
        await from_sdk(
            lambda call: asyncio.run_coroutine_threadsafe(
                self._write_soon(THREADSAFE_TASK, call), loop
            ),
            THREADSAFE_TASK,
        )

    async def _called(
        self, call_later: Callable[[Callable[[], None]], object], place: Place
    ) -> None:
        """Have ``_on_callback`` called from somewhere, and wait until it has been."""
        loop = asyncio.get_running_loop()
        done = asyncio.Event()
        call_later(lambda: self._on_callback(place, loop, done))
        await done.wait()

    def _on_callback(
        self, place: Place, loop: asyncio.AbstractEventLoop, done: asyncio.Event
    ) -> None:
        if place is not THREADSAFE_TASK:
            self.write(place)
        loop.call_soon_threadsafe(done.set)

    async def _write_soon(self, place: Place, then: Callable[[], object] = lambda: None) -> None:
        await asyncio.sleep(0)
        self.write(place)
        then()

    async def _when_woken(self, place: Place) -> None:
        await self._wake.wait()
        self.write(place)

    async def _lose_a_task(self) -> None:
        async def fail() -> None:
            raise RuntimeError(f"⟨{self.mark}|{LOST_TASK.name}⟩")

        task = asyncio.create_task(fail())
        await asyncio.wait([task])
        # Only the garbage collector finds it now, when it comes by, wherever that is.
        loop: list[Any] = [task]
        loop.append(loop)

    async def on_notice(self, _: FrameProcessor) -> None:
        """Handle the processor's own event."""
        self.write(PROCESSOR_EVENT)
        self._noticed.set()


class Ears(CartesiaSTTService):
    """Cartesia's STT that writes a line in its receive loop."""

    mark = ""

    async def _on_transcript(self, data: Any) -> None:
        write(self.mark, STT_LOOP)
        await super()._on_transcript(data)


class Voice(CartesiaTTSService):
    """Cartesia's TTS that writes a line in its receive loop, with the first audio of a text."""

    mark = ""
    _has_written = False

    async def append_to_audio_context(self, context_id: str, frame: Any) -> None:
        if type(frame).__name__ == "TTSAudioRawFrame" and not self._has_written:
            self._has_written = True
            write(self.mark, TTS_LOOP)
        await super().append_to_audio_context(context_id, frame)


def tool(mark: str) -> Callable[[FunctionCallParams], Coroutine[Any, Any, None]]:
    """Return a tool's handler that writes lines."""

    async def look(params: FunctionCallParams) -> None:
        write(mark, TOOL)

        async def subtask() -> None:
            await asyncio.sleep(0)
            write(mark, TOOL_TASK)

        await asyncio.create_task(subtask())
        await params.result_callback({"weather": "fine"})

    return look

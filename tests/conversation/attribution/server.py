"""A FastAPI server that runs a bot for each websocket, and does much else beside.

Run as a program, by ddtrace-run: it prints its port, then JSON lines. Each line of its own says
whose it is, so that what it carries can be held against that.
"""

import asyncio
import logging
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from fastapi import BackgroundTasks, FastAPI, WebSocket
from loguru import logger
from pipecat.frames.frames import (
    EndFrame,
    Frame,
    LLMFullResponseEndFrame,
    LLMMessagesAppendFrame,
    LLMTextFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.serializers.protobuf import ProtobufFrameSerializer
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.transports.websocket.fastapi import (
    FastAPIWebsocketParams,
    FastAPIWebsocketTransport,
)

from pipecat_dd import DatadogObserver, configure_logging
from pipecat_dd.cli.demo.versions import PipelineWorker, WorkerRunner
from tests.conversation.attribution.calls import NOBODY, write

CALLS = int(os.environ.get("CALLS", "20"))
IS_SHARED = os.environ.get("SHARED") == "1"

configure_logging(sys.stdout, level="DEBUG")
SHARED = DatadogObserver(name="shared") if IS_SHARED else None
POOL = ThreadPoolExecutor(2)
together: asyncio.Barrier


def in_a_thread(whose: str, text: str) -> None:
    thread = threading.Thread(target=write, args=(whose, text))
    thread.start()
    thread.join()


async def everywhere(whose: str, text: str) -> None:
    """Write a line in each kind of place that work goes on in."""
    write(whose, text)
    in_a_thread(whose, f"{text}, in a thread")
    await asyncio.to_thread(write, whose, f"{text}, by to_thread")
    await asyncio.get_running_loop().run_in_executor(POOL, write, whose, f"{text}, in a pool")

    async def soon() -> None:
        await asyncio.sleep(0)
        write(whose, f"{text}, in a task")

    await asyncio.create_task(soon())
    logging.getLogger("some.library").info(f"⟨{whose}⟩ {text}, by logging")


class Works(FrameProcessor):
    def __init__(self, mark: str) -> None:
        super().__init__()
        self.mark, self._has_begun = mark, False

    async def setup(self, *args: Any, **kwargs: Any) -> None:
        await super().setup(*args, **kwargs)
        write(self.mark, "setup")

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMTextFrame) and not self._has_begun:
            self._has_begun = True
            await everywhere(self.mark, "process_frame")
        if isinstance(frame, LLMFullResponseEndFrame):
            await together.wait()
            write(self.mark, "all calls are going on")
            await self.push_frame(frame, direction)
            await self.pipeline_worker.queue_frame(EndFrame())
            return
        await self.push_frame(frame, direction)


async def run_bot(websocket: WebSocket, mark: str) -> None:
    await everywhere(NOBODY, "before the observer is made")
    observer = SHARED or DatadogObserver(session_id=mark)
    # Of one that all calls share only the pipeline's work is known.
    own = NOBODY if IS_SHARED else mark
    await everywhere(own, "the bot function")
    transport = FastAPIWebsocketTransport(
        websocket,
        FastAPIWebsocketParams(serializer=ProtobufFrameSerializer(), audio_out_enabled=True),
    )
    llm = OpenAILLMService(
        api_key="any",
        base_url=os.environ["PROVIDER"],
        settings=OpenAILLMService.Settings(model="gpt-4.1"),
    )
    pair = LLMContextAggregatorPair(LLMContext())
    worker = PipelineWorker(
        Pipeline(
            [transport.input(), pair.user(), llm, Works(mark), transport.output(), pair.assistant()]
        ),
        observers=[observer],
        idle_timeout_secs=60,
    )

    @transport.event_handler("on_client_connected")
    async def connected(*_: object) -> None:
        await everywhere(mark, "somebody is connected")
        message = {"role": "user", "content": f"I am {mark}"}
        await worker.queue_frame(LLMMessagesAppendFrame([message], run_llm=True))

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await runner.run()
    await everywhere(own, "after the run")


async def job() -> None:
    """Do something that is of no call, for as long as the server runs."""
    while True:
        await everywhere(NOBODY, "a nightly job")
        await asyncio.sleep(0.05)


@asynccontextmanager
async def lifespan(_: FastAPI) -> Any:
    global together
    together = asyncio.Barrier(CALLS)
    task = asyncio.create_task(job())
    yield
    task.cancel()


app = FastAPI(lifespan=lifespan)


@app.get("/ready")
async def ready(later: BackgroundTasks) -> dict[str, bool]:
    await everywhere(NOBODY, "a health check")
    later.add_task(everywhere, NOBODY, "after a health check")
    return {"ok": True}


@app.get("/health")
def health() -> dict[str, bool]:
    write(NOBODY, "a synchronous health check")
    in_a_thread(NOBODY, "a synchronous health check, in a thread")
    return {"ok": True}


@app.websocket("/call/{mark}")
async def call(websocket: WebSocket, mark: str) -> None:
    await websocket.accept()
    await run_bot(websocket, mark)


class Server(uvicorn.Server):
    async def startup(self, *args: Any, **kwargs: Any) -> None:
        await super().startup(*args, **kwargs)
        port = self.servers[0].sockets[0].getsockname()[1]
        print(f"port {port}", flush=True)  # noqa: T201


if __name__ == "__main__":
    config = uvicorn.Config(app, port=0, log_config=None, ws="websockets", loop=sys.argv[1])
    logger.info("the server starts")
    Server(config).run()

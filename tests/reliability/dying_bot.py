"""A bot that speaks, and then ends in the way that its command line says."""

import asyncio
import os
import signal
import sys
import threading
from typing import Any

from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    EndFrame,
    TTSSpeakFrame,
)
from pipecat.observers.base_observer import BaseObserver, FramePushed
from pipecat.pipeline.pipeline import Pipeline
from pipecat.transports.base_transport import TransportParams

from pipecat_dd import DatadogObserver
from pipecat_dd.demo.versions import PipelineWorker, WorkerRunner, split_sentences_offline
from tests.support.bot import QuickOutput
from tests.support.scripted import ScriptedTTS


class Watch(BaseObserver):
    """Tells when the bot begins and ends to speak."""

    def __init__(self) -> None:
        super().__init__()
        self.speaks = asyncio.Event()
        self.silent = asyncio.Event()

    async def on_push_frame(self, data: FramePushed) -> None:
        if isinstance(data.frame, BotStartedSpeakingFrame):
            self.speaks.set()
        if isinstance(data.frame, BotStoppedSpeakingFrame):
            self.silent.set()


def say(word: str) -> None:
    print(word, flush=True)  # noqa: T201 - the test reads it


class SlowTTS(ScriptedTTS):
    """Speaks for a minute."""

    async def run_tts(self, text: str, context_id: str) -> Any:
        for _ in range(600 if text == "long" else 1):
            async for frame in super().run_tts(text, context_id):
                yield frame


def start(session_id: str | None = None) -> tuple[Any, Any, Watch]:
    watch = Watch()
    worker = PipelineWorker(
        Pipeline([SlowTTS(), QuickOutput(TransportParams(audio_out_enabled=True))]),
        observers=[
            watch,
            DatadogObserver(session_id=session_id, turn_end_timeout_secs=0.2),
        ],
        # asyncio.run() cancels the processors' tasks too, and Pipecat then waits for a
        # CancelFrame that nobody passes on.
        cancel_timeout_secs=0.5,
    )
    runner = WorkerRunner(handle_sigint=False)
    return worker, runner, watch


async def main(way: str) -> None:
    worker, runner, watch = start()
    loop = asyncio.get_running_loop()
    handled = asyncio.Event()
    for number in {"sigint": [signal.SIGINT], "handler": [signal.SIGTERM]}.get(way, []):
        loop.add_signal_handler(number, handled.set)
    await runner.add_workers(worker)
    running = asyncio.create_task(runner.run())
    await worker.queue_frame(TTSSpeakFrame("short" if way in ("sigkill", "fork") else "long"))
    await watch.speaks.wait()
    if way in ("sigkill", "fork"):
        await watch.silent.wait()
        say("turn over")
    else:
        say("speaking")
    if way == "sys.exit":
        sys.exit(3)
    if way == "exception":
        raise RuntimeError("the bot is broken")
    if way == "loop closes":
        loop.stop()
        await asyncio.Event().wait()
    if way in ("sigint", "handler"):
        await handled.wait()
        say("handled")
        await worker.cancel()
        await running
        return
    if way == "fork":
        child = os.fork()
        if child == 0:
            threading.Thread(target=in_child).start()
            return
        await asyncio.to_thread(os.waitpid, child, 0)
        await worker.queue_frame(EndFrame())
        await running
        say("forked")
        return
    await asyncio.Event().wait()


def in_child() -> None:
    async def talk() -> None:
        worker, runner, watch = start(f"{os.environ['PIPECAT_DD_SESSION_ID']}-child")
        await runner.add_workers(worker)
        running = asyncio.create_task(runner.run())
        await worker.queue_frame(TTSSpeakFrame("short"))
        await watch.silent.wait()
        await worker.queue_frame(EndFrame())
        await running

    asyncio.run(talk())
    from ddtrace.trace import tracer

    tracer.flush()
    os._exit(0)


if __name__ == "__main__":
    split_sentences_offline()
    if sys.argv[1] == "loop closes":
        loop = asyncio.new_event_loop()
        running_main = loop.create_task(main(sys.argv[1]))
        loop.run_forever()
        assert not running_main.done()
        sys.exit(0)
    asyncio.run(main(sys.argv[1]))

"""A bot that speaks, and then ends in the way that its command line says.

``python -m tests.reliability.dying_bot <way> [plain]``; without an observer where it is ``plain``.
"""

import asyncio
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
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
from pipecat_dd.cli.demo.versions import PipelineWorker, WorkerRunner, split_sentences_offline
from tests.support.bot import QuickOutput
from tests.support.ports import free_server_port
from tests.support.scripted import ScriptedTTS

PLAIN = "plain" in sys.argv


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


class Running:
    """A bot that runs."""

    def __init__(self, session_id: str | None = None, **runner: bool) -> None:
        self.watch = Watch()
        ours = [] if PLAIN else [DatadogObserver(session_id=session_id, turn_end_timeout_secs=0.2)]
        self.worker = PipelineWorker(
            Pipeline([SlowTTS(), QuickOutput(TransportParams(audio_out_enabled=True))]),
            observers=[self.watch, *ours],
            # asyncio.run() cancels the processors' tasks too, and Pipecat then waits for a
            # CancelFrame that nobody passes on.
            cancel_timeout_secs=0.5,
        )
        self.runner = WorkerRunner(**{"handle_sigint": False, **runner})
        self.task: asyncio.Task[None] | None = None

    async def start(self, text: str) -> None:
        """Speak, and return when that is heard."""
        await self.runner.add_workers(self.worker)
        self.task = asyncio.create_task(self.runner.run())
        await self.worker.queue_frame(TTSSpeakFrame(text))
        await self.watch.speaks.wait()

    async def end(self) -> None:
        """End in order."""
        assert self.task is not None
        await self.worker.queue_frame(EndFrame())
        await self.task


def goes_on() -> None:
    """Say that the process goes on, and wait to be told to end."""
    say("goes on")
    sys.stdin.readline()


async def main(way: str) -> None:
    def handled(*_: Any) -> None:
        say("handled")

    if way == "nobody handles it":
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if way == "handled before":
        signal.signal(signal.SIGTERM, lambda *_: (handled(), sys.exit(5)))
    bot = Running(**{way: True} if way in ("handle_sigint", "handle_sigterm") else {})
    if way == "handled after":
        previous: Any = signal.getsignal(signal.SIGTERM)

        def handle(number: int, frame: Any) -> None:
            handled()
            if callable(previous):
                previous(number, frame)
            else:  # ddtrace 4.0 handles no signal: without us, nobody does
                signal.signal(number, previous)
                signal.raise_signal(number)

        signal.signal(signal.SIGTERM, handle)
    told = asyncio.Event()
    number = {"loop handles sigint": signal.SIGINT, "loop handles sigterm": signal.SIGTERM}
    if way in number:
        asyncio.get_running_loop().add_signal_handler(number[way], told.set)
    short = way in ("sigkill", "fork")
    await bot.start("short" if short else "long")
    assert bot.task is not None
    if short:
        await bot.watch.silent.wait()
    say("turn over" if short else "speaking")
    if way == "sys.exit":
        sys.exit(3)
    if way == "exception":
        raise RuntimeError("the bot is broken")
    if way in ("loop stops", "loop closes"):
        asyncio.get_running_loop().stop()
    if way == "cancelled runner":
        bot.task.cancel()
        await asyncio.wait([bot.task])
        await asyncio.to_thread(goes_on)
        return
    if way in number:
        await told.wait()
        handled()
        await bot.worker.cancel()
    if way == "fork":
        child = os.fork()
        if child == 0:
            threading.Thread(target=in_child).start()
            return
        await asyncio.to_thread(os.waitpid, child, 0)
        await bot.worker.queue_frame(EndFrame())
        await bot.task
        say("forked")
    await bot.task


def in_child() -> None:
    async def talk() -> None:
        bot = Running(f"{os.environ['PIPECAT_DD_SESSION_ID']}-child")
        await bot.start("short")
        await bot.watch.silent.wait()
        await bot.end()

    asyncio.run(talk())
    from ddtrace.trace import tracer

    tracer.flush()
    os._exit(0)


# A process for each bot


def child(way: str, session_id: str, speaking: Any) -> None:
    """Run in a process of its own that `multiprocessing` makes."""

    async def talk() -> None:
        bot = Running(session_id)
        await bot.start("short" if way == "ends" else "long")
        speaking.set()
        if way == "fails":
            raise RuntimeError("the bot is broken")
        if way == "ends":
            await bot.watch.silent.wait()
            await bot.end()
        await asyncio.Event().wait() if way == "terminated" else None

    split_sentences_offline()
    if way == "fails":
        # asyncio.run() would wait for tasks that Pipecat does not let go of.
        loop = asyncio.new_event_loop()
        loop.run_until_complete(talk())
    asyncio.run(talk())


def family(method: str) -> None:
    context: Any = multiprocessing.get_context(method)
    started = []
    for way in ("ends", "fails", "terminated"):
        speaking = context.Event()
        session_id = f"{os.environ['PIPECAT_DD_SESSION_ID']}-{way}"
        process = context.Process(target=child, args=(way, session_id, speaking))
        process.start()
        started.append((way, process, speaking))
    for way, process, speaking in started:
        speaking.wait()
        if way == "terminated":
            process.terminate()
        process.join()
    say("children ended")


# A server


def serve() -> None:
    import uvicorn

    bots: list[Any] = []

    async def app(scope: Any, receive: Callable[..., Any], send: Callable[..., Any]) -> None:
        while scope["type"] == "lifespan":
            message = await receive()
            if message["type"] == "lifespan.startup":
                bots.append(Running())
                await bots[0].start("long")
                say("speaking")
            else:
                say("handled")
            await send({"type": f"{message['type']}.complete"})

    uvicorn.run(app, port=free_server_port(), log_level="critical")


def by_hand(way: str) -> None:
    """Run an event loop that is stopped while the bot speaks."""
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(main(way))
    except RuntimeError:  # "Event loop stopped before Future completed."
        if way == "loop stops":
            sys.exit(0)
        loop.close()
        goes_on()


if __name__ == "__main__":
    split_sentences_offline()
    way = sys.argv[1]
    if way in ("fork children", "spawn children"):
        family(way.partition(" ")[0])
    elif way == "uvicorn":
        serve()
    elif way.startswith("loop stops") or way == "loop closes":
        by_hand(way)
    else:
        asyncio.run(main(way))

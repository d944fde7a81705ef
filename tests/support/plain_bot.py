"""A bot as somebody else wrote it, run as a program: ``python -m tests.support.plain_bot``.

By default it has no line of ours. Its arguments say what it has of its own.
"""

import argparse
import asyncio
import logging
import os
import signal
import sys
import warnings
from typing import Any

from loguru import logger
from pipecat.frames.frames import EndFrame, StartFrame

from pipecat_dd.cli.demo.versions import WorkerRunner, split_sentences_offline

ARGUMENTS = argparse.ArgumentParser()
ARGUMENTS.add_argument("--logging", default="", help="sink, basic, configured")
ARGUMENTS.add_argument("--calls", default="plain", help="what each call has; all at once")
ARGUMENTS.add_argument("--turns", type=int, default=1)
ARGUMENTS.add_argument("--end", default="", help="fails, killed, waits, or ignores a Ctrl-C")


def own_logging(kind: str) -> None:
    if "sink" in kind:
        logger.remove(0)
        logger.add(sys.stderr, level="INFO", format="OWN {level} {message} {extra}")
    if "configured" in kind:
        from pipecat_dd import configure_logging

        configure_logging(sys.stdout, level="INFO")
    if "basic" in kind:
        logging.basicConfig(level=logging.INFO, format="BASIC %(message)s", stream=sys.stderr)


def own_observers(kind: str) -> list[Any]:
    if kind in ("plain", "pair"):
        return []
    from pipecat_dd import DatadogObserver

    class Mine(DatadogObserver):
        pass

    if kind == "class":
        return [DatadogObserver]
    return [Mine(name=kind) if kind == "subclass" else DatadogObserver(name=kind)]


async def run_call(kind: str, turns: int, end: str) -> None:
    """Run a call, as a bot's function does: it awaits its runner itself."""
    from tests.support.bot import Bot

    own = own_observers(kind)
    bot = Bot(*([] if kind == "later" else own))
    async with bot.provider:
        worker = bot.build(bot.provider.url)
        runner = WorkerRunner(handle_sigint=end == "waits")
        await runner.add_workers(worker)
        workers = [worker]
        if kind == "pair":
            workers.append(_second_worker())
            await runner.add_workers(workers[1])
        talking = asyncio.create_task(talk(bot, own if kind == "later" else [], turns, end))
        talking.add_done_callback(lambda _: [_end(worker) for worker in workers])
        await runner.run()
        logger.info(f"{kind} is over")
        talking.cancel()


_ending: set[asyncio.Task[None]] = set()


def _end(worker: Any) -> None:
    _ending.add(asyncio.ensure_future(worker.queue_frames([EndFrame()])))


def _second_worker() -> Any:
    from pipecat.pipeline.pipeline import Pipeline
    from pipecat.processors.filters.identity_filter import IdentityFilter

    from pipecat_dd.cli.demo.versions import PipelineWorker

    return PipelineWorker(Pipeline([IdentityFilter()]), name="second")


async def talk(bot: Any, late: list[Any], turns: int, end: str) -> None:
    await bot.until(StartFrame)
    for observer in late:
        bot.worker.add_observer(observer)
    for _ in range(turns):
        await bot.ask("How are you?")
    logging.getLogger("bot.logging").warning("a warning of logging")
    logging.getLogger("bot.logging").info("an info of logging")
    _say("TALKED")
    if end == "waits":
        await asyncio.sleep(60)


def _say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


async def run_calls(given: argparse.Namespace) -> None:
    kinds = given.calls.split(",")
    await asyncio.gather(*(run_call(kind, given.turns, given.end) for kind in kinds))


def main() -> None:
    given = ARGUMENTS.parse_args()
    split_sentences_offline()
    warnings.simplefilter("ignore")
    own_logging(given.logging)
    asyncio.run(run_calls(given))
    _say("END")
    if given.end == "fails":
        sys.exit(7)
    if given.end == "killed":
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()

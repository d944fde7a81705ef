"""A bot without a line of ours, run as a program: ``python -m tests.support.plain_bot``.

What it has of its own is said by its arguments, in one word each.
"""

import asyncio
import contextlib
import logging
import os
import signal
import sys
import warnings
from typing import Any

from loguru import logger

from pipecat_dd.cli.demo.versions import split_sentences_offline

OWN = set(sys.argv[1:])


def own_logging() -> None:
    if "sink" in OWN:
        logger.remove()
        logger.add(sys.stderr, level="DEBUG", format="OWN {level} {message}")
    if "configured" in OWN:
        from pipecat_dd import configure_logging

        configure_logging(sys.stdout, level="DEBUG")
    if "basic" in OWN:
        logging.basicConfig(level=logging.INFO, format="BASIC %(message)s", stream=sys.stderr)


def observers() -> list[Any]:
    if not OWN & {"observer", "class", "subclass", "later"}:
        return []
    from pipecat_dd import DatadogObserver

    class Mine(DatadogObserver):
        pass

    if "class" in OWN:
        return [DatadogObserver]
    return [Mine(name="own")] if "subclass" in OWN else [DatadogObserver(name="own")]


async def call(number: int) -> None:
    from tests.support.bot import Bot

    own = observers()
    logger.info(f"call {number} is set up")
    async with Bot(*([] if "later" in OWN else own)) as bot:
        if "later" in OWN:
            bot.worker.add_observer(own[0])
        await bot.ask("How are you?")
        logging.getLogger("bot.logging").warning("a warning of logging")
        logging.getLogger("bot.logging").info("an info of logging")
        if "long" in OWN:
            print("LONG", flush=True)
            await asyncio.sleep(60)
        await bot.ask("And now?")
        await bot.end()
        logger.info(f"call {number} has ended")
    logger.info(f"call {number} is over")


def main() -> None:
    split_sentences_offline()
    warnings.simplefilter("ignore")
    own_logging()
    if "stubborn" in OWN:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    for word in OWN:
        if word.startswith("calls="):
            for number in range(int(word.partition("=")[2])):
                asyncio.run(call(number))
            break
    else:
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(call(0))
    print("END", os.getppid(), flush=True)
    if "fails" in OWN:
        sys.exit(7)
    if "killed" in OWN:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()

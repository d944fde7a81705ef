"""A program that logs, and then ends in the way that its command line says."""

import asyncio
import atexit
import multiprocessing
import os
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

from loguru import logger

from pipecat_dd import configure_logging
from pipecat_dd.export.shipping import shipping_counts


def say(word: str) -> None:
    print(word, flush=True)  # noqa: T201 - the test reads it


def tell_counts() -> None:
    found = shipping_counts()
    say(f"counts {found.written} {found.shipped} {found.dropped_in_all} {found.spooled}")


def in_child(name: str) -> None:
    logger.info(name)
    say(f"child {shipping_counts().written}")


async def work() -> None:
    for number in range(100):
        logger.info(f"line {number}")
    say("working")
    await asyncio.Event().wait()


def main(way: str) -> None:
    # Registered before configure_logging's: it is called after it.
    atexit.register(tell_counts)
    configure_logging(os.devnull)
    logger.info("first")
    ways: dict[str, Callable[[], Any]] = {
        "returns": lambda: None,
        "raises": lambda: 1 / 0,
        "is told to terminate": lambda: asyncio.run(work()),
        "is killed": lambda: asyncio.run(work()),
        "forks": fork,
        "multiprocessing": in_a_process,
        "observer": with_an_observer,
    }
    ways[way]()
    logger.info("last")


def fork() -> None:
    # Python 3.12 and later warn of a fork with threads, in a line of its own.
    warnings.simplefilter("ignore", DeprecationWarning)
    child = os.fork()
    if child == 0:
        in_child("in the child")
        sys.exit(0)
    os.waitpid(child, 0)


def in_a_process() -> None:
    process = multiprocessing.get_context("fork").Process(target=in_child, args=("in the process",))
    process.start()
    process.join()


def with_an_observer() -> None:
    from pipecat_dd import DatadogObserver

    observer = DatadogObserver(session_id="the-session")
    logger.info("in the session")
    say("working")
    time.sleep(60)
    del observer


if __name__ == "__main__":
    main(sys.argv[1])

"""Short calls, and lines that say whose they are, to hold against what they carry."""

import asyncio
from collections.abc import Iterable
from typing import Any

from loguru import logger
from pipecat.frames.frames import EndFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.processors.filters.identity_filter import IdentityFilter

from pipecat_dd.cli.demo.versions import PipelineWorker, WorkerRunner

NOBODY = "none"


def write(whose: object, text: str) -> None:
    """Write a line that says whose it is."""
    logger.info(f"⟨{whose}⟩ {text}")


def name(number: object) -> str:
    """Return the session id of a call."""
    return f"call-{number}"


def worker_with(*observers: Any, ends: bool = True) -> Any:
    """Return a worker with the smallest of pipelines; it ends as soon as it has begun."""
    worker = PipelineWorker(Pipeline([IdentityFilter()]), observers=list(observers))
    if ends:
        asyncio.get_running_loop().create_task(worker.queue_frames([EndFrame()]))
    return worker


async def run(*workers: Any) -> None:
    """Run workers to their end."""
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(*workers)
    await runner.run()


def wrong(lines: Iterable[dict[str, Any]]) -> list[str]:
    """Return what is wrong of the lines that say whose they are."""
    found = []
    for line in lines:
        if not line["message"].startswith("⟨"):
            continue
        whose = line["message"][1:].partition("⟩")[0]
        expected = None if whose == NOBODY else whose
        if line.get("session_id") != expected:
            found.append(f"{line['message']!r} carries {line.get('session_id')}")
    return found


def count(lines: Iterable[dict[str, Any]]) -> int:
    """Return how many lines say whose they are."""
    return sum(line["message"].startswith("⟨") for line in lines)

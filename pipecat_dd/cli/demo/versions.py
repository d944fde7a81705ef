"""The parts of Pipecat that the demo's bot needs and that have changed since version 1.0."""

import asyncio
import re
from importlib.metadata import version
from typing import Any

import pipecat.utils.string as pipecat_strings

try:
    from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
    from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
except ImportError:  # before 1.14
    from pipecat.adapters.schemas.function_schema import FunctionSchema
    from pipecat.adapters.schemas.tools_schema import ToolsSchema

try:
    from pipecat.transports.websocket.server import (
        SingleClientWebsocketServerParams,
        SingleClientWebsocketServerTransport,
    )
except ImportError:  # older versions have a different name
    from pipecat.transports.websocket.server import (
        WebsocketServerParams as SingleClientWebsocketServerParams,
    )
    from pipecat.transports.websocket.server import (
        WebsocketServerTransport as SingleClientWebsocketServerTransport,
    )

try:
    from pipecat.pipeline.worker import PipelineParams, PipelineWorker
    from pipecat.workers.runner import WorkerRunner
except ImportError:  # before 1.3
    from pipecat.pipeline.runner import PipelineRunner
    from pipecat.pipeline.task import PipelineParams
    from pipecat.pipeline.task import PipelineTask as PipelineWorker

    class WorkerRunner:  # type: ignore[no-redef]
        """The interface of ``WorkerRunner`` on top of ``PipelineRunner``, its predecessor."""

        def __init__(self, *, handle_sigint: bool = True) -> None:
            self._runner = PipelineRunner(handle_sigint=handle_sigint)
            self._workers: list[Any] = []

        async def add_workers(self, *workers: Any) -> None:
            """Add workers to run."""
            self._workers.extend(workers)

        async def run(self) -> None:
            """Run all workers until they have ended."""
            if len(self._workers) == 1:  # in the caller's own task, as Pipecat itself does
                await self._runner.run(self._workers[0])
                return
            await asyncio.gather(*(self._runner.run(worker) for worker in self._workers))


PRIVATE: dict[str, str] = {
    "string._sent_tokenizer": "Pipecat's loader of NLTK's sentence splitter, replaced so that it "
    "downloads nothing (1.8 to 1.11)",
}
"""The private names that this module uses, and what for."""

__all__ = [
    "FunctionSchema",
    "PipelineParams",
    "PipelineWorker",
    "SingleClientWebsocketServerParams",
    "SingleClientWebsocketServerTransport",
    "ToolsSchema",
    "WorkerRunner",
    "split_sentences_offline",
]


def _sentences(text: str) -> list[str]:
    return re.split(r"(?<=[.!?])\s+", text)


def split_sentences_offline() -> None:
    """Prevent Pipecat before 1.12 from downloading NLTK's sentence splitter.

    The demo must run without network. Pipecat includes the splitter since version 1.12.
    """
    major, minor = version("pipecat-ai").split(".")[:2]
    if (int(major), int(minor)) >= (1, 12):
        return
    strings: Any = pipecat_strings
    if hasattr(strings, "sent_tokenize"):
        strings.sent_tokenize = _sentences
    else:
        strings._sent_tokenizer = lambda: _sentences

"""Observes a bot whose code does not use pipecat_dd.

Pipecat runs this file in a bot's process where the environment names it::

    PIPECAT_SETUP_FILES="$(pipecat-dd setup-file)" python bot.py

Pipecat loads it by its path, up to version 1.2 anew for each conversation, so it keeps nothing
itself. Whatever goes wrong here, the bot runs on without us.
"""

import asyncio
import sys
from importlib import import_module
from typing import Any, Final

VIEW_URL: Final = "_PIPECAT_DD_VIEW_URL"
"""The variable in which ``pipecat-dd view`` names the URL that takes lines."""
VIEW_KEY: Final = "_PIPECAT_DD_VIEW_KEY"
"""The variable with the key that it takes them with."""
_PACKAGE: Final = "pipecat_dd"
_AUTOMATIC = f"{_PACKAGE}.automatic"


async def setup_worker_runner(runner: Any) -> None:
    """Called by Pipecat from 1.3 on, before a runner's workers start."""
    await _call("observe_runner", runner)


async def setup_pipeline_worker(worker: Any) -> None:
    """Called by Pipecat before the observers of a worker are set up."""
    await _call("observe_worker", worker)


async def setup_pipeline_task(task: Any) -> None:
    """Called by Pipecat before 1.3, where workers are called tasks."""
    await _call("observe_worker", task)


async def _call(function: str, target: Any) -> None:
    try:
        ours = sys.modules.get(_AUTOMATIC)
        if not getattr(ours, "IS_READY", False):
            # In a thread: ddtrace takes a second to import, and in the main thread it would
            # replace the signal handlers with which the runner ends the bot in order. Of several
            # conversations that begin together, each waits until the import is done.
            ours = await asyncio.to_thread(import_module, _AUTOMATIC)
        getattr(ours, function)(target)
    except Exception as error:
        _report(error)


def _report(error: Exception) -> None:
    try:
        from loguru import logger

        kind = type(error).__qualname__
        missing = (isinstance(error, ImportError) and error.name) or ""
        hint = f" of {missing}" if missing else ""
        # `uvx pipecat-dd view`, pipx: the command has an environment that is not the bot's.
        advice = (
            ". Install pipecat-dd in the environment that the bot runs in"
            if missing.partition(".")[0] == _PACKAGE
            else ""
        )
        logger.warning(f"pipecat_dd: this conversation is not observed ({kind}{hint}){advice}")
    except Exception:
        return

"""Staying in force through Pipecat's development runner.

``pipecat.runner.run.main()`` begins with ``logger.remove()`` and a plain sink to standard
error at DEBUG, after a bot's module, and with it ``configure_logging()``, has run. Nobody who
wrote that call meant it to last until there; and what the runner puts in its place prints
whole conversations. So that one ``remove()`` is undone, and the sink that follows it taken
off. Any other ``logger.remove()`` is the user's word and stands.

It is noticed by a handler that writes nothing: Loguru tells a sink when it is removed. It does
so with its own lock held, so what is to be done about it is done a moment later, from a thread
that lives until then.
"""

import contextlib
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

from loguru import logger

from pipecat_dd import _loguru
from pipecat_dd.export.logs import default_handler

_RUNNER: Final = "pipecat.runner.run"
_NEVER: Final = 2**31
"""A severity that no record has: the handler is there to be removed, not to write."""
_PATIENCE_SECS: Final = 1.0
_GLANCE_SECS: Final = 0.001


class _Watcher:
    """A sink that writes nothing and tells when it is removed, by the runner or by others."""

    name = "pipecat_dd: stays through Pipecat's development runner"

    def __init__(self, restore: Callable[[], bool], removed: Callable[[], None]) -> None:
        self._restore = restore
        self._removed = removed

    def write(self, message: str) -> None:
        """Write nothing."""

    def stop(self) -> None:
        """Called by Loguru, with its lock held, when the handler is removed."""
        if not _asked_by_runner(sys._getframe(1)):
            self._removed()
            return
        threading.Thread(
            target=_put_back,
            args=(self._restore, _loguru.next_handler_id()),
            name="pipecat-dd-restore-logging",
            daemon=True,
        ).start()


def watch(restore: Callable[[], bool], removed: Callable[[], None]) -> int:
    """Call ``restore`` after the development runner has removed Loguru's handlers.

    Args:
        restore: Called once, from another thread; returns whether it restored something.
        removed: Called when it is not the runner that removes this one, with Loguru's lock held.

    Returns:
        The id of the Loguru handler that watches; remove it to stop watching.
    """
    sink: Any = _Watcher(restore, removed)
    return logger.add(sink, level=_NEVER, format="", colorize=False)


def _asked_by_runner(frame: FrameType | None) -> bool:
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if not name.startswith(("loguru", __name__, default_handler.__name__)):
            # Run by ``python -m`` the runner is named __main__, but its spec is not.
            spec = frame.f_globals.get("__spec__")
            return _RUNNER in (name, getattr(spec, "name", None))
        frame = frame.f_back
    return False


def _put_back(restore: Callable[[], bool], next_id: int | None) -> None:
    # The runner's own sink is the next handler that is added, by its next statement.
    deadline = time.monotonic() + _PATIENCE_SECS
    while next_id is not None and not _loguru.has_handler(next_id):
        if time.monotonic() > deadline:
            next_id = None
            break
        time.sleep(_GLANCE_SECS)
    if restore() and next_id is not None and _loguru.writes_to_stderr(next_id):
        with contextlib.suppress(ValueError):  # removed meanwhile
            logger.remove(next_id)

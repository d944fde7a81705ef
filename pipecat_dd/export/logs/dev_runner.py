"""Restores our handler after Pipecat's development runner has removed it.

``pipecat.runner.run.main()`` begins with ``logger.remove()`` and adds a plain sink to standard
error at DEBUG. It does so after the bot's module has run, and with it ``configure_logging()``. The
user did not intend that, and the runner's sink prints whole conversations. So that one
``remove()`` is undone and the runner's sink removed. Any other ``logger.remove()`` is the user's
own and has its effect.

A handler that writes nothing notices the removal, since Loguru calls a sink's ``stop`` then. It
does so while it holds its lock, so a short-lived thread restores our handler a moment later.
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
"""A severity that no record has, since the handler should write nothing."""
_TIMEOUT_SECS: Final = 1.0
_POLL_SECS: Final = 0.001


class _Watcher:
    """A sink that writes nothing and notices when it is removed, by the runner or by others."""

    name = "pipecat_dd: restores logging after Pipecat's development runner"

    def __init__(self, restore: Callable[[], bool], removed: Callable[[], None]) -> None:
        self._restore = restore
        self._removed = removed

    def write(self, message: str) -> None:
        """Write nothing."""

    def stop(self) -> None:
        """Called by Loguru when the handler is removed, while Loguru holds its lock."""
        if not _is_called_by_runner(sys._getframe(1)):
            self._removed()
            return
        threading.Thread(
            target=_restore,
            args=(self._restore, _loguru.next_handler_id()),
            name="pipecat-dd-restore-logging",
            daemon=True,
        ).start()


def watch(restore: Callable[[], bool], removed: Callable[[], None]) -> int:
    """Call ``restore`` after the development runner has removed Loguru's handlers.

    Args:
        restore: Called once, in another thread; returns whether it restored something.
        removed: Called when other code removes the watching handler, while Loguru holds its lock.

    Returns:
        Loguru's id of the watching handler; remove it to stop watching.
    """
    sink: Any = _Watcher(restore, removed)
    return logger.add(sink, level=_NEVER, format="", colorize=False)


def _is_called_by_runner(frame: FrameType | None) -> bool:
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if not name.startswith(("loguru", __name__, default_handler.__name__)):
            # With ``python -m`` the runner's name is __main__, but its spec has the real name.
            spec = frame.f_globals.get("__spec__")
            return _RUNNER in (name, getattr(spec, "name", None))
        frame = frame.f_back
    return False


def _restore(restore: Callable[[], bool], next_id: int | None) -> None:
    # The runner's next statement adds its own sink, which gets the next id.
    deadline = time.monotonic() + _TIMEOUT_SECS
    while next_id is not None and not _loguru.has_handler(next_id):
        if time.monotonic() > deadline:
            next_id = None
            break
        time.sleep(_POLL_SECS)
    if restore() and next_id is not None and _loguru.writes_to_stderr(next_id):
        with contextlib.suppress(ValueError):  # it was removed in the meantime
            logger.remove(next_id)

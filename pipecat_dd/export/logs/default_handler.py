"""Removes and restores Loguru's default handler, which has the id 0.

Many scripts, Pipecat's examples among them, begin with ``logger.remove(0)``. Loguru would raise
if we have removed that handler before. So ``remove`` is patched to ignore that call: the handler
is already gone, as the script wants. If Loguru adds no default handler
(``LOGURU_AUTOINIT=false``), the handler with id 0 is the user's and is left alone.
"""

import sys
from functools import wraps
from typing import Any

from loguru import logger

from pipecat_dd import _loguru

_FIRST_ID = 0

_id: int | None = _FIRST_ID
"""Loguru's id of the handler. It changes when the handler is restored, and is None once the user
has removed it."""
_is_removed = False
"""Whether we have removed it."""
_is_patched = False
_removed_with_all = False
"""Whether we had removed it when all handlers were removed."""


def remove() -> None:
    """Remove Loguru's default handler if it exists. Does nothing on later calls."""
    global _is_removed
    if _is_removed or _id is None:
        return
    if _id == _FIRST_ID and not _loguru.adds_default_handler():
        return
    try:
        logger.remove(_id)
    except ValueError:  # the user has removed it
        return
    _is_removed = True
    _patch_remove()


def restore() -> None:
    """Add Loguru's default handler again if we have removed it and the user has not."""
    global _id, _is_removed
    if _is_removed:
        _is_removed = False
        _id = logger.add(sys.stderr)


def keep_restorable() -> None:
    """Ignore the last removal of all handlers, which was the development runner's."""
    global _id, _is_removed, _removed_with_all
    if _removed_with_all:
        _id, _is_removed, _removed_with_all = _FIRST_ID, True, False


def _patch_remove() -> None:
    """Have ``logger.remove(0)`` mean the default handler, removed or restored."""
    global _is_patched
    if _is_patched:
        return
    _is_patched = True
    kind: Any = type(logger)
    before = kind.remove

    @wraps(before)
    def remove(self: Any, handler_id: int | None = None) -> None:
        global _id, _is_removed, _removed_with_all
        if handler_id is None and _is_removed:
            # All handlers are removed, and the default handler would be one of them.
            _id, _is_removed, _removed_with_all = None, False, True
        if type(handler_id) is int and handler_id == _FIRST_ID and _id is not None:
            if _is_removed:
                _id, _is_removed = None, False
                return
            handler_id = _id
        before(self, handler_id)

    kind.remove = remove

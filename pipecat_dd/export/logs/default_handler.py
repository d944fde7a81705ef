"""Loguru's own first handler, which has the id 0: taken away, and put back.

Many scripts, Pipecat's examples among them, begin with ``logger.remove(0)``. Where we have taken
that handler away before, Loguru would raise: what the script asks for is already so, and it goes
on. A first handler that the user has added (``LOGURU_AUTOINIT=false``) is theirs, whatever its id.
"""

import sys
from functools import wraps
from typing import Any

from loguru import logger

from pipecat_dd import _loguru

_FIRST_ID = 0

_id: int | None = _FIRST_ID
"""Loguru's id of it: another one, once it has been put back; None once the user has removed it."""
_is_away = False
_is_borne = False
_removed_with_all = False
"""Whether it was away when all handlers were removed."""


def take_away() -> None:
    """Remove Loguru's own handler, if it is there. Does nothing the second time."""
    global _is_away
    if _is_away or _id is None:
        return
    if _id == _FIRST_ID and not _loguru.has_first_handler_of_its_own():
        return
    try:
        logger.remove(_id)
    except ValueError:  # the user has removed it
        return
    _is_away = True
    _bear_its_removal()


def put_back() -> None:
    """Add Loguru's own handler again, if it was taken away and the user has not removed it."""
    global _id, _is_away
    if _is_away:
        _is_away = False
        _id = logger.add(sys.stderr)


def stays_to_be_put_back() -> None:
    """Count it as only taken away by us: it was not the user who removed all handlers."""
    global _id, _is_away, _removed_with_all
    if _removed_with_all:
        _id, _is_away, _removed_with_all = _FIRST_ID, True, False


def _bear_its_removal() -> None:
    """Have ``logger.remove(0)`` mean the handler that we have taken away, or put back."""
    global _is_borne
    if _is_borne:
        return
    _is_borne = True
    kind: Any = type(logger)
    before = kind.remove

    @wraps(before)
    def remove(self: Any, handler_id: int | None = None) -> None:
        global _id, _is_away, _removed_with_all
        if handler_id is None and _is_away:
            # All that there are, and this would be one.
            _id, _is_away, _removed_with_all = None, False, True
        if type(handler_id) is int and handler_id == _FIRST_ID and _id is not None:
            if _is_away:
                _id, _is_away = None, False
                return
            handler_id = _id
        before(self, handler_id)

    kind.remove = remove

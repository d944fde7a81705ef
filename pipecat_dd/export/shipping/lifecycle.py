"""Starts, replaces and ends the one shipper of this process."""

import threading
from collections.abc import Callable
from multiprocessing import util as multiprocessing_util
from typing import TYPE_CHECKING, Any, Final

from loguru import logger

from pipecat_dd import _exit, _guard
from pipecat_dd._forks import in_forked_processes
from pipecat_dd.export.shipping.counting import COUNTERS
from pipecat_dd.export.shipping.notices import is_ours
from pipecat_dd.export.shipping.settings import Settings
from pipecat_dd.export.shipping.shipper import END_SECS, Shipper
from pipecat_dd.settings.checks import Number

if TYPE_CHECKING:
    from loguru import Record

_KEPT_END_SECS: Final = 0.5
_FLUSH_DEFAULT_SECS: Final = 1.8
_FLUSH_SECS: Final = Number(unit="seconds")
_lock: Final = threading.RLock()
_current: Shipper | None = None
_kept: Final[list[Shipper]] = []
"""Shippers beside the current one, which send elsewhere."""
_is_prepared = False


def shipper_for(settings: Settings) -> Shipper:
    """Return a shipper with these settings: the current one if it has them, else a new one.

    A new shipper does nothing until `use` is called.

    Raises:
        ValueError: The spool's directory cannot be used.
    """
    with _lock:
        if _current is not None and _current.settings == settings:
            return _current
        return Shipper(settings, COUNTERS)


def use(shipper: Shipper | None, *, finished: bool = False) -> None:
    """Ship with this shipper from now on. The previous one sends what it has and stops.

    Waits for the previous one for two seconds at most.

    Args:
        shipper: The new shipper; None to stop shipping.
        finished: Whether `finish` was just called: lines logged since then are not waited for.
    """
    global _current
    with _lock:
        before, _current = _current, shipper
        if shipper is not None:
            with _guard.shipping.guarded():
                _prepare()
                shipper.start()
    if before is not None and before is not shipper:
        with _guard.shipping.guarded():
            before.close(0.0 if finished else END_SECS)


def keep(shipper: Shipper) -> None:
    """Have a shipper send its lines at the process's end too, beside the current one.

    Args:
        shipper: A shipper with counters of its own.
    """
    with _lock:
        _kept.append(shipper)
        with _guard.shipping.guarded():
            _prepare()


def flush_shipping(timeout_secs: float = _FLUSH_DEFAULT_SECS) -> None:
    """Send the lines written so far. This blocks, so never call it on the event loop.

    Lines that cannot be sent in time stay where they are and are sent later.

    Args:
        timeout_secs: How long to wait at most, in seconds, 0 or more. Anything else is reported in
            a log line, and the default is used.
    """
    with _guard.shipping.guarded():
        try:
            timeout_secs = _FLUSH_SECS("timeout_secs", timeout_secs, False)
        except (TypeError, ValueError) as error:
            logger.warning("pipecat_dd: flush_shipping: {}. The default is used", error)
            timeout_secs = _FLUSH_DEFAULT_SECS
        if _current is not None:
            _current.finish(timeout_secs, drop=False)


def finish() -> None:
    """Send all lines before the process ends; spool the rest, or drop it without a spool.

    Waits for two seconds at most.
    """
    with _guard.shipping.guarded():
        if _current is not None:
            _current.finish()
    for shipper in list(_kept):
        with _guard.shipping.guarded():
            shipper.finish(_KEPT_END_SECS)


def tapped(make: Callable[["Record"], str], shipper: Shipper) -> Callable[["Record"], str]:
    """Return a function that makes a record's line and ships it.

    An error of shipping does not affect the line.

    Args:
        make: Makes a record's line.
        shipper: Ships the line.
    """
    put = shipper.put

    def make_and_ship(record: "Record") -> str:
        line = make(record)
        try:
            if not is_ours(record["name"]):
                put(line)
        except Exception as error:
            _guard.shipping.failed(error)
        return line

    return make_and_ship


def _prepare() -> None:
    global _is_prepared
    if _is_prepared:
        return
    _is_prepared = True
    _exit.run_at_exit(finish)
    in_forked_processes(_after_fork)
    _prepare_children()


def _prepare_children() -> None:
    """Have children of ``multiprocessing`` send their lines, too: they run no exit functions.

    The functions used here are undocumented, but as old as the module.
    """
    util: Any = multiprocessing_util

    def in_child(_: object) -> None:
        util.Finalize(None, finish, exitpriority=-1)

    with _guard.shipping.guarded():
        util.register_after_fork(COUNTERS, in_child)


def _after_fork() -> None:
    global _lock
    with _guard.shipping.guarded():
        _lock = threading.RLock()  # type: ignore[misc]
        COUNTERS.reset()
        for shipper in (*_kept, *filter(None, [_current])):
            shipper.after_fork()

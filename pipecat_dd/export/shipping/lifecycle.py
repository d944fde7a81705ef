"""The process's shipper: one, whoever configures logging, until another takes its place."""

import threading
from collections.abc import Callable
from multiprocessing import util as multiprocessing_util
from typing import TYPE_CHECKING, Any, Final

from pipecat_dd import _exit, _guard
from pipecat_dd._forks import in_forked_processes
from pipecat_dd.export.shipping.counting import COUNTERS
from pipecat_dd.export.shipping.notices import is_ours
from pipecat_dd.export.shipping.settings import Settings
from pipecat_dd.export.shipping.shipper import END_SECS, Shipper

if TYPE_CHECKING:
    from loguru import Record

_lock: Final = threading.RLock()
_current: Shipper | None = None
_is_prepared = False


def shipper_for(settings: Settings) -> Shipper:
    """Return a shipper that goes by these settings: the one that runs, or a new one.

    A new one does nothing until `use` is called.

    Args:
        settings: What it goes by.

    Raises:
        ValueError: The spool's directory cannot be used.
    """
    with _lock:
        if _current is not None and _current.settings == settings:
            return _current
        return Shipper(settings, COUNTERS)


def use(shipper: Shipper | None, *, finished: bool = False) -> None:
    """Ship by this one from now on; the one before sends what it has, and ends.

    Waits for that for no longer than two seconds.

    Args:
        shipper: The one; None to ship no more.
        finished: Whether `finish` was called: what has come since is not waited for.
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


def flush(timeout_secs: float = 1.8) -> None:
    """Send what has been written so far. Blocks: never to be called on the event loop.

    What cannot be sent in that time stays where it is, and is sent later.

    Args:
        timeout_secs: How long that may take, in seconds.
    """
    with _guard.shipping.guarded():
        if _current is not None:
            _current.finish(timeout_secs, drop=False)


def finish() -> None:
    """Send what there is, and give what is left then to the spool, or up: the end is near.

    Waits for that for no longer than two seconds.
    """
    with _guard.shipping.guarded():
        if _current is not None:
            _current.finish()


def tapped(make: Callable[["Record"], str], shipper: Shipper) -> Callable[["Record"], str]:
    """Return a function that makes lines and ships them. Shipping never fails the line.

    Args:
        make: Makes a record's line.
        shipper: Gets it.
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
    _exit.do_last(finish)
    in_forked_processes(_after_fork)
    _prepare_children()


def _prepare_children() -> None:
    """Have the children of ``multiprocessing`` send their lines too: they run no exit functions.

    What is used for it is as old as the module, and not in its documentation.
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
        if _current is not None:
            _current.forked()

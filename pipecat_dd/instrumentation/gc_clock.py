"""Measures how long Python has collected garbage, in all threads.

A collection stops every thread. It is timed by ``gc.callbacks`` for as long as an event loop is
watched.
"""

import gc
import time
from contextlib import suppress
from typing import Any

_collected_secs = 0.0
_begun_secs: float | None = None


def _note(phase: str, info: dict[str, Any]) -> None:
    global _begun_secs, _collected_secs
    now_secs = time.perf_counter()
    if phase == "start":
        _begun_secs = now_secs
    elif _begun_secs is not None:
        _collected_secs += now_secs - _begun_secs
        _begun_secs = None


def start() -> None:
    """Start to time collections. A second call does nothing."""
    if _note not in gc.callbacks:
        gc.callbacks.append(_note)


def stop() -> None:
    """Stop to time collections."""
    global _begun_secs
    _begun_secs = None
    with suppress(ValueError):
        gc.callbacks.remove(_note)


def collected_secs() -> float:
    """Return how long garbage has been collected, while that was timed."""
    return _collected_secs

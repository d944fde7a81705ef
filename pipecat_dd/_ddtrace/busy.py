"""Inside ddtrace on our own behalf, where its questions must be answered without doing anything."""

import contextlib
import threading
from collections.abc import Iterator

from pipecat_dd._ddtrace.public import Active, Span

thread_state = threading.local()
"""Set while this thread is inside ddtrace on our behalf.

ddtrace asks which span is active when one starts (to set ``version``) and when one finishes;
asked by our own doing, the answer must open nothing: it would recurse without end.
"""


def is_busy() -> bool:
    """Whether this thread is inside ddtrace on our behalf."""
    return getattr(thread_state, "depth", 0) > 0


class _Busy:
    def __enter__(self) -> None:
        thread_state.depth = getattr(thread_state, "depth", 0) + 1

    def __exit__(self, *_: object) -> None:
        thread_state.depth -= 1


BUSY = _Busy()
"""Marks a block as ours: ``with BUSY:``."""


@contextlib.contextmanager
def beneath(parent: Active, begun: list[Span]) -> Iterator[None]:
    """Have what ddtrace starts in a block begin beneath a parent, and make nothing active.

    Args:
        parent: The parent, which need not have been started.
        begun: What is started is appended to it.
    """
    thread_state.beneath = parent, begun
    try:
        with BUSY:
            yield
    finally:
        thread_state.beneath = None

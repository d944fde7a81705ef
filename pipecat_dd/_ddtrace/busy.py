"""Marks our own calls of ddtrace, during which its questions must have no side effects."""

import contextlib
import threading
from collections.abc import Iterator

from pipecat_dd._ddtrace.public import Active, Span

thread_state = threading.local()
"""Set while this thread is in a call of ours to ddtrace.

ddtrace asks which span is active when a span starts (to set ``version``) and when one finishes. If
the span is ours, answering must not open another, or the recursion would never end.
"""


def is_busy() -> bool:
    """Whether this thread is in a call of ours to ddtrace."""
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
    """Set the parent of the spans that ddtrace starts in a block; none of them becomes active.

    Args:
        parent: The parent, which need not have been started.
        begun: The started spans are appended to this list.
    """
    thread_state.beneath = parent, begun
    try:
        with BUSY:
            yield
    finally:
        thread_state.beneath = None

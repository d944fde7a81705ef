"""What became of the lines that were given to be shipped.

The figures are the process's, from its start on: whoever polls them sees them only grow, also
where logging is configured anew. A forked process begins at nothing; its parent's lines are not
its own. All of shipping shares the one lock in here, so that a snapshot adds up.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Reason(StrEnum):
    """Why a line was dropped."""

    MEMORY_FULL = "memory_full"
    """More lines were waiting than `Shipping.max_memory_bytes` holds; the oldest went."""
    SPOOL_FULL = "spool_full"
    """More lay on disk than `Shipping.max_spool_bytes`; the oldest went."""
    SPOOL_UNREADABLE = "spool_unreadable"
    """A file of the spool was damaged."""
    TOO_OLD = "too_old"
    """It lay in the spool for longer than the intake takes lines (18 hours)."""
    TOO_LARGE = "too_large"
    """It is longer than the intake takes, or the intake said so (413)."""
    REFUSED = "refused"
    """The intake refuses the API key (401, 403)."""
    REJECTED = "rejected"
    """The intake would not have it, whatever the key (another 4xx)."""
    EXIT = "exit"
    """The process ended, or shipping was turned off, before it could be sent."""
    FAILED = "failed"
    """An error of this package's own."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of this process's lines so far.

    ``written + unspooled == shipped + sum(dropped.values()) + waiting + spooled``, always.

    Attributes:
        written: Lines given to be shipped.
        shipped: Lines that the intake accepted.
        dropped: Lines that will not be sent, by `Reason`; only reasons that occurred.
        waiting: Lines in memory now, those on their way included.
        spooled: Lines that were written to disk, to be sent later, by this process or another.
        unspooled: Lines that were read from disk, of this process or another.
        requests: Requests that were sent, failed ones included.
    """

    written: int = 0
    shipped: int = 0
    dropped: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    waiting: int = 0
    spooled: int = 0
    unspooled: int = 0
    requests: int = 0

    @property
    def dropped_in_all(self) -> int:
        """Lines dropped, for whatever reason."""
        return sum(self.dropped.values())


class Counters:
    """The figures as they grow.

    Attributes:
        lock: Guards them, and what waits in memory. Reentrant: a signal's handler or a
            finalizer may log in the middle of a line being taken.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin at nothing, with a lock that nobody holds: for a forked process."""
        self.lock = threading.RLock()
        self.written = 0
        self.shipped = 0
        self.spooled = 0
        self.unspooled = 0
        self.requests = 0
        self._dropped: dict[str, int] = {}

    def drop(self, lines: int, reason: Reason) -> None:
        """Count lines that will not be sent.

        Args:
            lines: How many.
            reason: Why.
        """
        if lines:
            with self.lock:
                self._dropped[str(reason)] = self._dropped.get(str(reason), 0) + lines

    def snapshot(self) -> Counts:
        """Return the figures as they are now."""
        with self.lock:
            dropped = dict(self._dropped)
            return Counts(
                written=self.written,
                shipped=self.shipped,
                dropped=MappingProxyType(dropped),
                waiting=self.written
                + self.unspooled
                - self.shipped
                - self.spooled
                - sum(dropped.values()),
                spooled=self.spooled,
                unspooled=self.unspooled,
                requests=self.requests,
            )


COUNTERS: Final = Counters()
"""This process's."""

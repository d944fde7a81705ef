"""Counts of the lines to be shipped, by what happened to them.

The counters belong to the process and never go down, not even when logging is configured again.
A forked process starts from zero: its parent's lines are not its own. All parts of shipping share
the lock in here, so that the numbers of a snapshot add up.
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
    """The lines in memory exceeded `Shipping.max_memory_bytes`; this was one of the oldest."""
    SPOOL_FULL = "spool_full"
    """The lines on disk exceeded `Shipping.max_spool_bytes`; this was one of the oldest."""
    SPOOL_UNREADABLE = "spool_unreadable"
    """Its file in the spool was damaged."""
    TOO_OLD = "too_old"
    """It was in the spool for more than 18 hours: the intake takes no older lines."""
    TOO_LARGE = "too_large"
    """It was longer than the intake's limit, or the intake answered 413."""
    REFUSED = "refused"
    """The intake refused the API key (401, 403)."""
    REJECTED = "rejected"
    """The intake rejected it for another reason than the key (another 4xx, or a redirect)."""
    EXIT = "exit"
    """The process ended, or shipping was turned off, before it could be sent."""
    FAILED = "failed"
    """This package itself failed."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Counts of this process's lines so far.

    ``written + unspooled == shipped + sum(dropped.values()) + waiting + spooled``, always.

    Attributes:
        written: Lines that the bot has logged while shipping was on.
        shipped: Lines that the intake accepted.
        dropped: Lines that will not be sent, by `Reason`; only reasons that occurred.
        waiting: Lines in memory now, those being sent included.
        spooled: Lines that this process has written to disk; it or another sends them later.
        unspooled: Lines from disk that were sent or dropped, whichever process wrote them.
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
        """Lines dropped for any reason."""
        return sum(self.dropped.values())


class Counters:
    """The counters behind `Counts`.

    Attributes:
        lock: Guards the counters and the lines in memory. It is reentrant: a signal handler or a
            finalizer may log while this thread holds it.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start from zero with a new lock, as a forked process must."""
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
            lines: The number of lines; may be 0.
            reason: Why they are dropped.
        """
        if lines:
            with self.lock:
                self._dropped[str(reason)] = self._dropped.get(str(reason), 0) + lines

    def snapshot(self) -> Counts:
        """Return the counts as they are now."""
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
"""The counters of this process."""

"""Reads the kernel's counters of a thread: its waits for a CPU, and how often it got one.

Linux only (``/proc/self/task/<id>/schedstat``). A thread that waits for Python's lock wakes up
every few milliseconds to ask for it, so these counts tell it from one that does not run at all:
a process that is stopped, or frozen with its container.
"""

import contextlib
import os
from typing import NamedTuple


class Counters(NamedTuple):
    """What is counted of a thread since it began.

    Attributes:
        waited_secs: How long it could have run and had no CPU.
        runs: How often it was given one.
        ran_secs: How long it has used one.
    """

    waited_secs: float
    runs: int
    ran_secs: float


class ThreadCounters:
    """Reads the counters of one thread, from any thread of the process."""

    def __init__(self, native_id: int) -> None:
        """Open the counters of a thread.

        Args:
            native_id: The kernel's id of the thread.
        """
        self._file: int | None = None
        self._is: tuple[int, int] | None = None
        try:
            self._file = os.open(f"/proc/self/task/{native_id}/schedstat", os.O_RDONLY)
            self._is = _identity(self._file)
        except OSError:
            return  # another system, or one that does not count

    def read(self) -> Counters | None:
        """Return the counters; None where they are not counted."""
        file = self._file
        if file is None:
            return None
        try:
            ran_ns, waited_ns, runs = os.pread(file, 80, 0).split()
            return Counters(int(waited_ns) / 1e9, int(runs), int(ran_ns) / 1e9)
        except (OSError, ValueError):
            # The thread is gone; or a program that closes all files has closed this one.
            return None

    def close(self) -> None:
        """Close the counters."""
        file, self._file = self._file, None
        if file is None:
            return
        with contextlib.suppress(OSError):
            # A program that closes all files may have opened one of its own by this number.
            if _identity(file) == self._is:
                os.close(file)


def _identity(file: int) -> tuple[int, int]:
    found = os.fstat(file)
    return found.st_dev, found.st_ino

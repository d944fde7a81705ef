"""A timer that one thread sets again and again while another waits for it, asleep.

To set it does not wake the thread that waits, unlike a lock or a condition. A thread that wakes up
for nothing is not free: it asks for Python's lock, and a busy event loop hands the lock over, or
wakes the thread in vain, at each of its polls.

Linux only (``timerfd``): by ``os`` from Python 3.13 on, before that by the C library.
"""

import contextlib
import os
import select
import threading
import time
from collections.abc import Callable
from functools import cache

_Set = Callable[[int, float], None]


class KernelTimer:
    """Wakes up a thread at a time that can be put off without waking it."""

    def __init__(self, file: int, set_secs: _Set) -> None:
        """Take over a timer's file.

        Args:
            file: The file descriptor, which this closes.
            set_secs: Sets the timer of a file to fire in so many seconds, above 0.
        """
        self._file: int | None = file
        self._set_secs = set_secs
        # Held while the file is used, so that it is not another's by then.
        self._lock = threading.Lock()

    @classmethod
    def open(cls) -> "KernelTimer | None":
        """Return a new timer, which is not set; None where the system has none."""
        try:
            create, set_secs = _functions()
            return cls(create(), set_secs)
        except (AttributeError, ImportError, OSError, TypeError):
            return None

    def set(self, secs: float) -> None:
        """Let it fire in so many seconds, and not before. Does nothing once it is closed.

        Args:
            secs: Seconds from now; 0 or less is at once.
        """
        with self._lock:
            if self._file is None:
                return
            try:
                self._set_secs(self._file, max(secs, 1e-6))
            except OSError:
                # A program that closes all files has closed this one; its number may be another's.
                self._file = None

    def wait(self) -> bool:
        """Wait until it has fired. Takes nothing from the file: it may be another's by mistake.

        Returns:
            Whether it has; False, at once, if it is closed.
        """
        file = self._file
        if file is None:
            return False
        poll = select.poll()
        poll.register(file, select.POLLIN)
        with contextlib.suppress(OSError):
            return any(events & select.POLLIN for _, events in poll.poll())
        return False

    def close(self) -> None:
        """Close it. A second call does nothing."""
        with self._lock:
            file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):
                os.close(file)

    def forget(self) -> None:
        """Close a forked process' copy: the parent's timer, which it shares, goes on."""
        self._lock = threading.Lock()
        self.close()


@cache
def _functions() -> tuple[Callable[[], int], _Set]:
    """Return how a timer is created and set.

    Raises:
        AttributeError: The system has no such timer.
        ImportError: Python was built without ``ctypes``.
        TypeError: The system is Windows, where the C library has to be named.
    """
    if hasattr(os, "timerfd_create"):
        return _of_python()
    return _of_c_library()


def _of_python() -> tuple[Callable[[], int], _Set]:
    create, settime = os.timerfd_create, os.timerfd_settime  # type: ignore[attr-defined]

    def set_secs(file: int, secs: float) -> None:
        settime(file, initial=secs)

    return lambda: int(create(time.CLOCK_MONOTONIC)), set_secs


def _of_c_library() -> tuple[Callable[[], int], _Set]:
    import ctypes

    class Timespec(ctypes.Structure):
        _fields_ = (("secs", ctypes.c_long), ("ns", ctypes.c_long))

    class Itimerspec(ctypes.Structure):
        _fields_ = (("interval", Timespec), ("value", Timespec))

    # Both return at once: they need not let go of Python's lock.
    library = ctypes.PyDLL(None, use_errno=True)
    timerfd_create, timerfd_settime = library.timerfd_create, library.timerfd_settime

    def checked(result: int) -> int:
        if result < 0:
            raise OSError(ctypes.get_errno(), "timerfd")
        return result

    def create() -> int:
        return checked(timerfd_create(time.CLOCK_MONOTONIC, os.O_CLOEXEC))

    def set_secs(file: int, secs: float) -> None:
        whole, part = divmod(secs, 1)
        value = Itimerspec(Timespec(0, 0), Timespec(int(whole), int(part * 1e9)))
        checked(timerfd_settime(file, 0, ctypes.byref(value), None))

    return create, set_secs

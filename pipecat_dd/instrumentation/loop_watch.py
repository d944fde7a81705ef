"""Notices when an event loop stands still, and what it was running then.

One timer in each loop with sessions, the heartbeat, shows that the loop turns. One thread for each
such loop looks at the loop's stack when the heartbeat is late, again and again until it comes.
Otherwise the thread sleeps: each heartbeat puts off the time at which it wakes up, where the system
has such a timer (:mod:`~pipecat_dd.instrumentation.kernel_timer`); elsewhere it wakes up about
twenty times a second. Both start with the loop's first session and end with its last.

The heartbeat can also be late although no code blocked the loop:

* The process was stopped, suspended or frozen, or the machine had no CPU for it. Then this thread
  overslept, too, or the kernel counts how long the loop's thread waited for a CPU.
* Code that holds Python's lock (a regular expression, a C extension) keeps this thread from running
  as well. But a thread that waits for the lock wakes up every few milliseconds to ask for it, which
  the kernel counts (see :mod:`~pipecat_dd.instrumentation.thread_counters`). Where it does not, the
  CPU time that the process used tells the two apart.
* The loop may have been stopped by its program.
"""

import _thread
import asyncio
import contextlib
import contextvars
import sys
import threading
import time
import weakref
from collections.abc import Callable
from typing import Final

from pipecat_dd import _guard
from pipecat_dd.instrumentation import gc_clock
from pipecat_dd.instrumentation.kernel_timer import KernelTimer
from pipecat_dd.instrumentation.running_code import Caller, see
from pipecat_dd.instrumentation.standstill import Counted, Seen, Standstill, held_lock
from pipecat_dd.instrumentation.thread_counters import Counters, ThreadCounters

HEARTBEAT_SECS: Final = 0.025
"""The time between two heartbeats, at most; how exactly a block's beginning is known."""

_LOOK_AFTER: Final = 0.6
"""After which share of the shortest block that is reported the thread begins to look."""

_LOOK_EVERY_SECS: Final = 0.02
_SLOWER_AFTER_SECS: Final = 1.0
"""What blocks for longer than this is looked at less often, in proportion to its length."""

_OVERSLEPT_SECS: Final = 0.01
"""How late the thread may wake up; a machine at work is never quite punctual."""

_STOPPED_POLL_SECS: Final = 0.5

# A suspended machine stops the monotonic clock, but not this one, where there is one.
_BOOT_CLOCK: Final[int] = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", 0))


class _Nap:
    """One sleep of the thread, and what was counted when it began.

    Attributes:
        begun_secs: When it began, on the monotonic clock.
        secs: How long it is to be, unless heartbeats put off its end.
        counters: What the kernel had counted of the thread; None if that is not known (yet).
        process_secs: The process' CPU time.
        is_put_off: Whether each heartbeat puts off its end.
    """

    __slots__ = ("begun_secs", "counters", "is_put_off", "process_secs", "secs")

    def __init__(
        self, begun_secs: float, secs: float, counters: Counters | None, *, is_put_off: bool
    ) -> None:
        self.begun_secs = begun_secs
        self.secs = secs
        self.counters = counters
        self.process_secs = time.process_time()
        self.is_put_off = is_put_off


class LoopWatch:
    """Watches one event loop."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        min_secs: float,
        report: Callable[["LoopWatch", Standstill], None],
        ended: Callable[["LoopWatch"], None],
    ) -> None:
        """Prepare to watch the running event loop; nothing runs yet.

        Args:
            loop: The loop.
            min_secs: How long it must stand still for it to be reported.
            report: Called in the loop's thread, once the loop turns again.
            ended: Called when the thread has ended, in that thread.
        """
        self._loop = weakref.ref(loop)
        self._report = report
        self._ended = ended
        self.min_secs = min_secs
        self.thread_id = threading.get_ident()
        self.is_over = False
        self._caller: Caller | None = None
        self._heartbeat: asyncio.TimerHandle | None = None
        self._timer: KernelTimer | None = None
        self._counters = ThreadCounters(threading.get_native_id())
        self._native_id: int | None = None
        self._own_counters: ThreadCounters | None = None
        self._nap: _Nap | None = None
        # Held while the thread is to go on: to end it is to release it.
        self._going_on = threading.Lock()
        self._going_on.acquire()
        self._seen = Seen()
        self._state = (0.0, self._seen)
        self._mark(time.monotonic())

    @property
    def heartbeat_secs(self) -> float:
        """The time between two heartbeats."""
        return min(HEARTBEAT_SECS, self.min_secs / 4)

    def is_of(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether it watches a loop."""
        return self._loop() is loop

    # In the loop's thread

    def start(self) -> None:
        """Start the heartbeat and the thread."""
        # What runs now may block before the first heartbeat: a processor that is set up, say.
        self._caller = Caller.of_running(self._loop())
        self._timer = KernelTimer.open()
        self._put_off()
        self._schedule()
        # Not a `threading.Thread`: its `start()` waits until the thread runs, in the bot's event
        # loop. Such a thread keeps no process alive, and is in no session's context.
        _thread.start_new_thread(_run, (self,))

    def stop(self) -> None:
        """Stop both. A second call does nothing."""
        if self.is_over:
            return
        self._end()
        with contextlib.suppress(RuntimeError):  # both threads end it at once
            self._going_on.release()
        if self._timer is not None:
            self._timer.set(0)

    def forget(self) -> None:
        """End the watch in a forked process, which has no such thread. The parent's goes on."""
        self._end()
        if self._timer is not None:
            self._timer.forget()

    def _end(self) -> None:
        self.is_over = True
        heartbeat, self._heartbeat = self._heartbeat, None
        if heartbeat is not None and threading.get_ident() == self.thread_id:
            heartbeat.cancel()
        self._counters.close()
        if self._own_counters is not None:
            self._own_counters.close()

    def look(self) -> None:
        """Report a standstill that goes on, in the code that calls this."""
        now_secs = time.monotonic()
        if self._is_late(now_secs):
            self._turn(now_secs)

    def _schedule(self) -> None:
        loop = self._loop()
        if loop is not None and not self.is_over:
            # In an empty context: it is no session's work, and must keep none alive.
            self._heartbeat = loop.call_later(
                self.heartbeat_secs, self._beat, context=contextvars.Context()
            )

    def _beat(self) -> None:
        try:
            if self.is_over:
                return
            if self._caller is None:
                self._caller = Caller.of(sys._getframe())
            now_secs = time.monotonic()
            if self._is_late(now_secs):
                self._turn(now_secs)
            else:
                self._mark(now_secs)
                self._count_thread()
        except Exception as error:
            _guard.event_loop.failed(error)
        try:
            if _guard.event_loop.off:
                self.stop()
            else:
                self._schedule()
        except Exception as error:
            _guard.event_loop.failed(error)

    def _count_thread(self) -> None:
        """Read the thread's counters for it while it sleeps.

        To read a file is to let go of Python's lock, and in a loop that never rests the thread
        would have to wait for it again.
        """
        if self._own_counters is None:
            if self._native_id is None:
                return  # it does not run yet
            self._own_counters = ThreadCounters(self._native_id)
        nap = self._nap
        if nap is not None and nap.is_put_off and nap.counters is None:
            nap.counters = self._own_counters.read()

    def _is_late(self, now_secs: float) -> bool:
        late_secs = max(now_secs - self._state[0], _boot_secs() - self._boot_secs)
        return late_secs >= self.min_secs

    def _turn(self, now_secs: float) -> None:
        """Report that the loop turns again."""
        seen = self._seen
        try:
            found = None if seen.is_stopped else self._standstill(now_secs, seen)
            if found is not None:
                self._report(self, found)
        finally:
            self._mark(time.monotonic())

    def _mark(self, now_secs: float) -> None:
        """Note that the loop turns, and what has been counted by now."""
        if not self._seen.is_empty:
            self._seen = Seen()
        self._cpu_secs = time.thread_time()
        self._counted = self._counters.read()
        self._gc_secs = gc_clock.collected_secs()
        self._boot_secs = _boot_secs()
        self._process_secs = time.process_time()
        self._state = (now_secs, self._seen)
        self._put_off()

    def _put_off(self) -> None:
        """Let the thread sleep until the next heartbeat is late."""
        if self._timer is not None and not self.is_over:
            self._timer.set(self._state[0] + self._look_after_secs - time.monotonic())

    def _standstill(self, now_secs: float, seen: Seen) -> Standstill:
        # It stopped somewhere between the last heartbeat and when the next was due.
        gap_secs = now_secs - self._state[0]
        secs = gap_secs - min(self.heartbeat_secs / 2, gap_secs / 2)
        suspended_secs = max(0.0, _boot_secs() - self._boot_secs - gap_secs)
        cpu_secs = time.thread_time() - self._cpu_secs
        counted, before = self._counters.read(), self._counted
        starved_secs, runs = 0.0, None
        if counted is not None and before is not None:
            starved_secs = counted.waited_secs - before.waited_secs
            runs = counted.runs - before.runs
        absent_secs, locked_secs = seen.absent_secs, seen.locked_secs
        if self._nap is not None:
            # It has not woken up yet, or has not noted it.
            absent, locked = self._overslept(self._nap, now_secs, self._state[0])
            absent_secs, locked_secs = absent_secs + absent, locked_secs + locked
        not_running_secs = min(secs, max(starved_secs, absent_secs))
        cpu_secs = min(cpu_secs, secs)
        now = Counted(None if counted is None else counted.ran_secs, gc_clock.collected_secs())
        gc_secs = min(now.gc_secs - self._gc_secs, secs)
        whole_secs = secs + suspended_secs
        pieces = seen.pieces(now_secs - whole_secs, now_secs, Counted(cpu_secs, gc_secs), now)
        if locked_secs * 2 > secs and not held_lock(locked_secs, cpu_secs, starved_secs, runs):
            pieces = []
        not_running_secs += suspended_secs
        return Standstill(whole_secs, now_secs, not_running_secs, cpu_secs, gc_secs, pieces)

    def _count(self) -> Counted:
        counted = self._counters.read()
        return Counted(None if counted is None else counted.ran_secs, gc_clock.collected_secs())

    # In the thread

    def run(self) -> None:
        """Watch the loop until it ends. Runs in a thread of its own."""
        self._native_id = threading.get_native_id()
        try:
            while not self.is_over and not _guard.event_loop.off:
                nap = self._nap = self._next_nap()
                if not self._sleep(nap) or not self._look(nap):
                    return
        finally:
            if self._timer is not None:
                self._timer.close()
            self._ended(self)

    @property
    def _look_after_secs(self) -> float:
        """How long after a heartbeat the next is so late that the thread looks."""
        return self.min_secs * _LOOK_AFTER

    def _next_nap(self) -> _Nap:
        now_secs = time.monotonic()
        beat_secs, seen = self._state
        late_secs = now_secs - beat_secs
        if not seen.is_stopped and late_secs < self._look_after_secs:
            secs = self._look_after_secs - late_secs
            if self._timer is not None:
                return _Nap(now_secs, secs, None, is_put_off=True)
        else:
            secs = self._patience(seen, now_secs, late_secs)
        counters = None if self._own_counters is None else self._own_counters.read()
        return _Nap(now_secs, secs, counters, is_put_off=False)

    def _sleep(self, nap: _Nap) -> bool:
        """Sleep.

        Returns:
            Whether to go on watching.
        """
        if nap.is_put_off and self._timer is not None:
            if self._timer.wait():
                # It stays fired until it is set: by a heartbeat, or here if it fired too early.
                if time.monotonic() - self._state[0] < self._look_after_secs:
                    self._put_off()
                return not self.is_over
            nap.is_put_off = False
        return not self._going_on.acquire(timeout=nap.secs)

    def _patience(self, seen: Seen, now_secs: float, late_secs: float) -> float:
        """Return how long to sleep between two looks at a loop whose heartbeat is late."""
        if seen.is_stopped:
            return _STOPPED_POLL_SECS
        since_secs = seen.since_secs
        long_secs = late_secs if since_secs is None else now_secs - since_secs
        slower = max(1.0, long_secs / _SLOWER_AFTER_SECS)
        return min(_LOOK_EVERY_SECS * slower, _STOPPED_POLL_SECS, self.min_secs / 4 * slower)

    def _look(self, nap: _Nap) -> bool:
        """Look at the loop, if its heartbeat is late.

        Returns:
            Whether to go on watching.
        """
        loop = self._loop()
        if loop is None or loop.is_closed():
            self.stop()
            return False
        now_secs = time.monotonic()
        beat_secs, seen = self._state
        absent_secs, locked_secs = self._overslept(nap, now_secs, beat_secs)
        seen.absent_secs += absent_secs
        seen.locked_secs += locked_secs
        self._nap = None
        caller = self._caller
        if now_secs - beat_secs < self._look_after_secs or caller is None:
            return True
        if not loop.is_running():
            seen.is_stopped = True
            return True
        sighting = see(loop, self.thread_id, caller)
        if self._state[1] is seen and self._state[0] == beat_secs:
            seen.add(sighting, now_secs, beat_secs, self._count)
        return True

    def _overslept(self, nap: _Nap, now_secs: float, beat_secs: float) -> tuple[float, float]:
        """Return how long the thread did not run when it should have, and why.

        Args:
            nap: The sleep after which it should have run.
            now_secs: The time now.
            beat_secs: When the loop turned last. What was before does not count.

        Returns:
            How long the process did not run, and how long another thread held Python's lock.
        """
        if nap.is_put_off:
            due_secs = beat_secs + self._look_after_secs
        else:
            due_secs = max(nap.begun_secs + nap.secs, beat_secs)
        late_secs = now_secs - due_secs
        if late_secs < _OVERSLEPT_SECS:
            return 0.0, 0.0
        counters = None if self._own_counters is None else self._own_counters.read()
        if counters is not None and nap.counters is not None:
            # Waiting for a CPU is counted for the loop's own thread, which may have had one.
            late_secs -= min(late_secs, counters.waited_secs - nap.counters.waited_secs)
            asked_secs = (counters.runs - nap.counters.runs) * sys.getswitchinterval()
            return (0.0, late_secs) if asked_secs * 2 >= late_secs else (late_secs, 0.0)
        since_secs = max(nap.process_secs, self._process_secs)
        used_secs = min(late_secs, time.process_time() - since_secs)
        return late_secs - used_secs, used_secs


def _run(watch: LoopWatch) -> None:
    """Run a watch's thread. Its errors must not end the program's other work."""
    with _guard.event_loop.guarded():
        watch.run()


def _boot_secs() -> float:
    return time.clock_gettime(_BOOT_CLOCK) if hasattr(time, "clock_gettime") else time.monotonic()

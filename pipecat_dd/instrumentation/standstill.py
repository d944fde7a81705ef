"""Describes a standstill of an event loop: its length, and what was seen meanwhile."""

import sys
from collections.abc import Callable
from typing import Final, NamedTuple

from pipecat_dd.instrumentation.running_code import Sighting

_MAX_SEEN: Final = 64
"""How many places of one callback are kept, and how many callbacks of one standstill."""

_UNSEEN_SECS: Final = 0.03
"""How far from a look at a callback its beginning or end may be assumed, or a tenth of the time for
which it was seen, if that is longer. What ran in a longer gap between two looks is unknown."""


class Counted(NamedTuple):
    """What is counted of a loop's thread since it began.

    Attributes:
        cpu_secs: How long it has used the CPU; None if that is not known.
        gc_secs: How long garbage has been collected.
    """

    cpu_secs: float | None
    gc_secs: float


class Piece(NamedTuple):
    """A part of a standstill: one callback, or one step of a task.

    Attributes:
        start_secs: When it began, on the monotonic clock.
        end_secs: When it ended.
        cpu_secs: How long the loop's thread used the CPU in it; None if that is not known.
        gc_secs: How long garbage was collected in it.
        ran: Where it was.
    """

    start_secs: float
    end_secs: float
    cpu_secs: float | None
    gc_secs: float
    ran: Sighting


class _Run:
    """Looks in a row at one callback, or at one step of a task; or at none.

    Attributes:
        who: Identifies the callback or step.
        start_secs: When it began, as far as looks can tell.
        first_secs: When it was seen first.
        last_secs: When it was seen last.
        end_secs: When it ended; None if it was seen last of all.
        counted: What had been counted when it began.
        until: What had been counted when it ended.
    """

    __slots__ = (
        "_sightings",
        "counted",
        "end_secs",
        "first_secs",
        "last_secs",
        "start_secs",
        "until",
        "who",
    )

    def __init__(self, who: object, start_secs: float, first_secs: float, counted: Counted) -> None:
        self.who = who
        self.start_secs = start_secs
        self.first_secs = self.last_secs = first_secs
        self.end_secs: float | None = None
        self.counted = counted
        self.until: Counted | None = None
        # By their keys, the latest last.
        self._sightings: dict[object, Sighting] = {}

    def add(self, sighting: Sighting | None, at_secs: float) -> None:
        self.last_secs = at_secs
        if sighting is None:
            return
        before = self._sightings.pop(sighting.key, None)
        if before is None and len(self._sightings) >= _MAX_SEEN:
            return
        if before is not None:
            sighting.count += before.count
        self._sightings[sighting.key] = sighting

    def main(self) -> Sighting | None:
        """Return the place that was seen most often; of two as frequent, the later."""
        found = reversed(self._sightings.values())
        return max(found, key=lambda one: one.count, default=None)

    def piece(self, start_secs: float, end_secs: float, now: Counted) -> Piece | None:
        """Return it as a piece of a standstill; None if it may have been much shorter.

        Args:
            start_secs: When the standstill began.
            end_secs: When the standstill ended.
            now: What has been counted by now.
        """
        until_secs = end_secs if self.end_secs is None else self.end_secs
        seen_secs = (end_secs if self.end_secs is None else self.last_secs) - self.first_secs
        ran = self.main()
        if ran is None or seen_secs * 2 < until_secs - self.start_secs:
            return None
        begun, ended = self.counted, self.until or now
        cpu_secs = None
        if begun.cpu_secs is not None and ended.cpu_secs is not None:
            cpu_secs = max(0.0, ended.cpu_secs - begun.cpu_secs)
        gc_secs = max(0.0, ended.gc_secs - begun.gc_secs)
        return Piece(max(self.start_secs, start_secs), until_secs, cpu_secs, gc_secs, ran)


class Seen:
    """What the thread has seen since the last heartbeat.

    Attributes:
        looks: How often the thread has looked.
        absent_secs: How long the thread should have run, and the process did not run.
        locked_secs: How long the thread waited for Python's lock.
        is_stopped: Whether the loop was not running at all: its program has stopped it.
    """

    __slots__ = ("_is_mixed", "_runs", "absent_secs", "is_stopped", "locked_secs", "looks")

    def __init__(self) -> None:
        self._runs: list[_Run] = []
        self._is_mixed = False
        self.looks = 0
        self.absent_secs = 0.0
        self.locked_secs = 0.0
        self.is_stopped = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing has been seen."""
        return not (self.looks or self.absent_secs or self.locked_secs or self.is_stopped)

    @property
    def since_secs(self) -> float | None:
        """When what was seen last began; None if it began with the standstill."""
        return self._runs[-1].start_secs if self._is_mixed else None

    def add(
        self,
        sighting: Sighting | None,
        at_secs: float,
        since_secs: float,
        count: Callable[[], Counted],
    ) -> None:
        """Add what was seen; None where the loop ran nothing.

        Args:
            sighting: What was seen.
            at_secs: When, on the monotonic clock.
            since_secs: When the loop turned last.
            count: Returns what is counted by now.
        """
        self.looks += 1
        who = None if sighting is None else sighting.who
        run = self._runs[-1] if self._runs else None
        if run is None or run.who != who:
            counted = count()
            if run is None:
                run = _Run(who, since_secs, since_secs, counted)
            else:
                # One ended and the next began at some time since the look before.
                middle_secs = (run.last_secs + at_secs) / 2
                unseen_secs = max(_UNSEEN_SECS, (run.last_secs - run.start_secs) / 10)
                run.end_secs = min(middle_secs, run.last_secs + unseen_secs)
                run.until = counted
                run = _Run(who, max(middle_secs, at_secs - _UNSEEN_SECS), at_secs, counted)
                self._is_mixed = True
            if len(self._runs) >= _MAX_SEEN:
                self._runs.remove(min(self._runs, key=lambda one: one.last_secs - one.first_secs))
            self._runs.append(run)
        run.add(sighting, at_secs)

    def pieces(
        self, start_secs: float, end_secs: float, whole: Counted, now: Counted
    ) -> list[Piece]:
        """Return what the loop ran, one after another.

        A loop that has several things to do takes no notice of time until all are done.

        Args:
            start_secs: When the standstill began.
            end_secs: When it ended.
            whole: What was counted in it.
            now: What has been counted by now.
        """
        if not self._is_mixed:
            ran = self._runs[0].main() if self._runs else None
            if ran is None:
                return []
            return [Piece(start_secs, end_secs, whole.cpu_secs, whole.gc_secs, ran)]
        found = [run.piece(start_secs, end_secs, now) for run in self._runs]
        return [piece for piece in found if piece is not None]


class Standstill:
    """A time for which a loop did not turn.

    Attributes:
        secs: How long it was.
        now_secs: When it turned again, on the monotonic clock.
        not_running_secs: For how much of it the process, or the loop's thread, did not run.
        cpu_secs: How long the loop's thread used the CPU in it.
        gc_secs: How long garbage was collected in it.
        pieces: What the loop ran, one after another, as far as that is known.
    """

    __slots__ = ("cpu_secs", "gc_secs", "not_running_secs", "now_secs", "pieces", "secs")

    def __init__(
        self,
        secs: float,
        now_secs: float,
        not_running_secs: float,
        cpu_secs: float,
        gc_secs: float,
        pieces: list[Piece],
    ) -> None:
        self.secs = secs
        self.now_secs = now_secs
        self.not_running_secs = not_running_secs
        self.cpu_secs = cpu_secs
        self.gc_secs = gc_secs
        self.pieces = pieces


def held_lock(locked_secs: float, cpu_secs: float, starved_secs: float, runs: int | None) -> bool:
    """Whether the loop's thread held Python's lock itself, rather than another thread.

    Args:
        locked_secs: How long the lock was held.
        cpu_secs: How long the loop's thread used the CPU meanwhile.
        starved_secs: How long it waited for a CPU.
        runs: How often it was given one; None if that is not known.
    """
    if cpu_secs >= locked_secs / 5 and (cpu_secs + starved_secs) * 2 >= locked_secs:
        return True
    # It may have slept with the lock; a thread that waits for the lock wakes up again and again.
    return runs is not None and runs * sys.getswitchinterval() * 2 < locked_secs

"""A time for which an event loop stood still, and what was seen of it meanwhile."""

import sys
from typing import Final

from pipecat_dd.instrumentation.running_code import Sighting

_MAX_SEEN: Final = 64
"""How many different sightings of one block are kept."""


class Seen:
    """What the thread has seen since the last heartbeat.

    Attributes:
        sightings: What ran, by its key; with how often it was seen.
        looks: How often the thread has looked.
        absent_secs: How long the thread should have run, and the process did not run.
        locked_secs: How long the thread waited for Python's lock.
        is_stopped: Whether the loop was not running at all: its program has stopped it.
    """

    __slots__ = ("absent_secs", "is_stopped", "locked_secs", "looks", "sightings")

    def __init__(self) -> None:
        self.sightings: dict[object, Sighting] = {}
        self.looks = 0
        self.absent_secs = 0.0
        self.locked_secs = 0.0
        self.is_stopped = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing has been seen."""
        return not (self.looks or self.absent_secs or self.locked_secs or self.is_stopped)

    def add(self, sighting: Sighting | None) -> None:
        """Add what was seen; None where the loop ran nothing."""
        self.looks += 1
        if sighting is None:
            return
        before = self.sightings.pop(sighting.key, None)
        if before is None and len(self.sightings) >= _MAX_SEEN:
            return
        if before is not None:
            sighting.count += before.count
        self.sightings[sighting.key] = sighting  # the latest last

    def main(self) -> Sighting | None:
        """Return what the loop ran for most of the time; None if it was no single thing.

        It is the callback, or the step of a task, that was seen in at least half of the looks, and
        of that the place that was seen most often; of two as frequent, the later.
        """
        steps: dict[int, int] = {}
        for one in self.sightings.values():
            steps[one.step] = steps.get(one.step, 0) + one.count
        step = max(reversed(steps), key=lambda step: steps[step], default=None)
        if step is None or steps[step] * 2 < self.looks:
            return None
        ran = [one for one in self.sightings.values() if one.step == step]
        return max(reversed(ran), key=lambda one: one.count)


class Standstill:
    """A time for which a loop did not turn.

    Attributes:
        secs: How long it was.
        now_secs: When it turned again, on the monotonic clock.
        not_running_secs: For how much of it the process, or the loop's thread, did not run.
        cpu_secs: How long the loop's thread used the CPU in it.
        gc_secs: How long garbage was collected in it.
        ran: What the loop ran; None if that is not known, or was many things.
    """

    __slots__ = ("cpu_secs", "gc_secs", "not_running_secs", "now_secs", "ran", "secs")

    def __init__(
        self,
        secs: float,
        now_secs: float,
        not_running_secs: float,
        cpu_secs: float,
        gc_secs: float,
        ran: Sighting | None,
    ) -> None:
        self.secs = secs
        self.now_secs = now_secs
        self.not_running_secs = not_running_secs
        self.cpu_secs = cpu_secs
        self.gc_secs = gc_secs
        self.ran = ran


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

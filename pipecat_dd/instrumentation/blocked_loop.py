"""Reports whose code blocked an event loop, and to which sessions that happened.

The code's session gets a ``pipecat.blocked`` stage, where the code ran, and one WARNING line. Every
session of the loop counts how long it had to wait. Where the code belongs to no session, there is
the line and no stage; where the process did not run, or no single piece of code is to blame,
neither names any.
"""

import asyncio
import contextvars
import sys
import threading
import time
import weakref
from collections.abc import Iterable
from typing import Final

from loguru import logger

from pipecat_dd import _guard
from pipecat_dd._forks import in_forked_processes
from pipecat_dd.conversation import blocked
from pipecat_dd.conversation.blocked import Block, Blocking, Cause
from pipecat_dd.conversation.context import WorkContext, run_at
from pipecat_dd.conversation.model import Stage
from pipecat_dd.instrumentation import gc_clock
from pipecat_dd.instrumentation.code_places import place_of, stack_of
from pipecat_dd.instrumentation.loop_watch import LoopWatch
from pipecat_dd.instrumentation.running_code import Sighting
from pipecat_dd.instrumentation.standstill import Piece, Standstill

LINE_EVERY_SECS: Final = 60.0
"""How often a place gets a line, at most. Each block has its span all the same."""

MAX_PLACES: Final = 256
"""How many places are remembered for that."""

_LEAST_SHARE: Final = 0.4
"""How much of a standstill must be left, without the time in which the process did not run, for
code to be blamed."""


class _Loop:
    """A watched event loop, and the sessions that run in it."""

    def __init__(self, watch: LoopWatch) -> None:
        self.watch = watch
        self.sessions: weakref.WeakSet[Blocking] = weakref.WeakSet()


_lock = threading.RLock()
_loops: dict[int, _Loop] = {}
"""By the loop's thread: a thread runs one loop at a time."""


def watched_loops() -> int:
    """Return how many event loops are watched."""
    return len(_loops)


def watch_loop(blocking: Blocking) -> None:
    """Watch the running event loop for a session, until the session ends.

    Args:
        blocking: The session's. A second call with it does nothing.
    """
    if not blocking.min_secs or blocking.leave is not None or not _has_lock():
        return
    loop, thread_id = asyncio.get_running_loop(), threading.get_ident()
    with _lock:
        found = _loops.get(thread_id)
        if found is not None and (found.watch.is_over or not found.watch.is_of(loop)):
            found.watch.stop()
            found = None
        is_new = found is None
        if found is None:
            found = _loops[thread_id] = _Loop(LoopWatch(loop, blocking.min_secs, _report, _forget))
        found.watch.min_secs = min(found.watch.min_secs, blocking.min_secs)
        found.sessions.add(blocking)
        gc_clock.start()
    member = _Member(found, blocking)
    blocking.look, blocking.leave = member.look, member.leave
    if is_new:
        found.watch.start()


class _Member:
    """A session's share in the watch of its loop."""

    def __init__(self, loop: _Loop, blocking: Blocking) -> None:
        self._loop = loop
        self._blocking = weakref.ref(blocking)

    def look(self) -> None:
        """Report what blocks the loop at this moment, or has since its last heartbeat."""
        watch = self._loop.watch
        if threading.get_ident() == watch.thread_id and not watch.is_over:
            with _guard.event_loop.guarded():
                # As a heartbeat does: what blocked need not be work of the session that looks.
                contextvars.Context().run(watch.look)

    def leave(self) -> None:
        """End the watch for the session. What blocks the loop at this moment is reported first."""
        found, blocking = self._loop, self._blocking()
        if blocking is None or blocking not in found.sessions:
            return
        self.look()
        with _lock:
            found.sessions.discard(blocking)
            left = [one.min_secs for one in found.sessions]
            if left:
                found.watch.min_secs = min(left)
                return
        found.watch.stop()
        _forget(found.watch)


def _forget(watch: LoopWatch) -> None:
    """Forget a loop that is no longer watched."""
    with _lock:
        found = _loops.get(watch.thread_id)
        if found is not None and found.watch is watch:
            del _loops[watch.thread_id]
        if not _loops:
            gc_clock.stop()


@in_forked_processes
def _after_fork() -> None:
    """Forget the parent's loops: neither their threads nor their sessions are here."""
    global _lock
    with _guard.event_loop.guarded():
        _lock = threading.RLock()
        for one in _loops.values():
            # A running loop may have been forked with its heartbeat.
            one.sessions.clear()
            one.watch.forget()
        _loops.clear()
        gc_clock.stop()


def _report(watch: LoopWatch, found: Standstill) -> None:
    with _lock:
        loop = _loops.get(watch.thread_id)
        sessions = [] if loop is None or loop.watch is not watch else list(loop.sessions)
    if not sessions:
        return
    offset_ns = time.time_ns() - time.monotonic_ns()
    end_ns = int(found.now_secs * 1e9) + offset_ns
    start_ns = end_ns - int(found.secs * 1e9)
    for session in sessions:
        session.note_standstill(start_ns, end_ns)
    blocked_secs = found.secs - found.not_running_secs
    # A machine with too little CPU also slows down code that takes too much of it.
    took_secs = max(
        found.cpu_secs, blocked_secs if blocked_secs >= _LEAST_SHARE * found.secs else 0
    )
    if not any(session.counts(took_secs) for session in sessions):
        _report_not_running(sessions, found.not_running_secs)
        return
    blocks = [
        (_block(one, offset_ns), one.ran)
        for one in found.pieces
        if any(session.counts(one.end_secs - one.start_secs) for session in sessions)
    ]
    for block, ran in blocks:
        with _guard.event_loop.guarded():
            _report_code(sessions, ran, block)
    if not blocks:
        cause = _cause(found.gc_secs, found.secs)
        block = Block(start_ns, end_ns, cause, cpu_seconds=found.cpu_secs, gc_seconds=found.gc_secs)
        with _guard.event_loop.guarded():
            _lines.write(block, len(sessions))
    for session in sessions:
        with _guard.event_loop.guarded():
            session.suffer(start_ns, end_ns)
    _listen(found.secs, max(blocks, key=lambda one: one[0].secs)[0].cause if blocks else cause)


def _report_not_running(sessions: Iterable[Blocking], secs: float) -> None:
    for session in sessions:
        with _guard.event_loop.guarded():
            session.miss(secs)
    if any(session.counts(secs) for session in sessions):
        _listen(secs, Cause.NOT_RUNNING)


def _listen(secs: float, cause: Cause) -> None:
    for listener in blocked.listeners:
        with _guard.event_loop.guarded():
            listener(secs, cause)


def _block(found: Piece, offset_ns: int) -> Block:
    ran = found.ran
    cause = _cause(found.gc_secs, found.end_secs - found.start_secs)
    if cause is Cause.CODE and ran.importing is not None:
        cause = Cause.IMPORT
    facts = int(found.start_secs * 1e9) + offset_ns, int(found.end_secs * 1e9) + offset_ns, cause
    spot = ran.spot
    if spot is None:
        return Block(*facts, cpu_seconds=found.cpu_secs, gc_seconds=found.gc_secs)
    place = place_of(spot)
    return Block(
        *facts,
        place=place.name,
        location=place.location,
        stack=stack_of(ran.spots),
        task=ran.task,
        cpu_seconds=found.cpu_secs,
        gc_seconds=found.gc_secs,
        importing=ran.importing,
    )


def _cause(gc_secs: float, secs: float) -> Cause:
    return Cause.GARBAGE_COLLECTION if gc_secs * 2 >= secs else Cause.CODE


def _report_code(sessions: list[Blocking], ran: Sighting, block: Block) -> None:
    work = ran.work
    session = None if work is None else work.session
    if work is None or session is None or ran.around is None:
        _lines.write(block, len(sessions))
        return
    stage = None
    blocking = session.blocking
    if blocking in sessions:
        stage = blocking.begin(block, work, ran.stage, ran.around)
    values = ran.carried or [work, None, False, None]
    if stage is not None:
        values = [_within(work, stage), *values[1:]]
    try:
        run_at(values, _lines.write, block, len(sessions))
    finally:
        if stage is not None:
            blocking.end(stage, block.end_ns)


def _within(work: WorkContext, stage: Stage) -> WorkContext:
    return WorkContext(work.session, work.processor, stage, work.participant)


class _Lines:
    """Writes the lines: for each place, one in a while."""

    def __init__(self) -> None:
        # When each place got its last line, and how many blocks have had none since.
        self._places: dict[str | None, tuple[float, int]] = {}

    def write(self, block: Block, session_count: int) -> None:
        """Write a line, unless the place has had one lately.

        Args:
            block: What to write of.
            session_count: How many sessions waited.
        """
        # Garbage is collected anywhere: it is one place.
        is_gc = block.cause is Cause.GARBAGE_COLLECTION
        place = block.cause.value if is_gc else block.place
        now_secs = time.monotonic()
        last_secs, left_out = self._places.pop(place, (None, 0))
        if last_secs is not None and now_secs - last_secs < LINE_EVERY_SECS:
            self._places[place] = last_secs, left_out + 1
            return
        self._places[place] = now_secs, 0
        while len(self._places) > MAX_PLACES:
            del self._places[next(iter(self._places))]
        logger.warning(_text(block, session_count, left_out))


def _text(block: Block, session_count: int, left_out: int) -> str:
    place = None if block.place is None else f"{block.place} ({block.location})"
    if block.cause is Cause.GARBAGE_COLLECTION:
        what = "garbage collection" + ("" if place is None else f", during {place}")
    else:
        what = place or "many callbacks together, or another thread that held Python's lock"
    if block.importing is not None:
        what += f", while importing {block.importing}"
    waited = "1 session" if session_count == 1 else f"{session_count} sessions"
    again = ""
    if left_out:
        times = "once more" if left_out == 1 else f"{left_out} more times"
        again = f"; {times} since the last such line"
    return (
        f"pipecat_dd: the event loop was blocked for {block.secs:.2f} s, and {waited} waited: "
        f"{what}{again}"
    )


_lines = _Lines()


def forget_lines() -> None:
    """Forget which places have had a line, so that the next block of each gets one."""
    global _lines
    _lines = _Lines()


def _has_lock() -> bool:
    """Whether this Python has its lock, under which another thread's stack can be read."""
    is_enabled = getattr(sys, "_is_gil_enabled", None)
    return is_enabled is None or bool(is_enabled())

"""Metrics of the process, which are sent once, however many sessions run in it.

A timer in each event loop with sessions measures the loop's lag and sends the queued metrics of
their stages. At a longer interval it reports the number of running sessions and the metrics about
this package. It starts with the loop's first session and stops with the last, so that no timer
is left behind.
"""

import asyncio
import contextvars
import threading
import time
import weakref

from pipecat_dd import _guard
from pipecat_dd._forks import in_forked_processes
from pipecat_dd.conversation import blocked
from pipecat_dd.conversation.call_stack import running_loop
from pipecat_dd.conversation.live_sessions import running_count
from pipecat_dd.conversation.model import Session
from pipecat_dd.export.metrics import sender
from pipecat_dd.export.metrics.own import OwnMetrics
from pipecat_dd.export.metrics.sample import Sample
from pipecat_dd.export.metrics.sender import Sender
from pipecat_dd.names import metric_tags, metrics

LAG_EVERY_SECS = 0.5
"""How often a loop's lag is measured, and how long a stage's metrics may be queued."""

REPORT_EVERY_SECS = 5.0
"""How often the other metrics are sent: the Agent keeps a gauge for ten seconds."""


class LoopTimer:
    """The timer of one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, process: "Process") -> None:
        self._loop = loop
        self._process = process
        self._timer: asyncio.TimerHandle | None = None
        self._due_secs = 0.0
        self._report_secs = time.monotonic() + REPORT_EVERY_SECS
        self._lags: list[float] = []
        self.sessions: weakref.WeakSet[Session] = weakref.WeakSet()

    def start(self) -> None:
        """Start the timer if it does not run."""
        if self._timer is None:
            self._schedule()

    def stop(self) -> list[float]:
        """Stop the timer and return the lags, in seconds, that are not yet reported."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        return self._take_lags()

    def _schedule(self) -> None:
        self._due_secs = time.monotonic() + LAG_EVERY_SECS
        # In an empty context: a session's context would be kept alive, and the timer would count
        # as the session's work.
        self._timer = self._loop.call_later(
            LAG_EVERY_SECS, self._tick, context=contextvars.Context()
        )

    def _tick(self) -> None:
        self._timer = None
        with _guard.metrics.guarded():
            now_secs = time.monotonic()
            self._lags.append(max(0.0, now_secs - self._due_secs))
            if not self.sessions or _guard.metrics.off:
                return
            self._schedule()
            if now_secs >= self._report_secs:
                self._report_secs = now_secs + REPORT_EVERY_SECS
                self._process.report(self._take_lags())
            else:
                self._process.send_queued()

    def _take_lags(self) -> list[float]:
        lags, self._lags = self._lags, []
        return lags


class Process:
    """Sends the metrics of the process."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._own = OwnMetrics()
        self._lock = threading.RLock()
        self._timers: dict[asyncio.AbstractEventLoop, LoopTimer] = {}

    def add_session(self, session: Session) -> None:
        """Note that a session begins in the running event loop."""
        loop = asyncio.get_running_loop()
        with self._lock:
            for closed in [other for other in self._timers if other.is_closed()]:
                del self._timers[closed]
            timer = self._timers.get(loop)
            if timer is None:
                timer = self._timers[loop] = LoopTimer(loop, self)
            timer.sessions.add(session)
        timer.start()
        self.report([])

    def remove_session(self, session: Session) -> None:
        """Note that a session has ended. Called in any thread when the process ends."""
        lags: list[float] = []
        with self._lock:
            for loop, timer in list(self._timers.items()):
                timer.sessions.discard(session)
                if not timer.sessions:
                    lags += timer.stop()
                    del self._timers[loop]
        self.report(lags)

    def report(self, lags: list[float]) -> None:
        """Send the number of running sessions and the metrics about this package.

        Args:
            lags: Measured lags of an event loop, in seconds, to be sent as well.
        """
        samples = [Sample(metrics.EVENT_LOOP_LAG_SECONDS, lag) for lag in lags]
        samples.append(Sample(metrics.SESSIONS_ACTIVE, running_count()))
        samples += self._own.poll()
        self._sender.send(samples)

    def note_block(self, secs: float, cause: blocked.Cause) -> None:
        """Queue the metric of a block of the running event loop, if sessions there send metrics.

        Args:
            secs: How long the loop stood still.
            cause: Why.
        """
        if running_loop() in self._timers:
            by = {metric_tags.CAUSE: cause.value}
            self._sender.queue([Sample(metrics.EVENT_LOOP_BLOCKED_SECONDS, secs, by)])

    def send_queued(self) -> None:
        """Send the queued metrics of stages."""
        self._sender.send_queued()

    def after_fork(self) -> None:
        """Start empty in a child process, where none of the parent's sessions run."""
        self._lock = threading.RLock()
        for timer in self._timers.values():
            # A running event loop may have been forked together with its timers.
            timer.sessions.clear()
        self._timers = {}
        self._own.after_fork()


_shared: Process | None = None


def shared() -> Process:
    """Return the one instance, created on the first call."""
    global _shared
    if _shared is None:
        _shared = Process(sender.shared())
        if _note_block not in blocked.listeners:
            blocked.listeners.append(_note_block)
        in_forked_processes(_after_fork)
    return _shared


def _note_block(secs: float, cause: blocked.Cause) -> None:
    with _guard.metrics.guarded():
        if _shared is not None and not _guard.metrics.off:
            _shared.note_block(secs, cause)


def _after_fork() -> None:
    with _guard.metrics.guarded():
        if _shared is not None:
            _shared.after_fork()

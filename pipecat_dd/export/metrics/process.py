"""What is true of the process rather than of a session: told once, however many run in it.

A timer in each event loop that sessions run in takes the loop's lag and passes on what their
stages have to say; now and then it says how many sessions run and what this package says of
itself. It starts with the first of them and stops with the last: no task and no timer is left
behind.
"""

import asyncio
import contextvars
import threading
import time
import weakref

from pipecat_dd import _guard
from pipecat_dd._forks import in_forked_processes
from pipecat_dd.conversation.live_sessions import running_count
from pipecat_dd.conversation.model import Session
from pipecat_dd.export.metrics import sender
from pipecat_dd.export.metrics.own import OwnMetrics
from pipecat_dd.export.metrics.sample import Sample
from pipecat_dd.export.metrics.sender import Sender
from pipecat_dd.names import metrics

LAG_EVERY_SECS = 0.5
"""How often a loop's lag is taken, and how long a stage's metrics wait for those of others."""

REPORT_EVERY_SECS = 5.0
"""How often the rest is said: the Agent keeps a gauge for ten seconds."""


class Pulse:
    """The timer of one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, process: "Process") -> None:
        """Prepare the timer.

        Args:
            loop: The event loop.
            process: Who reports.
        """
        self._loop = loop
        self._process = process
        self._timer: asyncio.TimerHandle | None = None
        self._due_secs = 0.0
        self._report_secs = time.monotonic() + REPORT_EVERY_SECS
        self._lags: list[float] = []
        self.sessions: weakref.WeakSet[Session] = weakref.WeakSet()

    def start(self) -> None:
        """Start the timer, if it does not run."""
        if self._timer is None:
            self._arm()

    def stop(self) -> list[float]:
        """Stop the timer; return what is left to say of the loop's lag."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        return self._taken()

    def _arm(self) -> None:
        self._due_secs = time.monotonic() + LAG_EVERY_SECS
        # In a context of its own: it must keep no session's alive, nor act in its name.
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
            self._arm()
            if now_secs >= self._report_secs:
                self._report_secs = now_secs + REPORT_EVERY_SECS
                self._process.report(self._taken())
            else:
                self._process.pass_on()

    def _taken(self) -> list[float]:
        lags, self._lags = self._lags, []
        return lags


class Process:
    """Tells what is true of the process."""

    def __init__(self, sender: Sender) -> None:
        """Tell of the process.

        Args:
            sender: Sends metrics.
        """
        self._sender = sender
        self._own = OwnMetrics()
        self._lock = threading.RLock()
        self._pulses: dict[asyncio.AbstractEventLoop, Pulse] = {}

    def session_begins(self, session: Session) -> None:
        """A session begins, in the running event loop.

        Args:
            session: The session.
        """
        loop = asyncio.get_running_loop()
        with self._lock:
            for closed in [other for other in self._pulses if other.is_closed()]:
                del self._pulses[closed]
            pulse = self._pulses.get(loop)
            if pulse is None:
                pulse = self._pulses[loop] = Pulse(loop, self)
            pulse.sessions.add(session)
        pulse.start()
        self.report([])

    def session_ends(self, session: Session) -> None:
        """A session has ended: in its event loop, or with its process in any thread.

        Args:
            session: The session.
        """
        lags: list[float] = []
        with self._lock:
            for loop, pulse in list(self._pulses.items()):
                pulse.sessions.discard(session)
                if not pulse.sessions:
                    lags += pulse.stop()
                    del self._pulses[loop]
        self.report(lags)

    def report(self, lags: list[float]) -> None:
        """Say how many sessions run, and what this package says of itself.

        Args:
            lags: What was taken of an event loop's lag, in seconds.
        """
        samples = [Sample(metrics.EVENT_LOOP_LAG_SECONDS, lag) for lag in lags]
        samples.append(Sample(metrics.SESSIONS_ACTIVE, running_count()))
        samples += self._own.poll()
        self._sender.send(samples)

    def pass_on(self) -> None:
        """Send what stages had to say since last time."""
        self._sender.pass_on()

    def after_fork(self) -> None:
        """Begin anew in a child, in which none of the parent's sessions run."""
        self._lock = threading.RLock()
        for pulse in self._pulses.values():
            # The event loop may have been forked as it ran, and its timers with it.
            pulse.sessions.clear()
        self._pulses = {}
        self._own.after_fork()


_shared: Process | None = None


def shared() -> Process:
    """Return the process."""
    global _shared
    if _shared is None:
        _shared = Process(sender.shared())
        in_forked_processes(_after_fork)
    return _shared


def _after_fork() -> None:
    with _guard.metrics.guarded():
        if _shared is not None:
            _shared.after_fork()

"""Sends a process's metrics: one client for all sessions, made with the first thing to send."""

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator

from pipecat_dd import _exit, _guard
from pipecat_dd._forks import in_forked_processes
from pipecat_dd.export.metrics._dogstatsd import Client, Line
from pipecat_dd.export.metrics.sample import Sample
from pipecat_dd.export.metrics.values import Values
from pipecat_dd.names.metrics import METRICS

FLUSH_SECS = 0.5
"""How long the end of the process waits for what is still to be sent. Nothing in that waits but
for a host's name to be looked up."""

KEPT_MAX = 200
"""How many metrics are kept back at most, to be sent together."""

_TYPES = {metric.name: metric.type for metric in METRICS}


class Sender:
    """Sends metrics, in any thread."""

    def __init__(self, connect: Callable[[], Client] = Client) -> None:
        """Prepare to send.

        Args:
            connect: Makes the client.
        """
        self._connect = connect
        self._client: Client | None = None
        self._values = Values()
        self._kept: deque[Sample] = deque()
        self._lock = threading.RLock()
        self._within = threading.local()

    def keep(self, samples: Iterable[Sample]) -> None:
        """Have metrics sent with the next that are, or by :meth:`pass_on`.

        Each packet wakes the sending thread, which then takes the interpreter from the event
        loop: with fifty conversations and a packet for each stage, for milliseconds at a time.

        Args:
            samples: The metrics.
        """
        self._kept.extend(samples)
        if len(self._kept) >= KEPT_MAX:
            self.pass_on()

    def pass_on(self) -> None:
        """Send what was kept back."""
        if self._kept:
            self.send(())

    def send(self, samples: Iterable[Sample]) -> None:
        """Send metrics, together with what was kept back before them; returns at once.

        Called in the middle of another call in the same thread, as by a handler of a signal
        that closes sessions, it drops them: the client's locks may be held by what was
        interrupted, and it would wait for them for ever.

        Args:
            samples: The metrics.
        """
        if getattr(self._within, "call", False):
            return
        self._within.call = True
        try:
            client = self._connected()
            lines = [*self._lines((*self._taken(), *samples))]
            if lines:
                client.send(lines)
        finally:
            self._within.call = False

    def flush(self, timeout_secs: float) -> None:
        """Wait until all is sent.

        Args:
            timeout_secs: How long at most.
        """
        self.pass_on()
        client = self._client
        if client is not None and not getattr(self._within, "call", False):
            client.flush(timeout_secs)

    def after_fork(self) -> None:
        """Begin anew in a child: the client's thread, and whoever held its locks, are not in it.

        What was kept back is the parent's to send.
        """
        self._client = None
        self._kept = deque()
        self._lock = threading.RLock()
        self._within = threading.local()

    def _lines(self, samples: Iterable[Sample]) -> Iterator[Line]:
        for sample in samples:
            try:
                line = _TYPES[sample.metric], sample.metric, sample.value, self._tags(sample)
            except Exception as error:  # each by itself: they are of several sessions
                _guard.metrics.failed(error)
            else:
                yield line

    def _taken(self) -> Iterator[Sample]:
        """Take what was kept back, of which another thread may be taking some too."""
        with contextlib.suppress(IndexError):
            while True:
                yield self._kept.popleft()

    def _connected(self) -> Client:
        client = self._client
        if client is None:
            with self._lock:
                client = self._client = self._client or self._connect()
        return client

    def _tags(self, sample: Sample) -> list[str]:
        tags = (self._values.tag(name, value) for name, value in sample.tags.items())
        return [tag for tag in tags if tag is not None]


_shared: Sender | None = None
_prepared = False


def shared() -> Sender:
    """Return the process's sender, which is flushed when the process ends."""
    global _shared, _prepared
    if _shared is None:
        _shared = Sender()
        if not _prepared:
            _prepared = True
            _exit.do_last(_flush)
            in_forked_processes(_after_fork)
    return _shared


def _flush() -> None:
    with _guard.metrics.guarded():
        if _shared is not None:
            _shared.flush(FLUSH_SECS)


def _after_fork() -> None:
    with _guard.metrics.guarded():
        if _shared is not None:
            _shared.after_fork()

"""Sends the metrics of all sessions with one client, which the first metric creates."""

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
"""How long the end of the process waits for queued metrics, in seconds. Only resolving a host
name takes any time at all."""

MAX_QUEUED = 200
"""The most metrics that are queued to be sent together."""

_TYPES = {metric.name: metric.type for metric in METRICS}


class Sender:
    """Sends metrics. Its methods may be called in any thread.

    Args:
        connect: Creates the client.
    """

    def __init__(self, connect: Callable[[], Client] = Client) -> None:
        self._connect = connect
        self._client: Client | None = None
        self._values = Values()
        self._queued: deque[Sample] = deque()
        self._lock = threading.RLock()
        self._thread = threading.local()

    def queue(self, samples: Iterable[Sample]) -> None:
        """Queue metrics, to be sent with the next call of `send` or `send_queued`.

        Each packet wakes the sending thread, which then takes the GIL from the event loop: with
        fifty conversations and a packet for each stage, for milliseconds at a time.
        """
        self._queued.extend(samples)
        if len(self._queued) >= MAX_QUEUED:
            self.send_queued()

    def send_queued(self) -> None:
        """Send the queued metrics."""
        if self._queued:
            self.send(())

    def send(self, samples: Iterable[Sample]) -> None:
        """Send metrics together with the queued ones. Returns at once.

        A nested call in the same thread drops its metrics: a signal handler that closes sessions
        may have interrupted a call that holds the client's locks, and would wait forever.
        """
        if getattr(self._thread, "is_sending", False):
            return
        self._thread.is_sending = True
        try:
            client = self._connected()
            lines = [*self._lines((*self._take_queued(), *samples))]
            if lines:
                client.send(lines)
        finally:
            self._thread.is_sending = False

    def flush(self, timeout_secs: float) -> None:
        """Send the queued metrics and wait until the client has sent all.

        Args:
            timeout_secs: The longest wait, in seconds.
        """
        self.send_queued()
        client = self._client
        if client is not None and not getattr(self._thread, "is_sending", False):
            client.flush(timeout_secs)

    def after_fork(self) -> None:
        """Start empty in a child process: the client's thread does not exist there.

        The parent sends the queued metrics.
        """
        self._client = None
        self._queued = deque()
        self._lock = threading.RLock()
        self._thread = threading.local()

    def _lines(self, samples: Iterable[Sample]) -> Iterator[Line]:
        for sample in samples:
            try:
                line = _TYPES[sample.metric], sample.metric, sample.value, self._tags(sample)
            except Exception as error:  # the other metrics, of other sessions, are still sent
                _guard.metrics.failed(error)
            else:
                yield line

    def _take_queued(self) -> Iterator[Sample]:
        """Take the queued metrics; another thread may be taking some at the same time."""
        with contextlib.suppress(IndexError):
            while True:
                yield self._queued.popleft()

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
    """Return the one sender of this process, which is flushed when the process ends."""
    global _shared, _prepared
    if _shared is None:
        _shared = Sender()
        if not _prepared:
            _prepared = True
            _exit.run_at_exit(_flush)
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

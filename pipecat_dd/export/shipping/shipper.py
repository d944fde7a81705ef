"""A shipper takes lines from any thread and sends them from a thread of its own."""

import contextvars
import threading
import time
from typing import Final

from pipecat_dd import _guard
from pipecat_dd.conversation.context import sink_at_work
from pipecat_dd.export.shipping._http import Intake
from pipecat_dd.export.shipping.batches import Enricher
from pipecat_dd.export.shipping.buffer import Buffer
from pipecat_dd.export.shipping.counting import Counters, Reason
from pipecat_dd.export.shipping.inflight import Inflight
from pipecat_dd.export.shipping.notices import Notices
from pipecat_dd.export.shipping.settings import Settings
from pipecat_dd.export.shipping.spool import Spool
from pipecat_dd.export.shipping.worker import SETTLE_SECS, Flush, Worker

END_SECS: Final = 1.8
"""How long the end of the process, or of shipping, waits for lines that are not yet sent."""
_THREAD: Final = "pipecat-dd-shipper"


class Shipper:
    """Ships lines to Datadog's log intake.

    Args:
        settings: The destination and the limits.
        counters: Where the lines are counted.

    Raises:
        ValueError: The spool's directory cannot be used.
    """

    def __init__(self, settings: Settings, counters: Counters) -> None:
        self.settings = settings
        self._counters = counters
        self._intake = Intake(settings.url, settings.api_key, settings.timeout_secs)
        self._spool = (
            Spool(settings.spool_dir, self._intake.address, settings.max_spool_bytes, counters)
            if settings.spool_dir is not None
            else None
        )
        self._is_closed = False
        self._thread: threading.Thread | None = None
        self._prepare()

    def _prepare(self) -> None:
        settings, counters = self.settings, self._counters
        fallback = (
            f"They are spooled in {settings.spool_dir}"
            if self._spool is not None
            else f"They wait in memory, up to {settings.max_memory_bytes} bytes,"
        )
        self._buffer = Buffer(settings.max_memory_bytes, counters)
        self._worker = Worker(
            self._buffer,
            Inflight(self._buffer, counters),
            self._spool,
            self._intake,
            Enricher(settings.fields, settings.secret),
            Notices(self._intake.address, fallback, counters),
            counters,
            settings.flush_interval_secs,
        )

    def put(self, line: str) -> None:
        """Take a line to be shipped. Does not block.

        Args:
            line: A JSON object.
        """
        if self._thread is None or self._is_closed or _guard.shipping.off:
            self._put_without_thread(line)
        else:
            self._buffer.put(line)

    def _put_without_thread(self, line: str) -> None:
        if not (self._is_closed or _guard.shipping.off):
            self._buffer.put(line)
            self.start()
            return
        with self._counters.lock:
            self._counters.written += 1
            self._counters.drop(1, Reason.EXIT if self._is_closed else Reason.FAILED)

    def start(self) -> None:
        """Start the thread if it does not run. It also sends what is in the spool."""
        with self._counters.lock:
            if self._thread is not None or self._is_closed:
                return
            # A new context: the thread's lines belong to no session, and what libraries log in
            # it must not be shipped in turn.
            context = contextvars.Context()
            context.run(sink_at_work.set, self)
            thread = threading.Thread(
                target=context.run, args=(self._worker.run,), name=_THREAD, daemon=True
            )
            self._thread = thread
        try:
            thread.start()
        except RuntimeError:  # the interpreter is shutting down, or there are too many threads
            self._thread = None

    def finish(self, secs: float = END_SECS, *, drop: bool = True) -> None:
        """Send all lines; write what is left after that time to the spool, if there is one.

        Lines that come later are shipped as before.

        Args:
            secs: How long to wait at most, in seconds.
            drop: Whether to drop what is left if it cannot be spooled.
        """
        if self._worker.is_idle:
            return
        thread = self._thread
        if thread is not None and thread.is_alive() and thread is not threading.current_thread():
            flush = Flush(time.monotonic() + secs, drop)
            self._worker.request_flush(flush)
            if drop and not flush.is_done.wait(max(secs - SETTLE_SECS, 0.0)):
                # There is no time left to wait for an answer.
                self._intake.interrupt()
            flush.is_done.wait(SETTLE_SECS if drop else secs)
            if flush.is_done.is_set():
                return
        # The thread does not run, or it is stuck where it cannot be interrupted (resolving a
        # host name).
        if drop:
            self._worker.spool_lines(drop=True)

    def close(self, secs: float = END_SECS) -> None:
        """Send all lines as `finish` does, and stop the thread. Later lines are dropped.

        Args:
            secs: How long to wait at most, in seconds.
        """
        self._is_closed = True
        self.finish(secs)
        self._worker.stop()

    def after_fork(self) -> None:
        """Start empty in a forked process: the parent sends its own lines."""
        self._worker.after_fork()
        if self._spool is not None:
            self._spool.after_fork()
        self._thread = None
        self._prepare()

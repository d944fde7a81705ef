"""A shipper: takes lines from whoever logs, and has a thread that sends them."""

import contextvars
import threading
import time
from typing import Final

from pipecat_dd import _guard
from pipecat_dd.conversation.context import sink_at_work
from pipecat_dd.export.shipping._http import Intake
from pipecat_dd.export.shipping.batches import Addressing
from pipecat_dd.export.shipping.buffer import Buffer
from pipecat_dd.export.shipping.counting import Counters, Reason
from pipecat_dd.export.shipping.inflight import Inflight
from pipecat_dd.export.shipping.notices import Notices
from pipecat_dd.export.shipping.settings import Settings
from pipecat_dd.export.shipping.spool import Spool
from pipecat_dd.export.shipping.worker import SETTLE_SECS, Ending, Worker

END_SECS: Final = 1.8
"""How long the end of the process, or of shipping, may be held up for what is still to send."""
_THREAD: Final = "pipecat-dd-shipper"


class Shipper:
    """Ships lines to Datadog's log intake.

    Args:
        settings: Where to, and within which bounds.
        counters: Count what becomes of the lines.

    Raises:
        ValueError: The spool's directory cannot be used.
    """

    def __init__(self, settings: Settings, counters: Counters) -> None:
        self.settings = settings
        self._counters = counters
        self._intake = Intake(settings.url, settings.api_key, settings.timeout_secs)
        self._spool = (
            Spool(settings.spool_dir, self._intake.place, settings.max_spool_bytes, counters)
            if settings.spool_dir is not None
            else None
        )
        self._is_closed = False
        self._thread: threading.Thread | None = None
        self._begin()

    def _begin(self) -> None:
        settings, counters = self.settings, self._counters
        keeps = (
            f"They are spooled in {settings.spool_dir}"
            if self._spool is not None
            else f"They wait in memory, {settings.max_memory_bytes} bytes of them"
        )
        self._waiting = Buffer(settings.max_memory_bytes, counters)
        self._worker = Worker(
            self._waiting,
            Inflight(self._waiting, counters),
            self._spool,
            self._intake,
            Addressing(settings.fields, settings.secret),
            Notices(self._intake.place, keeps, counters),
            counters,
            settings.flush_interval_secs,
        )

    def put(self, line: str) -> None:
        """Take a line to be shipped. Does not block.

        Args:
            line: A JSON object.
        """
        if self._thread is None or self._is_closed or _guard.shipping.off:
            self._put_without_a_thread(line)
        else:
            self._waiting.put(line)

    def _put_without_a_thread(self, line: str) -> None:
        if not (self._is_closed or _guard.shipping.off):
            self._waiting.put(line)
            self.start()
            return
        with self._counters.lock:
            self._counters.written += 1
            self._counters.drop(1, Reason.EXIT if self._is_closed else Reason.FAILED)

    def start(self) -> None:
        """Start the thread, if it is not there: what lies in the spool is sent from now on."""
        with self._counters.lock:
            if self._thread is not None or self._is_closed:
                return
            # A context of its own: the lines it writes are no session's, and what libraries
            # log there is not to be shipped in turn.
            context = contextvars.Context()
            context.run(sink_at_work.set, self)
            thread = threading.Thread(
                target=context.run, args=(self._worker.run,), name=_THREAD, daemon=True
            )
            self._thread = thread
        try:
            thread.start()
        except RuntimeError:  # the interpreter is about to end, or there are too many threads
            self._thread = None

    def finish(self, secs: float = END_SECS, *, drop: bool = True) -> None:
        """Send what there is, and give what is left then to the spool, or up.

        Lines that come later are shipped as before.

        Args:
            secs: How long that may take, in seconds.
            drop: Whether what is left may be given up, where there is no spool.
        """
        if self._worker.is_idle:
            return
        thread = self._thread
        if thread is not None and thread.is_alive() and thread is not threading.current_thread():
            ending = Ending(time.monotonic() + secs, drop)
            self._worker.end(ending)
            if drop and not ending.is_done.wait(max(secs - SETTLE_SECS, 0.0)):
                # Its answer will not be waited for any more.
                self._intake.interrupt()
            ending.is_done.wait(SETTLE_SECS if drop else secs)
            if ending.is_done.is_set():
                return
        # Stuck where nothing can be cut off (the name is being looked up), or not there.
        if drop:
            self._worker.settle(drop=True)

    def close(self, secs: float = END_SECS) -> None:
        """Do the same, and end the thread. Lines that come later are dropped.

        Args:
            secs: How long that may take, in seconds.
        """
        self._is_closed = True
        self.finish(secs)
        self._worker.stop()

    def forked(self) -> None:
        """Begin anew in a forked process: its parent's lines are its parent's to send."""
        self._worker.forked()
        if self._spool is not None:
            self._spool.forked()
        self._thread = None
        self._begin()

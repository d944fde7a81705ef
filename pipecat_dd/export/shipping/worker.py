"""The thread that ships: it takes lines from memory, sends them, and spools what it cannot send.

It sends in this order: batches that it has begun to send, lines that this process has spooled,
lines in memory, and last the lines that other processes have left in the spool.
"""

import threading
import time
from dataclasses import dataclass, field
from typing import Final

from pipecat_dd import _guard
from pipecat_dd.export.shipping._http import Answer, Intake, Unreachable
from pipecat_dd.export.shipping.batches import MAX_LINE_BYTES, Batch, Enricher, batched
from pipecat_dd.export.shipping.buffer import Buffer
from pipecat_dd.export.shipping.counting import Counters, Reason
from pipecat_dd.export.shipping.inflight import Inflight
from pipecat_dd.export.shipping.notices import Notices
from pipecat_dd.export.shipping.retry import Backoff, Verdict, verdict_on
from pipecat_dd.export.shipping.spool import Claim, Spool

SETTLE_SECS: Final = 0.3
"""How much of the time of a flush is reserved for spooling what could not be sent."""
_SPOOL_CHECK_SECS: Final = 30.0
"""How often to look for lines that other processes have left in the spool."""
_SPOOL_SECS: Final = 5.0
"""How often lines are spooled while they cannot be sent, or dropped while the key is refused."""
_AFTER_ERROR_SECS: Final = 1.0
_LAST_TRY_SECS: Final = 0.1


@dataclass
class Flush:
    """A request to send all lines.

    Attributes:
        deadline: When it must be done, by `time.monotonic`.
        drops: Whether lines that are left at the deadline, and cannot be spooled, are dropped.
        is_done: Set when the request is done.
    """

    deadline: float
    drops: bool
    is_done: threading.Event = field(default_factory=threading.Event)

    @property
    def send_secs(self) -> float:
        """The time that is left for sending, in seconds."""
        return max(self.deadline - SETTLE_SECS - time.monotonic(), 0.0)


class Worker:
    """Ships lines, in the thread that calls `run`.

    Args:
        buffer: The lines in memory.
        inflight: The batches that are being sent.
        spool: Where lines are kept that cannot be sent now; None to keep them in memory.
        intake: Where lines are sent.
        enrich: Adds the fields that the intake needs.
        notices: Logs what goes wrong.
        counters: Where the lines are counted.
        flush_interval_secs: How long a line waits for others to be sent with, in seconds.
    """

    def __init__(
        self,
        buffer: Buffer,
        inflight: Inflight,
        spool: Spool | None,
        intake: Intake,
        enrich: Enricher,
        notices: Notices,
        counters: Counters,
        flush_interval_secs: float,
    ) -> None:
        self._buffer = buffer
        self._inflight = inflight
        self._spool = spool
        self._intake = intake
        self._enrich = enrich
        self._notices = notices
        self._counters = counters
        self._interval_secs = flush_interval_secs
        self._backoff = Backoff()
        self._has_spooled = False
        self._next_others_at = time.monotonic()
        self._others_were_last = False
        self._claim: Claim | None = None
        self._flush: Flush | None = None
        self._is_stopped = False

    # Called from other threads

    @property
    def is_idle(self) -> bool:
        """Whether this process has no lines to send."""
        return not (self._counters.snapshot().waiting or self._has_spooled)

    def request_flush(self, flush: Flush) -> None:
        """Have the thread send all lines. Returns at once; `Flush.is_done` reports the end."""
        self._flush = flush
        self._buffer.wake()

    def stop(self) -> None:
        """Have the thread end soon."""
        self._is_stopped = True
        self._buffer.wake()

    def spool_lines(self, *, drop: bool) -> None:
        """Write the lines in memory to the spool, if there is one.

        Called from the thread itself, or from another if the thread is stuck.

        Args:
            drop: Whether to drop what cannot be spooled.
        """
        reason = Reason.REFUSED if self._backoff.refusals else Reason.EXIT
        while (batch := self._next_batch()) is not None:
            if self._spool is not None and self._try_spool(batch):
                continue
            if not drop:
                return
            if self._inflight.remove(batch):
                self._counters.drop(len(batch), reason)

    def after_fork(self) -> None:
        """Release the parent's connection and locks in a forked process."""
        self._intake.close()
        if self._claim is not None:
            self._claim.release()

    # Called in the thread

    def run(self) -> None:
        """Ship until `stop` is called, or until shipping has failed too often."""
        while not (self._is_stopped or _guard.shipping.off):
            try:
                self._step()
            except Exception as error:
                try:
                    self._recover(error)
                except Exception:
                    time.sleep(_AFTER_ERROR_SECS)
        self._intake.close()

    def _step(self) -> None:
        self._wait()
        if self._is_stopped:
            return
        flush, self._flush = self._flush, None
        if flush is not None:
            self._finish(flush)
            return
        if not self._backoff.remaining_secs:
            if self._is_others_turn:
                self._send_others()
            else:
                self._send_next(None)
        if self._backoff.remaining_secs:
            self._spool_or_drop()
        self._notices.overflowing()

    def _wait(self) -> None:
        """Wait until there is something to do."""
        if self._is_interrupted:
            return
        buffer, spool = self._buffer, self._spool
        if remaining_secs := self._backoff.remaining_secs:
            keeps = spool is None and not self._backoff.is_refused
            buffer.wait(remaining_secs if keeps else min(remaining_secs, _SPOOL_SECS))
            return
        others_secs = self._next_others_at - time.monotonic()
        if self._inflight or self._has_spooled or buffer.fills_a_request:
            return
        if spool is not None and others_secs <= 0:
            return
        if not len(buffer):
            buffer.wait(None if spool is None else others_secs, for_a_line=True)
        if len(buffer) and not buffer.fills_a_request and not self._is_interrupted:
            buffer.wait(self._interval_secs)

    @property
    def _is_interrupted(self) -> bool:
        return self._is_stopped or self._flush is not None

    def _spool_or_drop(self) -> None:
        """Spool lines while they cannot be sent; without a spool, drop them if the key is wrong."""
        if self._spool is not None:
            self.spool_lines(drop=False)
        elif self._backoff.is_refused:
            self.spool_lines(drop=True)

    def _finish(self, flush: Flush) -> None:
        """Send all lines, as long as there is time."""
        dropped_before = self._counters.snapshot().dropped_in_all
        try:
            tries = 0
            while self._may_still_send(flush):
                # Lines that are not dropped are sent again after a timeout: a shorter one than
                # usual would send some of them twice.
                if not self._send_next(flush.send_secs if flush.drops else None):
                    break
                if self._backoff.failures:
                    tries += 1
                    time.sleep(min(_LAST_TRY_SECS * 2**tries, flush.send_secs))
            if flush.drops or self._spool is not None:
                self.spool_lines(drop=flush.drops)
            self._notices.dropped_at_end(self._counters.snapshot().dropped_in_all - dropped_before)
        finally:
            flush.is_done.set()

    def _may_still_send(self, flush: Flush) -> bool:
        secs = flush.send_secs
        return secs > 0 and not self._backoff.refusals and self._backoff.asked_secs <= secs

    def _send_next(self, timeout_secs: float | None) -> bool:
        """Send one request of this process's lines.

        Args:
            timeout_secs: A shorter timeout than the usual one, in seconds; None for the usual.

        Returns:
            Whether there was anything to send.
        """
        self._others_were_last = False
        if self._has_spooled and not self._inflight:
            claim = self._spool.claim_oldest(own=True) if self._spool is not None else None
            self._has_spooled = claim is not None
            if claim is not None:
                self._send_claimed(claim, timeout_secs)
                return True
        batch = self._next_batch()
        if batch is None:
            return False
        self._apply(self._post(batch, timeout_secs), batch, None)
        return True

    @property
    def _is_others_turn(self) -> bool:
        """Whether to send what other processes have left, in turn with lines in memory."""
        if self._spool is None or self._inflight or self._has_spooled:
            return False
        due = time.monotonic() >= self._next_others_at
        return due and not (self._others_were_last and len(self._buffer))

    def _send_others(self) -> None:
        """Send one file that another process has left in the spool, if there is one."""
        self._others_were_last = True
        claim = self._spool.claim_oldest(own=False) if self._spool is not None else None
        if claim is None:
            self._next_others_at = time.monotonic() + _SPOOL_CHECK_SECS
        else:
            self._send_claimed(claim, None)

    def _send_claimed(self, claim: Claim, timeout_secs: float | None) -> None:
        self._claim = claim
        try:
            self._apply(self._post(claim.batch, timeout_secs), claim.batch, claim)
        finally:
            claim.release()
            self._claim = None

    def _next_batch(self) -> Batch | None:
        """Return the batch to send next, taking lines from memory if there is none."""
        while not self._inflight:
            lines = self._buffer.take()
            if not lines:
                return None
            enriched = [self._enrich(line) for line in lines]
            sendable = [line for line in enriched if len(line) <= MAX_LINE_BYTES]
            self._counters.drop(len(enriched) - len(sendable), Reason.TOO_LARGE)
            self._inflight.add(batched(sendable))
        return self._inflight.first

    def _post(self, batch: Batch, timeout_secs: float | None) -> Answer | None:
        """Send a batch, update the backoff and the notices, and return the intake's answer."""
        with self._counters.lock:
            self._counters.requests += 1
        answer, why = None, ""
        try:
            answer = self._intake.post(batch.body, timeout_secs)
            why = f"HTTP status {answer.status}"
        except Unreachable as error:
            why = str(error)
        match verdict_on(answer):
            case Verdict.RETRY:
                self._backoff.record_failure(answer.wait_secs if answer is not None else None)
                self._notices.unreachable(why)
            case Verdict.REFUSED:
                self._backoff.record_failure(None, refused=True)
                if answer is not None:
                    self._notices.refused(answer.status, dropping=self._spool is None)
            case Verdict.REJECTED:
                self._backoff.reset()
                if answer is not None:
                    self._notices.rejected(answer.status, len(batch))
            case _:
                self._backoff.reset()
                self._notices.reached()
        return answer

    def _apply(self, answer: Answer | None, batch: Batch, claim: Claim | None) -> None:
        """Count, keep or split a batch, depending on the answer."""
        verdict = verdict_on(answer)
        if verdict in (Verdict.RETRY, Verdict.REFUSED):
            return
        if claim is not None:
            claim.done()
            with self._counters.lock:
                self._counters.unspooled += len(batch)
                if verdict is Verdict.TOO_LARGE and len(batch) > 1:
                    self._inflight.add(batch.halves())
                else:
                    self._count(batch, verdict)
        elif verdict is Verdict.TOO_LARGE and len(batch) > 1:
            self._inflight.split(batch)
        else:
            with self._counters.lock:
                if self._inflight.remove(batch):
                    self._count(batch, verdict)

    def _count(self, batch: Batch, verdict: Verdict) -> None:
        if verdict is Verdict.ACCEPTED:
            self._counters.shipped += len(batch)
        else:
            too_large = verdict is Verdict.TOO_LARGE
            self._counters.drop(len(batch), Reason.TOO_LARGE if too_large else Reason.REJECTED)

    def _try_spool(self, batch: Batch) -> bool:
        """Write a batch to the spool; return whether it has left memory."""
        assert self._spool is not None
        if not self._inflight.remove(batch):
            return True
        try:
            self._spool.put(batch)
        except OSError as error:
            self._inflight.put_back(batch)
            self._notices.spool_failed(error.strerror or type(error).__name__)
            return False
        self._has_spooled = True
        return True

    def _recover(self, error: Exception) -> None:
        """Continue after an error of our own, without the batch that may have caused it."""
        _guard.shipping.failed(error)
        if (batch := self._inflight.first) is not None and self._inflight.remove(batch):
            self._counters.drop(len(batch), Reason.FAILED)
        if self._flush is None:
            self._buffer.wait(_AFTER_ERROR_SECS)

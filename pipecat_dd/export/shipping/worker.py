"""The thread that ships: takes lines from memory, sends them, keeps them when it cannot.

Order, where there is a choice: what is in hand, then what this process has spooled, then what
waits in memory, and last what other processes have left in the spool.
"""

import threading
import time
from dataclasses import dataclass, field
from typing import Final

from pipecat_dd import _guard
from pipecat_dd.export.shipping._http import Answer, Intake, Unreachable
from pipecat_dd.export.shipping.batches import MAX_LINE_BYTES, Addressing, Batch, batched
from pipecat_dd.export.shipping.buffer import Buffer
from pipecat_dd.export.shipping.counting import Counters, Reason
from pipecat_dd.export.shipping.inflight import Inflight
from pipecat_dd.export.shipping.notices import Notices
from pipecat_dd.export.shipping.retry import Trouble, Verdict, verdict_on
from pipecat_dd.export.shipping.spool import Claim, Spool

SETTLE_SECS: Final = 0.3
"""Of the time there is at the end, what is kept for writing down what could not be sent."""
_GLANCE_SECS: Final = 30.0
"""How often to look for what other processes have left in the spool."""
_ASIDE_SECS: Final = 5.0
"""While lines cannot be sent, how often they are spooled, or dropped where the key is wrong."""
_AFTER_ERROR_SECS: Final = 1.0
_LAST_TRY_SECS: Final = 0.1


@dataclass
class Ending:
    """A wish to have everything sent.

    Attributes:
        deadline: Until when, on `time.monotonic`'s clock.
        drops: Whether what is left then is given up.
        is_done: Set when it is over.
    """

    deadline: float
    drops: bool
    is_done: threading.Event = field(default_factory=threading.Event)

    @property
    def send_secs(self) -> float:
        """How long there is still to send, in seconds."""
        return max(self.deadline - SETTLE_SECS - time.monotonic(), 0.0)


class Worker:
    """Ships, in a thread of its own, until it is told to stop.

    Args:
        waiting: The lines in memory.
        hand: What was taken from there.
        spool: Where lines lie that cannot be sent now; None to keep them in memory.
        intake: Where they go.
        address: Makes lines of the log those of the intake.
        saying: Says what goes wrong.
        counters: Counts.
        flush_interval_secs: How long a line waits for others.
    """

    def __init__(
        self,
        waiting: Buffer,
        hand: Inflight,
        spool: Spool | None,
        intake: Intake,
        address: Addressing,
        saying: Notices,
        counters: Counters,
        flush_interval_secs: float,
    ) -> None:
        self._waiting = waiting
        self._hand = hand
        self._spool = spool
        self._intake = intake
        self._address = address
        self._saying = saying
        self._counters = counters
        self._interval_secs = flush_interval_secs
        self._trouble = Trouble()
        self._own_in_spool = False
        self._others_at = time.monotonic()
        self._others_had_their_turn = False
        self._claim: Claim | None = None
        self._ending: Ending | None = None
        self._is_stopped = False

    # From other threads

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to send, of this process."""
        return not (self._counters.snapshot().waiting or self._own_in_spool)

    def end(self, ending: Ending) -> None:
        """Have everything sent; the ending says when that is done.

        Args:
            ending: Until when, and what then.
        """
        self._ending = ending
        self._waiting.ring()

    def stop(self) -> None:
        """End the thread, soon."""
        self._is_stopped = True
        self._waiting.ring()

    def settle(self, *, drop: bool) -> None:
        """Give what is in memory to the spool; without one, or if that fails, drop it if asked.

        Called from the thread itself, or from another when the thread is stuck.

        Args:
            drop: Whether to drop what cannot be spooled.
        """
        reason = Reason.REFUSED if self._trouble.refusals else Reason.EXIT
        while (batch := self._in_hand()) is not None:
            if self._spool is not None and self._spooled(batch):
                continue
            if not drop:
                return
            if self._hand.let_go(batch):
                self._counters.drop(len(batch), reason)

    def forked(self) -> None:
        """Let go, in a forked process, of what is its parent's."""
        self._intake.close()
        if self._claim is not None:
            self._claim.release()

    # In the thread

    def run(self) -> None:
        """Ship until told to stop, or until it has failed too often."""
        while not (self._is_stopped or _guard.shipping.off):
            try:
                self._turn()
            except Exception as error:
                try:
                    self._broke(error)
                except Exception:
                    time.sleep(_AFTER_ERROR_SECS)
        self._intake.close()

    def _turn(self) -> None:
        self._pause()
        if self._is_stopped:
            return
        ending, self._ending = self._ending, None
        if ending is not None:
            self._finish(ending)
            return
        if not self._trouble.left_secs:
            if self._are_others_next:
                self._send_others()
            else:
                self._send_next(None)
        if self._trouble.left_secs:
            self._set_aside()
        self._saying.overflowing()

    def _pause(self) -> None:
        """Wait until there is something to do."""
        if self._is_asked:
            return
        waiting, spool = self._waiting, self._spool
        if left_secs := self._trouble.left_secs:
            keeps = spool is None and not self._trouble.is_refused
            waiting.pause(left_secs if keeps else min(left_secs, _ASIDE_SECS))
            return
        others_secs = self._others_at - time.monotonic()
        if self._hand or self._own_in_spool or waiting.fills_a_request:
            return
        if spool is not None and others_secs <= 0:
            return
        if not len(waiting):
            waiting.pause(None if spool is None else others_secs, for_a_line=True)
        if len(waiting) and not waiting.fills_a_request and not self._is_asked:
            waiting.pause(self._interval_secs)

    @property
    def _is_asked(self) -> bool:
        return self._is_stopped or self._ending is not None

    def _set_aside(self) -> None:
        """Do with lines what is to be done while they cannot be sent."""
        if self._spool is not None:
            self.settle(drop=False)
        elif self._trouble.is_refused:
            self.settle(drop=True)

    def _finish(self, ending: Ending) -> None:
        """Send all there is, for as long as there is time."""
        dropped_before = self._counters.snapshot().dropped_in_all
        try:
            tries = 0
            while self._may_still_send(ending):
                # Where lines stay, a request that is given up on early would be sent twice.
                if not self._send_next(ending.send_secs if ending.drops else None):
                    break
                if self._trouble.failures:
                    tries += 1
                    time.sleep(min(_LAST_TRY_SECS * 2**tries, ending.send_secs))
            if ending.drops or self._spool is not None:
                self.settle(drop=ending.drops)
            self._saying.ended_with(self._counters.snapshot().dropped_in_all - dropped_before)
        finally:
            ending.is_done.set()

    def _may_still_send(self, ending: Ending) -> bool:
        secs = ending.send_secs
        return secs > 0 and not self._trouble.refusals and self._trouble.asked_secs <= secs

    def _send_next(self, timeout_secs: float | None) -> bool:
        """Send one request of this process's lines.

        Args:
            timeout_secs: How long it may take, where that is less than usual.

        Returns:
            Whether there was anything to send.
        """
        self._others_had_their_turn = False
        if self._own_in_spool and not self._hand:
            claim = self._spool.oldest(own=True) if self._spool is not None else None
            self._own_in_spool = claim is not None
            if claim is not None:
                self._send_claimed(claim, timeout_secs)
                return True
        batch = self._in_hand()
        if batch is None:
            return False
        self._settle_by(self._posted(batch, timeout_secs), batch, None)
        return True

    @property
    def _are_others_next(self) -> bool:
        """Whether it is the turn of what other processes have left: after ours, and by turns."""
        if self._spool is None or self._hand or self._own_in_spool:
            return False
        due = time.monotonic() >= self._others_at
        return due and not (self._others_had_their_turn and len(self._waiting))

    def _send_others(self) -> None:
        """Send what another process has left, if one has."""
        self._others_had_their_turn = True
        claim = self._spool.oldest(own=False) if self._spool is not None else None
        if claim is None:
            self._others_at = time.monotonic() + _GLANCE_SECS
        else:
            self._send_claimed(claim, None)

    def _send_claimed(self, claim: Claim, timeout_secs: float | None) -> None:
        self._claim = claim
        try:
            self._settle_by(self._posted(claim.batch, timeout_secs), claim.batch, claim)
        finally:
            claim.release()
            self._claim = None

    def _in_hand(self) -> Batch | None:
        """Return the next batch from memory, in hand."""
        while not self._hand:
            lines = self._waiting.take()
            if not lines:
                return None
            addressed = [self._address(line) for line in lines]
            fitting = [line for line in addressed if len(line) <= MAX_LINE_BYTES]
            self._counters.drop(len(addressed) - len(fitting), Reason.TOO_LARGE)
            self._hand.add(batched(fitting))
        return self._hand.first

    def _posted(self, batch: Batch, timeout_secs: float | None) -> Answer | None:
        """Send a batch, note what that says of the intake, and return its answer."""
        with self._counters.lock:
            self._counters.requests += 1
        answer, why = None, ""
        try:
            answer = self._intake.post(batch.body, timeout_secs)
            why = f"it answers {answer.status}"
        except Unreachable as error:
            why = str(error)
        match verdict_on(answer):
            case Verdict.RETRY:
                self._trouble.failed(answer.wait_secs if answer is not None else None)
                self._saying.unreachable(why)
            case Verdict.REFUSED:
                self._trouble.failed(None, refused=True)
                if answer is not None:
                    self._saying.refused(answer.status, dropping=self._spool is None)
            case Verdict.REJECTED:
                self._trouble.is_over()
                if answer is not None:
                    self._saying.rejected(answer.status, len(batch))
            case _:
                self._trouble.is_over()
                self._saying.reached()
        return answer

    def _settle_by(self, answer: Answer | None, batch: Batch, claim: Claim | None) -> None:
        """Do with a batch what its answer says."""
        verdict = verdict_on(answer)
        if verdict in (Verdict.RETRY, Verdict.REFUSED):
            return
        if claim is not None:
            claim.done()
            with self._counters.lock:
                self._counters.unspooled += len(batch)
                if verdict is Verdict.TOO_LARGE and len(batch) > 1:
                    self._hand.add(batch.halves())
                else:
                    self._count(batch, verdict)
        elif verdict is Verdict.TOO_LARGE and len(batch) > 1:
            self._hand.split(batch)
        else:
            with self._counters.lock:
                if self._hand.let_go(batch):
                    self._count(batch, verdict)

    def _count(self, batch: Batch, verdict: Verdict) -> None:
        if verdict is Verdict.ACCEPTED:
            self._counters.shipped += len(batch)
        else:
            too_large = verdict is Verdict.TOO_LARGE
            self._counters.drop(len(batch), Reason.TOO_LARGE if too_large else Reason.REJECTED)

    def _spooled(self, batch: Batch) -> bool:
        """Write a batch in hand to the spool; return whether it is out of hand."""
        assert self._spool is not None
        if not self._hand.let_go(batch):
            return True
        try:
            self._spool.put(batch)
        except OSError as error:
            self._hand.put_back(batch)
            self._saying.spool_failed(error.strerror or type(error).__name__)
            return False
        self._own_in_spool = True
        return True

    def _broke(self, error: Exception) -> None:
        """Go on after an error of our own, without what it may have been about."""
        _guard.shipping.failed(error)
        if (batch := self._hand.first) is not None and self._hand.let_go(batch):
            self._counters.drop(len(batch), Reason.FAILED)
        if self._ending is None:
            self._waiting.pause(_AFTER_ERROR_SECS)

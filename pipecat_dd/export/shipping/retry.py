"""What the intake's answer means for the lines, and how long to wait before the next request."""

import random
import time
from enum import Enum, auto
from typing import Final

from pipecat_dd.export.shipping._http import Answer

FIRST_WAIT_SECS = 1.0
LONGEST_WAIT_SECS = 60.0
LONGEST_ASKED_SECS: Final = 300.0
"""The longest wait, even if the intake asks for a longer one."""
REFUSED_WAIT_SECS: Final = 300.0
"""The wait after a refused key, which may have been put right by then."""
REFUSALS_BEFORE_DROPPING: Final = 3
"""One 401 or 403 may be a fault of the intake; after this many the key is taken to be wrong."""

_RETRIED: Final = frozenset({408, 425, 429})


class Verdict(Enum):
    """What to do with the lines of a request."""

    ACCEPTED = auto()
    """Nothing: they arrived."""
    RETRY = auto()
    """Send them again later."""
    REFUSED = auto()
    """Nothing can be sent with this key."""
    TOO_LARGE = auto()
    """Send them in two halves."""
    REJECTED = auto()
    """Drop them: they would be rejected again."""


def verdict_on(answer: Answer | None) -> Verdict:
    """Return what an answer means.

    Args:
        answer: None if the intake did not answer.
    """
    if answer is None or answer.status >= 500 or answer.status in _RETRIED:
        return Verdict.RETRY
    if 200 <= answer.status < 300:
        return Verdict.ACCEPTED
    if answer.status in (401, 403):
        return Verdict.REFUSED
    return Verdict.TOO_LARGE if answer.status == 413 else Verdict.REJECTED


class Backoff:
    """How long to wait before the next request.

    Attributes:
        failures: How many requests in a row have failed.
        refusals: How many of those failed because of the key.
    """

    def __init__(self) -> None:
        self.failures = 0
        self.refusals = 0
        self._until = 0.0
        self._is_asked = False

    @property
    def asked_secs(self) -> float:
        """The remaining wait if the intake has asked for one, else 0, in seconds."""
        return self.remaining_secs if self._is_asked else 0.0

    @property
    def remaining_secs(self) -> float:
        """The remaining wait, in seconds; 0 if a request may be sent now."""
        return max(self._until - time.monotonic(), 0.0) if self.failures else 0.0

    @property
    def is_refused(self) -> bool:
        """Whether the key is taken to be wrong."""
        return self.refusals >= REFUSALS_BEFORE_DROPPING

    def record_failure(self, asked_secs: float | None, *, refused: bool = False) -> None:
        """Note that a request has failed.

        Args:
            asked_secs: The wait that the intake asks for, in seconds; None if it asks for none.
            refused: Whether the request failed because of the key.
        """
        self.failures += 1
        self.refusals += refused
        self._is_asked = bool(asked_secs)
        if self.is_refused:
            secs = REFUSED_WAIT_SECS
        else:
            longest = min(FIRST_WAIT_SECS * 2 ** min(self.failures - 1, 16), LONGEST_WAIT_SECS)
            # Many bots lose the intake at the same moment; they must not all retry at once.
            secs = random.uniform(longest / 2, longest)
            secs = max(secs, min(asked_secs or 0.0, LONGEST_ASKED_SECS))
        self._until = time.monotonic() + secs

    def reset(self) -> None:
        """Note that the intake has received a request."""
        self.failures = self.refusals = 0

"""What an answer of the intake means for the lines, and how long to leave it alone."""

import random
import time
from enum import Enum, auto
from typing import Final

from pipecat_dd.export.shipping._http import Answer

FIRST_WAIT_SECS = 1.0
LONGEST_WAIT_SECS = 60.0
LONGEST_ASKED_SECS: Final = 300.0
"""However long the intake asks to be left alone, it is asked again after this."""
REFUSED_WAIT_SECS: Final = 300.0
"""How often a key that was refused is tried again: somebody may have put it right."""
REFUSALS_BEFORE_DROPPING: Final = 3
"""A single 401 or 403 may be the intake's own trouble; after so many the key is wrong."""

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
    """Let go of them: they would be rejected again."""


def verdict_on(answer: Answer | None) -> Verdict:
    """Return what an answer means.

    Args:
        answer: The answer; None where none came.
    """
    if answer is None or answer.status >= 500 or answer.status in _RETRIED:
        return Verdict.RETRY
    if 200 <= answer.status < 300:
        return Verdict.ACCEPTED
    if answer.status in (401, 403):
        return Verdict.REFUSED
    return Verdict.TOO_LARGE if answer.status == 413 else Verdict.REJECTED


class Trouble:
    """Whether the intake is to be left alone, and until when.

    Attributes:
        failures: How many requests in a row have failed.
        refusals: How many of them because of the key.
    """

    def __init__(self) -> None:
        self.failures = 0
        self.refusals = 0
        self._until = 0.0
        self._is_asked = False

    @property
    def asked_secs(self) -> float:
        """How long the intake has asked to be left alone still, in seconds."""
        return self.left_secs if self._is_asked else 0.0

    @property
    def left_secs(self) -> float:
        """How long it is still to be left alone, in seconds; 0 where it need not be."""
        return max(self._until - time.monotonic(), 0.0) if self.failures else 0.0

    @property
    def is_refused(self) -> bool:
        """Whether the key is wrong for all we know."""
        return self.refusals >= REFUSALS_BEFORE_DROPPING

    def failed(self, asked_secs: float | None, *, refused: bool = False) -> None:
        """Note that a request has failed.

        Args:
            asked_secs: How long the intake asks to be left alone; None where it does not say.
            refused: Whether it was because of the key.
        """
        self.failures += 1
        self.refusals += refused
        self._is_asked = bool(asked_secs)
        if self.is_refused:
            secs = REFUSED_WAIT_SECS
        else:
            longest = min(FIRST_WAIT_SECS * 2 ** min(self.failures - 1, 16), LONGEST_WAIT_SECS)
            # Many bots lose the intake at the same moment; they must not return at the same.
            secs = random.uniform(longest / 2, longest)
            secs = max(secs, min(asked_secs or 0.0, LONGEST_ASKED_SECS))
        self._until = time.monotonic() + secs

    def is_over(self) -> None:
        """Note that a request has arrived."""
        self.failures = self.refusals = 0

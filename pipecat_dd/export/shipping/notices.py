"""What shipping says of itself, on the other sinks: seldom, and never of itself to itself.

Lines of this module are not shipped (see `is_ours`): a line that tells of a line that could not
be sent must not become another.
"""

import time
from typing import Final

from loguru import logger

from pipecat_dd.export.shipping.counting import Counters, Reason

_PACKAGE: Final = __name__.rpartition(".")[0]
_SILENCE_SECS: Final = 60.0
"""After telling of an outage, the next is told no sooner."""


def is_ours(name: str | None) -> bool:
    """Tell whether a line is one of this package's own.

    Args:
        name: The module it comes from.
    """
    return name is not None and name.startswith(_PACKAGE)


class Notices:
    """Says once what goes wrong, and when it is over.

    Args:
        host: The intake's host.
        keeps: Where lines are kept meanwhile, in words.
        counters: Tell what was dropped.
    """

    def __init__(self, host: str, keeps: str, counters: Counters) -> None:
        self._host = host
        self._keeps = keeps
        self._counters = counters
        self._said: set[str] = set()
        self._quiet_until = 0.0
        self._dropped_before: int | None = None
        self._overflowed = self._overflow()

    def unreachable(self, why: str) -> None:
        """Say that lines cannot be sent now.

        Args:
            why: In words, or the status that was answered.
        """
        if self._dropped_before is not None or time.monotonic() < self._quiet_until:
            return
        self._dropped_before = self._counters.snapshot().dropped_in_all
        self._quiet_until = time.monotonic() + _SILENCE_SECS
        logger.warning(
            "pipecat_dd: log lines do not reach {} ({}). {}, and are sent when it answers",
            self._host,
            why,
            self._keeps,
        )

    def reached(self) -> None:
        """Say that lines can be sent again, if it was said that they cannot."""
        if "refused" in self._said:
            self._said.discard("refused")
            logger.warning("pipecat_dd: {} takes the API key again", self._host)
        if self._dropped_before is None:
            return
        dropped = self._counters.snapshot().dropped_in_all - self._dropped_before
        self._dropped_before = None
        self._overflowed = self._overflow()
        logger.warning(
            "pipecat_dd: log lines reach {} again; {} were dropped meanwhile", self._host, dropped
        )

    def overflowing(self) -> None:
        """Say that more is written than can be sent, where it is and no outage explains it."""
        overflowed = self._overflow()
        if (
            overflowed == self._overflowed
            or self._dropped_before is not None
            or time.monotonic() < self._quiet_until
        ):
            return
        lines, self._overflowed = overflowed - self._overflowed, overflowed
        self._quiet_until = time.monotonic() + _SILENCE_SECS
        logger.warning(
            "pipecat_dd: {} log lines were dropped: more are written than {} takes in time. "
            "Raise the level, sample, or give max_memory_bytes more",
            lines,
            self._host,
        )

    def _overflow(self) -> int:
        dropped = self._counters.snapshot().dropped
        return dropped.get(Reason.MEMORY_FULL, 0) + dropped.get(Reason.SPOOL_FULL, 0)

    def refused(self, status: int, *, dropping: bool) -> None:
        """Say that the key is wrong.

        Args:
            status: What was answered.
            dropping: Whether lines are dropped from now on.
        """
        self._once(
            "refused",
            f"pipecat_dd: {self._host} refuses the API key ({status}). Check that DD_API_KEY is "
            f"an API key, not an application key, that it is not revoked, and that DD_SITE is "
            f"its site; then start anew. "
            + ("Lines are not shipped until then" if dropping else f"{self._keeps} until then"),
        )

    def rejected(self, status: int, lines: int) -> None:
        """Say that lines were let go of, since the intake does not want them.

        Args:
            status: What was answered.
            lines: How many.
        """
        self._once(
            f"rejected {status}",
            f"pipecat_dd: {self._host} answered {status} to {lines} log lines, which are dropped, "
            "as all are to which it answers so. If it is no intake of Datadog's logs, correct "
            "DD_SITE or PIPECAT_DD_SHIP_URL",
        )

    def spool_failed(self, why: str) -> None:
        """Say that lines cannot be written to disk.

        Args:
            why: What the system says.
        """
        self._once(
            "spool",
            f"pipecat_dd: log lines cannot be spooled ({why}) and wait in memory instead",
        )

    def ended_with(self, lines: int) -> None:
        """Say that lines could not be sent before the end.

        Args:
            lines: How many.
        """
        if lines:
            logger.warning(
                "pipecat_dd: {} log lines could not be shipped before the end, and are dropped",
                lines,
            )

    def _once(self, kind: str, text: str) -> None:
        if kind not in self._said:
            self._said.add(kind)
            logger.error("{}", text)

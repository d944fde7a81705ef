"""Shipping's own log lines: few, and written to the other sinks only.

They are not shipped themselves (see `is_ours`): a line about lines that cannot be sent must not
join those lines.
"""

import time
from typing import Final

from loguru import logger

from pipecat_dd.export.shipping.counting import Counters, Reason

_PACKAGE: Final = __name__.rpartition(".")[0]
_SILENCE_SECS: Final = 60.0
"""The shortest time between two warnings."""


def is_ours(name: str | None) -> bool:
    """Whether a line comes from this package.

    Args:
        name: The module that logged the line; None if unknown.
    """
    return name is not None and name.startswith(_PACKAGE)


class Notices:
    """Logs what goes wrong, once, and when it works again.

    Args:
        host: The intake's host.
        fallback: Where lines stay meanwhile, as a sentence without its full stop.
        counters: Where dropped lines are counted.
    """

    def __init__(self, host: str, fallback: str, counters: Counters) -> None:
        self._host = host
        self._fallback = fallback
        self._counters = counters
        self._logged: set[str] = set()
        self._quiet_until = 0.0
        self._dropped_before: int | None = None
        self._overflowed = self._overflow()

    def unreachable(self, why: str) -> None:
        """Log that lines cannot be sent now.

        Args:
            why: The reason, in a few words.
        """
        if self._dropped_before is not None or time.monotonic() < self._quiet_until:
            return
        self._dropped_before = self._counters.snapshot().dropped_in_all
        self._quiet_until = time.monotonic() + _SILENCE_SECS
        logger.warning(
            "pipecat_dd: log lines do not reach {} ({}). {} and are sent once it answers",
            self._host,
            why,
            self._fallback,
        )

    def reached(self) -> None:
        """Log that lines can be sent again, if it was logged that they cannot."""
        if "refused" in self._logged:
            self._logged.discard("refused")
            logger.warning("pipecat_dd: {} accepts the API key again", self._host)
        if self._dropped_before is None:
            return
        dropped = self._counters.snapshot().dropped_in_all - self._dropped_before
        self._dropped_before = None
        self._overflowed = self._overflow()
        logger.warning(
            "pipecat_dd: log lines reach {} again; {} were dropped in the meantime",
            self._host,
            dropped,
        )

    def overflowing(self) -> None:
        """Log that lines were dropped because the bot logs faster than they can be sent.

        Does nothing during an outage, which `unreachable` has reported.
        """
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
            "pipecat_dd: {} log lines were dropped: the bot logs faster than {} accepts lines. "
            "Log less (level=, levels=, sample=) or raise max_memory_bytes",
            lines,
            self._host,
        )

    def _overflow(self) -> int:
        dropped = self._counters.snapshot().dropped
        return dropped.get(Reason.MEMORY_FULL, 0) + dropped.get(Reason.SPOOL_FULL, 0)

    def refused(self, status: int, *, dropping: bool) -> None:
        """Log that the intake refuses the API key.

        Args:
            status: The HTTP status of its answer.
            dropping: Whether lines are dropped from now on.
        """
        self._log_once(
            "refused",
            f"pipecat_dd: {self._host} refuses the API key ({status}). Check that DD_API_KEY is "
            f"an API key, not an application key, that it is not revoked, and that it belongs to "
            f"the site in DD_SITE; then restart the bot. "
            + ("Lines are not shipped until then" if dropping else f"{self._fallback} until then"),
        )

    def rejected(self, status: int, lines: int) -> None:
        """Log that the intake rejects lines, which are dropped.

        Args:
            status: The HTTP status of its answer.
            lines: The number of lines in the request.
        """
        self._log_once(
            f"rejected {status}",
            f"pipecat_dd: {self._host} answered {status} to {lines} log lines. Lines with this "
            "answer are dropped. If that host is not Datadog's log intake, correct DD_SITE or "
            "PIPECAT_DD_SHIP_URL",
        )

    def spool_failed(self, why: str) -> None:
        """Log that lines cannot be written to disk.

        Args:
            why: The system's error message.
        """
        self._log_once(
            "spool",
            f"pipecat_dd: log lines cannot be spooled ({why}) and wait in memory instead",
        )

    def dropped_at_end(self, lines: int) -> None:
        """Log that lines could not be sent before shipping ended.

        Args:
            lines: The number of lines; nothing is logged for 0.
        """
        if lines:
            logger.warning(
                "pipecat_dd: {} log lines could not be shipped before the end and were dropped",
                lines,
            )

    def _log_once(self, kind: str, text: str) -> None:
        if kind not in self._logged:
            self._logged.add(kind)
            logger.error("{}", text)

"""All that was found, as one thing to show."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from pipecat_dd.cli.doctor import checks
from pipecat_dd.cli.doctor.checks import Group
from pipecat_dd.cli.doctor.context import Context
from pipecat_dd.cli.doctor.finding import Finding, Level
from pipecat_dd.cli.doctor.private import SecretFilter

SCHEMA: Final = 1
"""Goes up when a name in the JSON changes its meaning or goes; new names may come at any time."""

CANNOT_SEE: Final = (
    "what the bot's own code sets up when it runs: arguments of DatadogObserver and "
    "configure_logging, patches under a condition, variables loaded from a file",
    "whether log lines are collected: the Agent's log collection, or a shipper, is beside the bot",
    "what Datadog keeps: retention filters, exclusion filters and quotas of your organisation",
)
"""What the doctor has no way to know; said, so that no finding is not taken for a clean bill."""


@dataclass(frozen=True, slots=True)
class Report:
    """What was found.

    Attributes:
        findings: Each with the group that it belongs to, in order.
        start: How the bot is started, where that was told.
    """

    findings: list[tuple[Group, Finding]]
    start: dict[str, Any] | None

    @property
    def level(self) -> Level:
        """The worst level among the findings."""
        found = {finding.level for _, finding in self.findings}
        return next((level for level in reversed(Level) if level in found), Level.OK)

    @property
    def exit_code(self) -> int:
        """The command's exit code: 1 where there is a problem, else 0."""
        return 1 if self.level is Level.PROBLEM else 0

    def counts(self) -> dict[str, int]:
        """Return how many findings there are of each level."""
        counted = Counter(finding.level for _, finding in self.findings)
        return {str(level): counted[level] for level in Level}

    def as_json(self) -> dict[str, Any]:
        """Return the report as an object of JSON; docs/doctor.md describes it."""
        return {
            "schema": SCHEMA,
            "checked_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "level": str(self.level),
            "counts": self.counts(),
            "start": self.start,
            "findings": [
                {
                    "check": finding.check,
                    "level": str(finding.level),
                    "says": finding.says,
                    "do": finding.do,
                    "facts": dict(finding.facts),
                }
                for _, finding in self.findings
            ],
            "cannot_see": list(CANNOT_SEE),
        }


def examine(situation: Context, *, asked_for: Iterable[str] = ()) -> Report:
    """Run all checks, and leave out of what they found what is secret.

    Args:
        situation: What they look at.
        asked_for: Groups to run besides those that are always run.
    """
    discretion = SecretFilter(situation.environ)
    start = situation.start
    return Report(
        [
            (group, discretion.finding(finding))
            for group, finding in checks.run(situation, asked_for=asked_for)
        ],
        {
            "by": start.by,
            "source": None if start.source is None else start.source.name,
            "variables": sorted(start.variables),
        }
        if start.told
        else None,
    )

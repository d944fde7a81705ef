"""The doctor's report: all findings of a run."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from pipecat_dd.cli.doctor import checks
from pipecat_dd.cli.doctor.checks import Group
from pipecat_dd.cli.doctor.context import Context
from pipecat_dd.cli.doctor.finding import Finding, Level
from pipecat_dd.cli.doctor.secret_filter import SecretFilter

SCHEMA: Final = 1
"""Increases when a name in the JSON is removed or changes its meaning. Names may be added."""

CANNOT_SEE: Final = (
    "what the bot's code configures while it runs: arguments of DatadogObserver and "
    "configure_logging, patches that depend on a condition, variables loaded from a file",
    "whether log lines are collected: the Agent or another log collector does that",
    "what Datadog keeps: your organisation's retention filters, exclusion filters and quotas",
)
"""What the doctor cannot check. It is shown with every report, also with one without problems."""


@dataclass(frozen=True, slots=True)
class Report:
    """The findings of a run.

    Attributes:
        findings: The findings in order, each with its group.
        start: How the bot is started, as JSON; None if the user gave no command.
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
        """The command's exit code: 1 if there is a problem, else 0."""
        return 1 if self.level is Level.PROBLEM else 0

    def counts(self) -> dict[str, int]:
        """Return the number of findings of each level."""
        counted = Counter(finding.level for _, finding in self.findings)
        return {str(level): counted[level] for level in Level}

    def as_json(self) -> dict[str, Any]:
        """Return the report as a JSON object, as docs/doctor.md describes it."""
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


def examine(context: Context, *, asked_for: Iterable[str] = ()) -> Report:
    """Run all checks and remove secrets from their findings.

    Args:
        context: The input of the checks.
        asked_for: The names of groups to run in addition to those that always run.
    """
    secret_filter = SecretFilter(context.environ)
    start = context.start
    return Report(
        [
            (group, secret_filter.finding(finding))
            for group, finding in checks.run(context, asked_for=asked_for)
        ],
        {
            "by": start.by,
            "source": None if start.source is None else start.source.name,
            "variables": sorted(start.variables),
        }
        if start.is_given
        else None,
    )

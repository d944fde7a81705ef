"""What a user can choose: when monitors fire, whom they tell, and what they look at."""

import re
from dataclasses import dataclass, fields

from pipecat_dd.export.metrics.values import WITHIN_SECS

_HANDLE = re.compile(r"@\S+\Z")
_TAG_VALUE = re.compile(r"[a-z0-9][a-z0-9_./-]{0,99}\Z")

APPS = {
    "datadoghq.com": "https://app.datadoghq.com",
    "datadoghq.eu": "https://app.datadoghq.eu",
    "us3.datadoghq.com": "https://us3.datadoghq.com",
    "us5.datadoghq.com": "https://us5.datadoghq.com",
    "ap1.datadoghq.com": "https://ap1.datadoghq.com",
    "ap2.datadoghq.com": "https://ap2.datadoghq.com",
    "uk1.datadoghq.com": "https://uk1.datadoghq.com",
    "ddog-gov.com": "https://app.ddog-gov.com",
    "us2.ddog-gov.com": "https://us2.ddog-gov.com",
}
"""Where people look, by ``DD_SITE``."""


class BadOptionError(ValueError):
    """An option has a value that is not allowed."""


@dataclass(frozen=True, slots=True)
class Options:
    """What to make.

    Percentages are of those there were, with the least number added to them: see
    `docs/setup.md`. Each monitor warns at half of its threshold.

    Attributes:
        site: Datadog's site, as in ``DD_SITE``.
        service: The service that monitors watch; empty for every service, each on its own.
        env: The environment that monitors watch; empty for every one.
        notify: Whom monitors tell: ``@slack-voice``, ``@maria@example.com``.
        failed_turns_percent: Turns in 30 minutes that failed.
        unanswered_turns_percent: Turns in 30 minutes whose user waited for an answer in vain.
        slow_answers_percent: Answers in 30 minutes that took longer than ``slow_answer_secs``.
        slow_answer_secs: From how many seconds on an answer is slow: 1, 2, 3, 5 or 8.
        unusable_services_percent: Services that failed for good, for each 100 turns in 15 minutes.
        error_lines_percent: Error lines for each 100 turns in an hour.
        lines_without_trace_percent: Lines of sessions in 15 minutes that have no trace.
        abnormal_ends_percent: Sessions in an hour that failed, or ended with their process.
        silent_sessions_percent: Sessions in an hour in which the bot never spoke.
        sessions_lost_percent: Sessions begun in 4 hours that neither ended nor are running.
        quiet_hours: After how many hours without a session to alert, 2 to 24.
        event_loop_lag_secs: How late the event loop may be, at the 95th percentile of 15 minutes.
        lines_dropped_percent: Lines in 30 minutes that were dropped instead of shipped.
        least_turns: How many turns are added to those there were, before a share is taken.
        least_sessions: The same for sessions.
        least_lines: The same for lines.

    Raises:
        BadOptionError: A value is not allowed.
    """

    site: str = "datadoghq.com"
    service: str = ""
    env: str = ""
    notify: tuple[str, ...] = ()
    failed_turns_percent: float = 10.0
    unanswered_turns_percent: float = 10.0
    slow_answers_percent: float = 10.0
    slow_answer_secs: int = 3
    unusable_services_percent: float = 5.0
    error_lines_percent: float = 10.0
    lines_without_trace_percent: float = 5.0
    abnormal_ends_percent: float = 10.0
    silent_sessions_percent: float = 20.0
    sessions_lost_percent: float = 10.0
    quiet_hours: int = 20
    event_loop_lag_secs: float = 0.2
    lines_dropped_percent: float = 1.0
    least_turns: int = 20
    least_sessions: int = 10
    least_lines: int = 200

    def __post_init__(self) -> None:
        if self.site not in APPS:
            raise BadOptionError(
                f"DD_SITE is {self.site!r}, which is no site of Datadog's; "
                f"allowed: {', '.join(APPS)}"
            )
        for name in ("service", "env"):
            value = getattr(self, name)
            if value and not _TAG_VALUE.match(value):
                raise BadOptionError(
                    f"{name} is {value!r}; allowed: what Datadog takes as a tag, that is small "
                    "letters, digits and . _ / - (100 at most)"
                )
        for handle in self.notify:
            if not _HANDLE.match(handle):
                raise BadOptionError(
                    f"notify is {handle!r}; allowed: a handle of Datadog's, such as @slack-voice "
                    "or @maria@example.com"
                )
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, float) and not 0 < value <= 1_000:
                raise BadOptionError(
                    f"{field.name} is {value!r}; allowed: above 0, and 1000 at most"
                )
            if field.name.startswith("least_") and not 0 <= value <= 1_000_000:
                raise BadOptionError(f"{field.name} is {value!r}; allowed: 0 to 1000000")
        if self.slow_answer_secs not in WITHIN_SECS:
            allowed = ", ".join(map(str, WITHIN_SECS))
            raise BadOptionError(
                f"slow_answer_secs is {self.slow_answer_secs!r}; allowed: {allowed}"
            )
        if not 2 <= self.quiet_hours <= 24:
            raise BadOptionError(f"quiet_hours is {self.quiet_hours!r}; allowed: 2 to 24")

    @property
    def scope(self) -> str:
        """The service and environment that monitors watch, as one word: ``bot/prod``."""
        return f"{self.service or 'all'}/{self.env or 'all'}"

    @property
    def is_scoped(self) -> bool:
        """Whether monitors watch less than everything."""
        return bool(self.service or self.env)

    @property
    def app(self) -> str:
        """The address of Datadog's pages."""
        return APPS[self.site]

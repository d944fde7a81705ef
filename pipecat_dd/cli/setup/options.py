"""The options of the monitors: when they alert, whom they notify, and what they watch."""

import re
from dataclasses import dataclass, fields
from typing import ClassVar

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
"""The address of Datadog's web application, by ``DD_SITE``."""


_WITHIN = ("slow_answer_secs", "slow_hello_secs", "dead_air_secs")
"""What is counted by tags that say within how many seconds something happened."""


class BadOptionError(ValueError):
    """An option has a value that is not allowed."""


@dataclass(frozen=True, slots=True)
class Options:
    """The options of the monitors.

    Before a percentage is taken, ``least_*`` is added to the total: see `docs/setup.md`. Each
    monitor warns at half of its threshold.

    Attributes:
        MAX_THRESHOLD: The greatest threshold, whether a percentage, seconds, or a count per 100.
        MAX_LEAST: The most turns, sessions or lines that can be added to a total.
        QUIET_HOURS: The least and the most hours without a session.
        site: The Datadog site, as in ``DD_SITE``.
        service: The service to watch; empty for all services, each of which alerts separately.
        env: The environment to watch; empty for all environments.
        notify: The handles to notify, such as ``@slack-voice`` or ``@maria@example.com``.
        failed_turns_percent: The percentage of failed turns in 30 minutes.
        unanswered_turns_percent: The percentage of unanswered turns in 30 minutes.
        slow_answers_percent: The percentage of answers in 30 minutes that were slow.
        slow_answer_secs: An answer is slow after this many seconds: 1, 2, 3, 5 or 8.
        unusable_services_percent: Permanently failed services per 100 turns in 15 minutes.
        error_lines_percent: Error lines per 100 turns in an hour.
        lines_without_trace_percent: The percentage of session lines without a trace in 15 minutes.
        voice_gaps_percent: Gaps in the bot's voice per 100 of its speeches in 30 minutes.
        blocked_loops_percent: Times that the event loop was blocked per 100 turns in 30 minutes.
        dead_air_percent: The percentage of sessions in an hour with dead air.
        dead_air_secs: A silence in which the bot owed an answer is dead air after this many
            seconds: 1, 2, 3, 5 or 8.
        no_user_audio_percent: Times that a participant's audio never came, per 100 sessions in an
            hour.
        slow_hellos_percent: The percentage of sessions in an hour whose first words came slowly.
        slow_hello_secs: The bot's first words are slow after this many seconds: 1, 2, 3, 5 or 8.
        lost_connections_percent: Connections of services that were lost or refused per 100
            sessions begun in 30 minutes.
        abnormal_ends_percent: The percentage of abnormally ended sessions in an hour.
        silent_sessions_percent: The percentage of sessions in which the bot never spoke, in an
            hour.
        sessions_lost_percent: The percentage of sessions that neither ended nor are running, in
            4 hours.
        quiet_hours: The number of hours without a session, 2 to 24.
        event_loop_lag_secs: The event loop lag at the 95th percentile of 15 minutes.
        lines_dropped_percent: The percentage of lines dropped instead of shipped, in 30 minutes.
        least_turns: The number that is added to the total of turns.
        least_sessions: The number that is added to the total of sessions.
        least_lines: The number that is added to the total of lines.

    Raises:
        BadOptionError: A value is not allowed.
    """

    MAX_THRESHOLD: ClassVar = 1_000
    MAX_LEAST: ClassVar = 1_000_000
    QUIET_HOURS: ClassVar = (2, 24)

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
    voice_gaps_percent: float = 10.0
    blocked_loops_percent: float = 20.0
    dead_air_percent: float = 10.0
    dead_air_secs: int = 8
    no_user_audio_percent: float = 10.0
    slow_hellos_percent: float = 20.0
    slow_hello_secs: int = 5
    lost_connections_percent: float = 10.0
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
                f"DD_SITE is {self.site!r}, which is not a Datadog site; allowed: {', '.join(APPS)}"
            )
        for name in ("service", "env"):
            value = getattr(self, name)
            if value and not _TAG_VALUE.match(value):
                raise BadOptionError(
                    f"{name} is {value!r}; allowed: values of Datadog tags, which are up to 100 "
                    "lower-case letters, digits and . _ / -"
                )
        for handle in self.notify:
            if not _HANDLE.match(handle):
                raise BadOptionError(
                    f"notify is {handle!r}; allowed: a Datadog handle, such as @slack-voice or "
                    "@maria@example.com"
                )
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, float) and not 0 < value <= self.MAX_THRESHOLD:
                raise BadOptionError(
                    f"{field.name} is {value!r}; allowed: above 0, up to {self.MAX_THRESHOLD}"
                )
            if field.name.startswith("least_") and not 0 <= value <= self.MAX_LEAST:
                raise BadOptionError(f"{field.name} is {value!r}; allowed: 0 to {self.MAX_LEAST}")
        for name in _WITHIN:
            if (secs := getattr(self, name)) not in WITHIN_SECS:
                allowed = ", ".join(map(str, WITHIN_SECS))
                raise BadOptionError(f"{name} is {secs!r}; allowed: {allowed}")
        least, most = self.QUIET_HOURS
        if not least <= self.quiet_hours <= most:
            raise BadOptionError(f"quiet_hours is {self.quiet_hours!r}; allowed: {least} to {most}")

    @property
    def scope(self) -> str:
        """The service and environment to watch as one word, such as ``bot/prod``."""
        return f"{self.service or 'all'}/{self.env or 'all'}"

    @property
    def is_scoped(self) -> bool:
        """Whether the monitors watch only one service or environment."""
        return bool(self.service or self.env)

    @property
    def app(self) -> str:
        """The address of Datadog's web application."""
        return APPS[self.site]

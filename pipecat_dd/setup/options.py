"""What a user can choose: when monitors fire, whom they tell, and what they look at."""

import re
from dataclasses import dataclass, fields

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

    Attributes:
        site: Datadog's site, as in ``DD_SITE``.
        service: The service that monitors watch; empty for every service, each on its own.
        env: The environment that monitors watch; empty for every one.
        notify: Whom monitors tell: ``@slack-voice``, ``@maria@example.com``.
        errors_per_hour: Traced error lines in an hour, of which more alert.
        lines_without_context: Lines of sessions without a trace in 5 minutes, of which more alert.
        slow_answer_secs: How long 95 of 100 answers may take over 15 minutes, in seconds.
        unanswered_turns: Turns without an answer in 30 minutes, of which more alert.
        abnormal_ends: Sessions in an hour that failed, or ended with their process.
        sessions_not_ended: Sessions started and not ended in 4 hours, of which more alert.
        silent_sessions: Sessions in an hour in which the bot never spoke, of which more alert.

    Raises:
        BadOptionError: A value is not allowed.
    """

    site: str = "datadoghq.com"
    service: str = ""
    env: str = ""
    notify: tuple[str, ...] = ()
    errors_per_hour: int = 10
    lines_without_context: int = 100
    slow_answer_secs: float = 3.0
    unanswered_turns: int = 5
    abnormal_ends: int = 3
    sessions_not_ended: int = 10
    silent_sessions: int = 3

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
            if isinstance(value, (int, float)) and not 0 <= value <= 1_000_000:
                raise BadOptionError(f"{field.name} is {value!r}; allowed: 0 to 1000000")
        if not self.slow_answer_secs > 0:
            raise BadOptionError(f"slow_answer_secs is {self.slow_answer_secs!r}; allowed: above 0")

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

"""The input of the checks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipecat_dd.cli.doctor.finding import Finding
from pipecat_dd.cli.doctor.start import Start
from pipecat_dd.settings.checks import Switch
from pipecat_dd.settings.setting import Setting

DEFAULT_TIMEOUT_SECS = 3.0


@dataclass(frozen=True)
class Context:
    """What a bot would start with, and the options of the doctor.

    Attributes:
        environ: The environment, without the variables that the doctor sets for itself.
        start: How the bot is started, as far as it is known.
        timeout_secs: The time limit for each step of a request, in seconds.
        directory: The working directory of the bot.
        api_url: The address of Datadog's API; None for that of ``DD_SITE``.
        found: The findings of earlier checks, which may explain why a later one fails.
    """

    environ: Mapping[str, str]
    start: Start = field(default_factory=Start)
    timeout_secs: float = DEFAULT_TIMEOUT_SECS
    directory: Path = field(default_factory=Path)
    api_url: str | None = None
    found: list[Finding] = field(default_factory=list)

    def value(self, name: str) -> str:
        """Return the value of a variable, stripped; an empty string if it is not set."""
        return self.environ.get(name, "").strip()

    def is_on(self, name: str, default: bool) -> bool:
        """Return whether a boolean variable is on, parsed as ddtrace parses it."""
        value = self.value(name).lower()
        return value in ("true", "1") if value else default

    def turns_on(self, setting: Setting[Any]) -> bool:
        """Return whether the variable of a boolean setting of ours turns it on."""
        try:
            return Switch()(setting.argument, self.value(str(setting.variable)), True)
        except ValueError:
            return bool(setting.default)

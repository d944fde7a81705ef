"""What the checks look at."""

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
    """What a bot would be started with, and how far the doctor may go.

    Attributes:
        environ: The environment, as it was before the doctor made itself quiet in it.
        start: How the bot is started, where that was told.
        timeout_secs: How long an Agent or intake may take to answer, in seconds.
        directory: Where the bot is started.
        api_url: Where Datadog's API is asked, if not at the site that ``DD_SITE`` names.
        found: What earlier checks have found: the reason of what fails later may be among it.
    """

    environ: Mapping[str, str]
    start: Start = field(default_factory=Start)
    timeout_secs: float = DEFAULT_TIMEOUT_SECS
    directory: Path = field(default_factory=Path)
    api_url: str | None = None
    found: list[Finding] = field(default_factory=list)

    def value(self, name: str) -> str:
        """Return what a variable is set to; an empty string where it is not.

        Args:
            name: The variable.
        """
        return self.environ.get(name, "").strip()

    def is_on(self, name: str, default: bool) -> bool:
        """Return whether a variable turns something on, read as ddtrace reads it.

        Args:
            name: The variable.
            default: What holds where it is not set.
        """
        value = self.value(name).lower()
        return value in ("true", "1") if value else default

    def turns_on(self, setting: Setting[Any]) -> bool:
        """Return whether the variable of a setting of ours asks for it, installed or not.

        Args:
            setting: The setting, which is on or off.
        """
        try:
            return Switch()(setting.argument, self.value(str(setting.variable)), True)
        except ValueError:
            return bool(setting.default)

"""Writes docs/settings.md from the table of settings: ``python -m tests.support.settings_page``."""

from pathlib import Path
from typing import Any

from pipecat_dd.settings import table
from pipecat_dd.settings.setting import Setting, Taker

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"

_HEAD = """# Settings

Each setting is an argument, and most can also be set by an environment variable. An argument takes
precedence over its variable. An invalid argument raises. An invalid variable never keeps a bot from
answering: one WARNING, at `configure_logging()` or at the first session, names the variable and
what is allowed, and the default is used. But lines are not shipped if `DD_SITE`, `DD_API_KEY` or
`PIPECAT_DD_SHIP_URL` is invalid. `pipecat-dd doctor` reports invalid and unknown variables before
the bot starts.

In a variable, true is `true`, `1`, `yes` or `on`, and false is `false`, `0`, `no` or `off`; tags
are `key:value,key:value`.
"""

_SECTIONS = {
    Taker.OBSERVER: ("`DatadogObserver(…)`", ""),
    Taker.LOGGING: (
        "`configure_logging(…)`",
        "Its other arguments (levels, sampling, redaction, sinks) are in [logs.md](logs.md).\n\n",
    ),
    Taker.SHIPPING: (
        "`Shipping(…)`",
        "For `configure_logging(ship=Shipping(…))`: "
        "[deploy/agentless.md](deploy/agentless.md).\n\n",
    ),
    Taker.SETUP_FILE: (
        "`PIPECAT_SETUP_FILES`",
        "For bots that have no code of ours: [view.md](view.md).\n\n",
    ),
    Taker.COMMAND_LINE: ("`pipecat-dd`", ""),
}


def page() -> str:
    """Return the page."""
    parts = [_HEAD]
    for taker, (title, text) in _SECTIONS.items():
        rows = "\n".join(_row(setting) for setting in table.taken_by(taker))
        parts.append(
            f"\n## {title}\n\n{text}| argument | variable | what it sets | allowed | default |\n"
            f"| --- | --- | --- | --- | --- |\n{rows}\n"
        )
    return "".join(parts)


def _row(setting: Setting[Any]) -> str:
    variable = f"`{setting.variable}`" if setting.variable else ""
    cells = (f"`{setting.argument}`", variable, setting.meaning, setting.check.allowed)
    return f"| {' | '.join(cells)} | {_default(setting)} |"


def _default(setting: Setting[Any]) -> str:
    if setting.otherwise:
        return setting.otherwise
    value = setting.default
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and value % 2**20 == 0:
        return f"{value >> 20} MiB"
    if isinstance(value, (int, float)):
        return f"{value:g}"
    return f"`{value}`" if value else "none"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf8")

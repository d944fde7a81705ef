"""This package's own variables: that they exist, and that what they are set to is allowed."""

from collections.abc import Iterator
from typing import Final

from pipecat_dd.cli.doctor.context import Context
from pipecat_dd.cli.doctor.finding import Finding, Level
from pipecat_dd.settings.environment import likely, own_names
from pipecat_dd.settings.table import VARIABLES


def ours(situation: Context) -> Iterator[Finding]:
    """Check that each is one of ours, and that its value is allowed."""
    valid = []
    for name in own_names(situation.environ):
        setting = VARIABLES.get(name)
        if setting is None:
            yield _unknown(name)
            continue
        try:
            if value := situation.value(name):
                setting.check(name, value, True)
        except Exception as error:
            yield Finding(
                "settings.invalid",
                Level.PROBLEM,
                f"{setting.taker} refuses what it is set to, and uses the default: {error}.",
                f"Put {name} right, or unset it.",
                {"variable": name},
            )
        else:
            valid.append(name)
    if valid:
        yield Finding(
            "settings.set",
            Level.OK,
            f"Set, and valid: {', '.join(valid)}.",
            facts={"set": valid},
        )


def _unknown(name: str) -> Finding:
    meant = likely(name)
    return Finding(
        "settings.unknown",
        Level.PROBLEM,
        f"{name} is no variable of pipecat_dd's, and does nothing.",
        f"Set {meant} instead." if meant else f"Choose from {', '.join(own_names(VARIABLES))}.",
        {"variable": name, "likely": meant},
    )


CHECKS: Final = (ours,)

"""Check this package's own variables: whether they exist and have valid values."""

from collections.abc import Iterator
from typing import Final

from pipecat_dd.cli.doctor.context import Context
from pipecat_dd.cli.doctor.finding import Finding, Level
from pipecat_dd.settings.environment import likely, own_names
from pipecat_dd.settings.table import VARIABLES


def ours(context: Context) -> Iterator[Finding]:
    """Check that each is one of ours, and that its value is allowed."""
    valid = []
    for name in own_names(context.environ):
        setting = VARIABLES.get(name)
        if setting is None:
            yield _unknown(name)
            continue
        try:
            if value := context.value(name):
                setting.check(name, value, True)
        except Exception as error:
            yield Finding(
                "settings.invalid",
                Level.PROBLEM,
                f"{setting.taker} rejects this value and uses the default instead: {error}.",
                f"Correct {name}, or unset it.",
                {"variable": name},
            )
        else:
            valid.append(name)
    if valid:
        yield Finding(
            "settings.set",
            Level.OK,
            f"Set and valid: {', '.join(valid)}.",
            facts={"set": valid},
        )


def _unknown(name: str) -> Finding:
    meant = likely(name)
    return Finding(
        "settings.unknown",
        Level.PROBLEM,
        f"{name} is not a variable of pipecat_dd and has no effect.",
        f"Set {meant} instead." if meant else f"Choose from {', '.join(own_names(VARIABLES))}.",
        {"variable": name, "likely": meant},
    )


CHECKS: Final = (ours,)

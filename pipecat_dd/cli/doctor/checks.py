"""All checks, in the order in which their findings are shown."""

import importlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from pipecat_dd.cli.doctor.context import Context
from pipecat_dd.cli.doctor.finding import Check, Finding, Level


@dataclass(frozen=True, slots=True)
class Group:
    """Checks of one thing: a module with its ``CHECKS``.

    Attributes:
        name: The first part of the checks' names, and the module's name.
        title: What it is called on the terminal.
        needs: Packages that must be importable for it; without one it finds nothing.
        asked_for: Whether it is run only where that is asked for.
    """

    name: str
    title: str
    needs: tuple[str, ...] = ()
    asked_for: bool = False


GROUPS: Final = (
    Group("installed", "Installed"),
    Group("variables", "Environment"),
    Group("env_file", "Environment"),
    Group("settings", "pipecat_dd's own variables", ("ddtrace", "pipecat")),
    Group("source", "The bot's file"),
    Group("integrations", "ddtrace's integrations", ("ddtrace",)),
    Group("content", "Content", ("ddtrace",)),
    Group("agent", "Agent", ("ddtrace",)),
    Group("metrics", "Metrics", ("ddtrace", "pipecat")),
    Group("intake", "Datadog"),
    Group("sample", "A session of one processor", ("ddtrace", "pipecat")),
    Group("sending", "Sending", ("ddtrace", "pipecat"), asked_for=True),
)
"""To add a check, write it into its group's module; to add a group, name it here."""


def run(situation: Context, *, asked_for: Iterable[str] = ()) -> Iterator[tuple[Group, Finding]]:
    """Run all checks.

    A check that fails itself is a finding, and takes no other with it.

    Args:
        situation: What they look at.
        asked_for: Groups to run besides those that are always run.
    """
    wanted = frozenset(asked_for)
    for group in GROUPS:
        if group.asked_for and group.name not in wanted:
            continue
        if not all(_is_importable(module) for module in group.needs):
            continue
        for finding in _findings(group, situation):
            situation.found.append(finding)
            yield group, finding


def _findings(group: Group, situation: Context) -> Iterator[Finding]:
    try:
        module = importlib.import_module(f"pipecat_dd.cli.doctor.{group.name}")
        checks: tuple[Check, ...] = module.CHECKS
    except Exception as error:
        yield _failed(group, error)
        return
    for check in checks:
        try:
            yield from check(situation)
        except Exception as error:
            yield _failed(group, error)


def _failed(group: Group, error: Exception) -> Finding:
    return Finding(
        f"{group.name}.failed",
        Level.PROBLEM,
        f"This could not be checked: {type(error).__name__}: {error}",
        "If the message names nothing that you can put right, please report it.",
        {"error": type(error).__name__},
    )


def _is_importable(module: str) -> bool:
    try:
        importlib.import_module(module)
    except Exception:
        return False  # said by the checks of what is installed
    return True

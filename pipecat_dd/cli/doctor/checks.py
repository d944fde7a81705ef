"""All groups of checks, in the order in which the doctor shows their findings."""

import importlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from pipecat_dd.cli.doctor.context import Context
from pipecat_dd.cli.doctor.finding import Finding, Level

Check: TypeAlias = Callable[[Context], Iterable[Finding]]
"""Checks one thing. Yields no finding if the check does not apply."""


@dataclass(frozen=True, slots=True)
class Group:
    """A group of related checks: the ``CHECKS`` of one module.

    Attributes:
        name: The name of the module, and the first part of the checks' ids.
        title: The heading on the terminal.
        needs: The packages that its checks import. If one is missing, the group is skipped.
        asked_for: Whether the group runs only on request.
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
    Group("sample", "A sample session", ("ddtrace", "pipecat")),
    Group("sending", "Sending", ("ddtrace", "pipecat"), asked_for=True),
)
"""To add a check, add it to its group's module. To add a group, add it here."""


def run(context: Context, *, asked_for: Iterable[str] = ()) -> Iterator[tuple[Group, Finding]]:
    """Run all checks.

    If a check itself fails, that is a finding too, and the other checks still run.

    Args:
        context: The input of the checks; their findings are appended to its ``found``.
        asked_for: The names of groups to run in addition to those that always run.
    """
    wanted = frozenset(asked_for)
    for group in GROUPS:
        if group.asked_for and group.name not in wanted:
            continue
        if not all(_is_importable(module) for module in group.needs):
            continue
        for finding in _findings(group, context):
            context.found.append(finding)
            yield group, finding


def _findings(group: Group, context: Context) -> Iterator[Finding]:
    try:
        module = importlib.import_module(f"pipecat_dd.cli.doctor.{group.name}")
        checks: tuple[Check, ...] = module.CHECKS
    except Exception as error:
        yield _failed(group, error)
        return
    for check in checks:
        try:
            yield from check(context)
        except Exception as error:
            yield _failed(group, error)


def _failed(group: Group, error: Exception) -> Finding:
    return Finding(
        f"{group.name}.failed",
        Level.PROBLEM,
        f"This check failed: {type(error).__name__}: {error}",
        "If the message does not tell you what to fix, please report it as a bug in pipecat_dd.",
        {"error": type(error).__name__},
    )


def _is_importable(module: str) -> bool:
    try:
        importlib.import_module(module)
    except Exception:
        return False  # the group `installed` reports it
    return True

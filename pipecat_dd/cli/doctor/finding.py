"""What a check has found."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from pipecat_dd.cli.doctor.context import Context

Fact: TypeAlias = str | float | bool | list[str] | None
"""What a program that reads findings may want to know by itself."""


class Level(StrEnum):
    """How much a finding matters, the most last."""

    OK = "ok"
    NOTE = "note"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a check has found.

    Attributes:
        check: What was checked, ``group.what``. Public: scripts go by it.
        level: ``ok``; ``note`` where it depends on what the bot is meant to do; ``problem``
            where something that should show does not, or will not.
        says: What was found, in one sentence.
        do: What to do about it; empty where there is nothing to be done.
        facts: The same for programs, by name.
    """

    check: str
    level: Level
    says: str
    do: str = ""
    facts: Mapping[str, Fact] = field(default_factory=dict)


Check: TypeAlias = "Callable[[Context], Iterable[Finding]]"
"""Looks at one thing; finds nothing where it does not apply."""

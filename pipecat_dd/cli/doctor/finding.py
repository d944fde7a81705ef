"""The result of a check."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

Fact: TypeAlias = str | float | bool | list[str] | None
"""A detail of a finding, for programs."""


class Level(StrEnum):
    """How serious a finding is, in ascending order."""

    OK = "ok"
    NOTE = "note"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One result of a check.

    Attributes:
        check: The id of the check, ``group.name``. It is public: users' scripts rely on it.
        level: ``ok``; ``note`` if it depends on what the user wants; ``problem`` if telemetry is
            missing, or will be.
        says: What the check found, for people.
        do: What to do about it, for people; empty if nothing needs to be done.
        facts: The details by name, for programs.
    """

    check: str
    level: Level
    says: str
    do: str = ""
    facts: Mapping[str, Fact] = field(default_factory=dict)

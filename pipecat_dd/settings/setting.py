"""A setting, and how it is read: the argument, else the environment variable, else the default."""

import os
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, TypeVar

from pipecat_dd.settings.checks import Check
from pipecat_dd.settings.notes import IS_LEFT_ASIDE, note

_T = TypeVar("_T")


class Taker(StrEnum):
    """Who takes a setting as an argument."""

    OBSERVER = "DatadogObserver()"
    LOGGING = "configure_logging()"
    SHIPPING = "configure_logging(ship=True)"
    COMMAND_LINE = "the command line"


class UnusableVariableError(ValueError):
    """A variable is wrong whose default must not stand in for it; it has been noted."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Setting(Generic[_T]):
    """A setting.

    Attributes:
        argument: The argument's name.
        variable: The environment variable's name; None where no text can hold the value.
        taker: Who takes the argument.
        check: What is allowed.
        default: What counts where neither argument nor variable is set.
        otherwise: The default in words, where more than `default` decides it.
        meaning: What it is for: a phrase.
        effect: What follows from a variable that is wrong, as a sentence without its end.
        has_stand_in: Whether the default counts where the variable is wrong.
    """

    argument: str
    variable: str | None
    taker: Taker
    check: Check[_T]
    default: _T
    meaning: str
    otherwise: str = ""
    effect: str = IS_LEFT_ASIDE
    has_stand_in: bool = True

    def checked(self, given: Any) -> _T:
        """Return an argument that has its default in the signature, once it is checked.

        Args:
            given: The argument.

        Raises:
            ValueError: The argument has a value that is not allowed.
            TypeError: The argument is of a type that is not allowed.
        """
        return self.check(self.argument, given, False)

    def read(self, given: Any, default: _T | None = None) -> _T:
        """Return the argument, else what the variable says, else the default.

        Args:
            given: The argument; None where it is not given.
            default: What counts in place of the table's default; None for that one.

        Raises:
            ValueError: The argument has a value that is not allowed.
            TypeError: The argument is of a type that is not allowed.
            ImportError: The argument asks for something that is not installed.
            UnusableVariableError: The variable is wrong, and the default cannot stand in.
        """
        if given is not None:
            return self.checked(given)
        variable = self.variable
        text = "" if variable is None else os.environ.get(variable, "").strip()
        if variable is not None and text:
            try:
                return self.check(variable, text, True)
            except Exception as error:
                note(variable, error, self.effect)
                if not self.has_stand_in:
                    raise UnusableVariableError(str(error)) from None
        return self.default if default is None else default

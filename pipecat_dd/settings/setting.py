"""Defines a setting, which is read from its argument, its environment variable or its default."""

import os
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, TypeVar

from pipecat_dd.settings.checks import Check
from pipecat_dd.settings.notes import IS_LEFT_ASIDE, note

_T = TypeVar("_T")


class Taker(StrEnum):
    """The function, or other interface, that takes a setting as an argument."""

    OBSERVER = "DatadogObserver()"
    LOGGING = "configure_logging()"
    SHIPPING = "configure_logging(ship=True)"
    SETUP_FILE = "the setup file"
    COMMAND_LINE = "the command line"


class UnusableVariableError(ValueError):
    """A variable is invalid and must not be replaced by the default; it has been noted."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Setting(Generic[_T]):
    """A setting.

    Attributes:
        argument: The argument's name.
        variable: The environment variable's name; None if no text can express the value.
        taker: The function that takes the argument.
        check: Checks values.
        default: The value if neither the argument nor the variable is set.
        otherwise: The default in words, if it is more than the value of `default`.
        meaning: What the setting is for, as a phrase.
        effect: What follows from an invalid variable, as a sentence without a full stop.
        has_stand_in: Whether the default is used if the variable is invalid.
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
        """Check an argument and return it as it is used.

        Raises:
            ValueError: The argument has an invalid value.
            TypeError: The argument has the wrong type.
            ImportError: The argument needs something that is not installed.
        """
        return self.check(self.argument, given, False)

    def read(self, given: Any, default: _T | None = None) -> _T:
        """Return the value of the argument, else of the variable, else the default.

        Args:
            given: The argument; None if it was not passed.
            default: Replaces the table's default; None leaves it.

        Raises:
            ValueError: The argument has an invalid value.
            TypeError: The argument has the wrong type.
            ImportError: The argument needs something that is not installed.
            UnusableVariableError: The variable is invalid, and the default must not replace it.
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

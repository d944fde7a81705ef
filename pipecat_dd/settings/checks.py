"""Checks for the values of settings.

A check takes a value's name, the value, and whether it comes from the environment and so is text.
It returns the value as it is used, or raises `ValueError`, `TypeError` or `ImportError`. The
message begins with the name, shows the value (cut, see `shown`) unless it may be a secret, and says
what is allowed. An argument that takes a secret shows none of its values; any other one hides what
looks like a key, which may have been given in the wrong place.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Generic, Protocol, TypeVar

MAX_SHOWN_CHARS: Final = 100
"""How many characters of a value an error message shows."""

_T_co = TypeVar("_T_co", covariant=True)
_C = TypeVar("_C", bound=StrEnum)

_ON: Final = ("true", "1", "yes", "on")
_OFF: Final = ("false", "0", "no", "off")


# A whole string: Datadog's keys and others are hexadecimal digits, providers' keys begin so.
_KEY: Final = re.compile(
    r"""(?<=['"])(?:[0-9a-fA-F]{32,}|(?:g?sk|pk|rk|xai)[-_][\w-]{16,})(?=['"]|$)"""
)
_HIDDEN: Final = "[redacted]"


def shown(value: object, *, is_id: bool = False) -> str:
    """Return a value as error messages show it: on one line, cut to `MAX_SHOWN_CHARS`.

    Args:
        value: The value.
        is_id: Whether it is an id, which may look like a key.
    """
    try:
        if isinstance(value, (str, bytes)) and len(value) > MAX_SHOWN_CHARS:
            unit = "bytes" if isinstance(value, bytes) else "characters"
            text = repr(value[:MAX_SHOWN_CHARS])
            return f"{text if is_id else _KEY.sub(_HIDDEN, text)}… ({len(value)} {unit})"
        text = " ".join(repr(value).split())
    except Exception:  # a value that cannot be written, such as a number of 5,000 digits
        return f"<{type(value).__name__}>"
    if not is_id:
        text = _KEY.sub(_HIDDEN, text)
    return text if len(text) <= MAX_SHOWN_CHARS else f"{text[:MAX_SHOWN_CHARS]}…"


class Check(Protocol[_T_co]):
    """Checks a value and returns it as it is used."""

    @property
    def allowed(self) -> str:
        """What is allowed, in words."""
        ...

    def __call__(self, name: str, value: Any, from_environment: bool) -> _T_co:
        """Check a value.

        Args:
            name: The argument's or variable's name, with which messages begin.
            value: The value to check.
            from_environment: Whether the value is the text of a variable.

        Raises:
            ValueError: The value is invalid.
            TypeError: The value has the wrong type.
            ImportError: The value needs something that is not installed.
        """
        ...


class Switch:
    """On or off: a boolean; in the environment ``true``, ``no``, ``1`` or the like."""

    allowed: str = "true or false"

    def __call__(self, name: str, value: Any, from_environment: bool) -> bool:
        """Check a boolean."""
        if from_environment:
            word = value.lower()
            if word in _ON:
                return True
            if word in _OFF:
                return False
            raise ValueError(f"{name}={shown(value)}: must be true or false")
        if not isinstance(value, bool):
            raise TypeError(
                f"{name}={shown(value)}: must be True or False, not {type(value).__name__}"
            )
        return value


@dataclass(frozen=True, eq=False)
class Text:
    """Text that is not blank.

    Attributes:
        max_chars: The greatest number of characters.
    """

    max_chars: int

    @property
    def allowed(self) -> str:
        """What is allowed, in words."""
        return f"1 to {self.max_chars} characters, not only spaces"

    def __call__(self, name: str, value: Any, from_environment: bool) -> str:
        """Check a text and return it without the spaces around it."""
        text = stripped(name, value)
        if not text or len(text) > self.max_chars:
            raise ValueError(f"{name}={shown(value)}: must be {self.allowed}")
        return text


@dataclass(frozen=True, eq=False, kw_only=True)
class Number:
    """A number within bounds.

    Attributes:
        unit: The unit, in the plural.
        above: The number must be greater than this; None means that `least` applies.
        least: The number must be at least this.
        most: The number must be at most this; None means no upper bound.
        has_zero: Whether 0 is allowed, too, though it is less than `least`.
    """

    unit: str
    above: float | None = None
    least: float = 0
    most: float | None = None
    has_zero: bool = False

    @property
    def allowed(self) -> str:
        """What is allowed, in words."""
        if self.has_zero:
            return f"0, or a number of {self.unit}, {self.least} to {self.most}"
        if self.above is not None:
            most = "" if self.most is None else f" and at most {self.most}"
            return f"a number of {self.unit} above {self.above}{most}"
        if self.most is None:
            return f"a number of {self.unit}, {self.least} or more"
        return f"a number of {self.unit}, {self.least} to {self.most}"

    def __call__(self, name: str, value: Any, from_environment: bool) -> float:
        """Check a number."""
        number = _number(name, value, from_environment, self.allowed)
        if self.has_zero and number == 0:
            return 0.0
        is_too_small = number < self.least if self.above is None else number <= self.above
        if is_too_small or (self.most is not None and number > self.most):
            raise ValueError(f"{name}={shown(value)}: must be {self.allowed}")
        return number


@dataclass(frozen=True, eq=False, kw_only=True)
class Count:
    """A whole number within bounds.

    Attributes:
        unit: The unit, in the plural.
        least: The smallest valid number.
        most: The greatest valid number; None means no upper bound.
        is_whole: Whether a fraction is an error; otherwise it is cut off.
    """

    unit: str
    least: int
    most: int | None = None
    is_whole: bool = False

    @property
    def allowed(self) -> str:
        """What is allowed, in words."""
        upto = "or more" if self.most is None else f"to {self.most}"
        return f"a {'whole ' if self.is_whole else ''}number of {self.unit}, {self.least} {upto}"

    def __call__(self, name: str, value: Any, from_environment: bool) -> int:
        """Check a number."""
        count = _number(name, value, from_environment, self.allowed)
        if (
            count < self.least
            or (self.most is not None and count > self.most)
            or (self.is_whole and count % 1)
        ):
            raise ValueError(f"{name}={shown(value)}: must be {self.allowed}")
        return int(count)


@dataclass(frozen=True, eq=False)
class Choice(Generic[_C]):
    """One of a few words.

    Attributes:
        words: An enumeration of the valid words.
    """

    words: type[_C]

    @property
    def allowed(self) -> str:
        """What is allowed, in words."""
        return "one of " + ", ".join(repr(str(word)) for word in self.words)

    def __call__(self, name: str, value: Any, from_environment: bool) -> _C:
        """Check a word."""
        for word in self.words:
            if isinstance(value, str) and value == word:
                return word
        raise ValueError(f"{name}={shown(value)}: must be {self.allowed}")


@dataclass(frozen=True, eq=False)
class Key:
    """A key for hashes. It is a secret, so messages do not show it.

    Attributes:
        least_bytes: The smallest number of bytes.
    """

    least_bytes: int

    @property
    def allowed(self) -> str:
        """What is allowed, in words."""
        return f"a string or bytes, at least {self.least_bytes} bytes"

    def __call__(self, name: str, value: Any, from_environment: bool) -> bytes:
        """Check a key and return it as bytes."""
        if not isinstance(value, (str, bytes)):
            raise TypeError(f"{name}: must be a string or bytes, not {type(value).__name__}")
        try:
            # The bytes of a variable that are no UTF-8 are lone surrogates in its text.
            key = value.encode(errors="surrogateescape") if isinstance(value, str) else value
        except UnicodeEncodeError:
            raise ValueError(f"{name}: must be {self.allowed}, in Unicode") from None
        if len(key) < self.least_bytes:
            raise ValueError(
                f"{name}: must be at least {self.least_bytes} bytes: with a key that can be "
                "guessed, all telephone numbers can be tried"
            )
        return key


class Directory:
    """The path of a directory, which need not exist."""

    allowed: str = "the path of a directory"

    def __call__(self, name: str, value: Any, from_environment: bool) -> Path:
        """Check a path and return it as an absolute one."""
        path = os.fspath(value) if isinstance(value, (str, os.PathLike)) else None
        if not isinstance(path, str):
            raise TypeError(f"{name}={shown(value)}: must be {self.allowed}")
        if not path.strip() or not is_path(path):
            raise ValueError(f"{name}={shown(value)}: must be {self.allowed}")
        try:
            return Path(path).expanduser().absolute()
        except RuntimeError:  # "~name", and there is no such user
            raise ValueError(
                f"{name}={shown(value)}: must be {self.allowed}; there is no such home directory"
            ) from None


def is_path(text: str) -> bool:
    """Whether the file system can have a file of that name."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:  # a lone surrogate
        return False


@dataclass(frozen=True, eq=False)
class AnyText:
    """Any text; the code that uses it checks it."""

    allowed: str

    def __call__(self, name: str, value: Any, from_environment: bool) -> str:
        """Return the text."""
        return stripped(name, value)


def stripped(name: str, value: Any) -> str:
    """Return a text without the spaces around it.

    Raises:
        TypeError: It is not text.
    """
    return require_string(name, value).strip()


def require_string(name: str, value: object) -> str:
    """Return a string unchanged.

    Raises:
        TypeError: It is not a string.
    """
    if not isinstance(value, str):
        raise TypeError(f"{name}={shown(value)}: must be a string, not {type(value).__name__}")
    return value


def _number(name: str, value: Any, from_environment: bool, allowed: str) -> float:
    """Return a finite number."""
    found = value
    if from_environment:
        try:
            found = float(value)
        except ValueError:
            raise ValueError(f"{name}={shown(value)}: must be {allowed}") from None
    if isinstance(found, bool) or not isinstance(found, (int, float)):
        raise TypeError(f"{name}={shown(value)}: must be {allowed}")
    try:
        number = float(found)
    except OverflowError:
        raise ValueError(f"{name}={shown(value)}: must be {allowed}") from None
    if number != number or number in (float("inf"), float("-inf")):
        raise ValueError(f"{name}={shown(value)}: must be {allowed}")
    return number


def pairs(name: str, value: Any, from_environment: bool) -> Mapping[Any, Any]:
    """Return a mapping; in the environment it is ``key:value,key:value``, like ``DD_TAGS``.

    Raises:
        ValueError: A part of the text has no colon or no key.
        TypeError: The argument is not a mapping.
    """
    if from_environment:
        parts = [part.partition(":") for part in value.split(",") if part.strip()]
        if not all(colon and key.strip() for key, colon, _ in parts):
            raise ValueError(f"{name}={shown(value)}: must be key:value pairs, separated by commas")
        return {key.strip(): text.strip() for key, _, text in parts}
    if not isinstance(value, Mapping):
        raise TypeError(f"{name}={shown(value)}: must be a mapping of names to values")
    return value

"""What the environment sets, and what is said of a variable that is wrong.

An argument that is wrong raises where it is given, in front of who wrote it. A variable is set by
somebody else, later, in a file of a deployment: a bot that answered yesterday must answer today.
So a variable that is wrong, or asks for what is not installed, is left aside; its default counts;
and one line says so, at ``configure_logging()`` or at the first session, whichever comes first.
"""

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final, TypeVar

from loguru import logger

from pipecat_dd._forks import in_forked_processes

ENV_PREFIX: Final = "PIPECAT_DD_"
"""Before an argument's name in capitals, the name of its environment variable."""

API_URL: Final = "PIPECAT_DD_API_URL"
"""Read by the command line alone."""

_T = TypeVar("_T")

Check = Callable[[str, Any, bool], _T]
"""Takes a name, a value, and whether that comes from the environment and so is a string.

Returns the value as it is used; raises `ValueError`, `TypeError` or `ImportError` with a text that
begins with the name.
"""

_ON: Final = ("true", "1", "yes", "on")
_OFF: Final = ("false", "0", "no", "off")
_IS_LEFT_ASIDE: Final = "It is left aside, and the default is used"

_lock = threading.Lock()
_found: dict[tuple[str, str], None] = {}
_reported: set[tuple[str, str]] = set()
_raises: ContextVar[bool] = ContextVar("pipecat_dd_variables_raise", default=False)


@in_forked_processes
def _renew_lock() -> None:
    global _lock
    _lock = threading.Lock()


def setting(
    argument: str,
    value: Any,
    check: Check[_T],
    default: _T,
    *,
    variable: str | None = None,
    prefix: str = ENV_PREFIX,
) -> _T:
    """Return a setting: the argument's, else its variable's, else the default.

    Args:
        argument: The argument's name.
        value: What was given; None where nothing was.
        check: Checks either, and makes of it what is used.
        default: What counts where neither is set, or the variable is wrong.
        variable: The variable's name, where it is not the argument's in capitals.
        prefix: What that begins with.

    Raises:
        ValueError: The argument has a value that is not allowed.
        TypeError: The argument is of a type that is not allowed.
        ImportError: The argument asks for something that is not installed.
    """
    if value is not None:
        return check(argument, value, False)
    variable = variable or prefix + argument.upper()
    text = os.environ.get(variable, "").strip()
    if not text:
        return default
    try:
        return check(variable, text, True)
    except Exception as error:
        note(variable, error)
        return default


def note(variable: str, error: Exception, effect: str = _IS_LEFT_ASIDE) -> None:
    """Note that a variable is wrong, to be said by `report`.

    Args:
        variable: Its name.
        error: What is wrong, in words.
        effect: What that means, as a sentence without its end.

    Raises:
        Exception: The error itself, within `raising`.
    """
    if _raises.get():
        raise error
    text = str(error)
    if variable not in text:
        text = f"{variable}: {text}"
    with _lock:
        _found[variable, f"{text}. {effect}"] = None


@contextmanager
def raising() -> Iterator[None]:
    """Have a variable that is wrong raise within a block: for who asks what is wrong."""
    token = _raises.set(True)
    try:
        yield
    finally:
        _raises.reset(token)


@dataclass(frozen=True, slots=True)
class Reader:
    """What reads some of the variables.

    Attributes:
        who: What it is called.
        names: The variables it reads.
        read: Reads them, and notes what is wrong with them.
    """

    who: str
    names: frozenset[str]
    read: Callable[[], object]


def readers() -> Iterator[Reader]:
    """Yield all that read variables of ours."""
    # All that is read, which is more than who only writes lines needs.
    from pipecat_dd import settings
    from pipecat_dd.export.logs import settings as logs
    from pipecat_dd.export.shipping import settings as shipping

    yield Reader("DatadogObserver()", settings.variables(), settings.Settings.read)
    yield Reader("the command line", frozenset({API_URL}), lambda: None)
    yield Reader("configure_logging()", logs.variables(), logs.read)
    who = "configure_logging(ship=True)"
    yield Reader(who, frozenset({shipping.SWITCH}), shipping.is_switched_on)
    yield Reader(who, shipping.variables(), shipping.check_variables)


def likely(name: str, known: Iterable[str]) -> str | None:
    """Return the variable of ours that is most like a name which is none.

    Args:
        name: The name.
        known: The names of all that there are.
    """
    # Without what all of them begin with, by which all of them are alike.
    bare = sorted(one.removeprefix(ENV_PREFIX) for one in known)
    found = get_close_matches(name.removeprefix(ENV_PREFIX), bare, n=1)
    return ENV_PREFIX + found[0] if found else None


def report() -> None:
    """Write a line for each variable that is wrong, or not known: once each in a process."""
    _look_through({name for name in os.environ if name.startswith(ENV_PREFIX)})
    with _lock:
        texts = [text for variable, text in _found if (variable, text) not in _reported]
        _reported.update(_found)
        _found.clear()
    for text in texts:
        logger.warning("pipecat_dd: {}", text)


def _look_through(names: set[str]) -> None:
    """Note what is wrong with variables, whoever reads them, and whether or not it is used.

    Args:
        names: The names that are set and begin as ours do.
    """
    if not names:
        return
    known: set[str] = set()
    for reader in readers():
        known |= reader.names
        if names & reader.names:
            reader.read()
    for name in sorted(names - known):
        meant = f"; {one} may be meant" if (one := likely(name, known)) else ""
        text = f"{name} is no variable of pipecat_dd's{meant}"
        note(name, ValueError(text), "It does nothing")


# Checks that several settings share


def switch(name: str, value: Any, from_environment: bool) -> bool:
    """Check what is on or off.

    Raises:
        ValueError: The variable's text says neither.
        TypeError: The argument is neither True nor False.
    """
    if from_environment:
        word = value.lower()
        if word in _ON:
            return True
        if word in _OFF:
            return False
        raise ValueError(f"{name}={value!r}: must be true or false")
    if not isinstance(value, bool):
        raise TypeError(f"{name}={value!r}: must be True or False, not {type(value).__name__}")
    return value


def number(name: str, value: Any, from_environment: bool, allowed: str) -> float:
    """Check what is a number.

    Args:
        name: What it is called.
        value: The number, or in the environment its text.
        from_environment: Whether it is text.
        allowed: What is allowed, for the message.

    Raises:
        ValueError: It is not a finite number.
        TypeError: The argument is no number.
    """
    found = value
    if from_environment:
        try:
            found = float(value)
        except ValueError:
            raise ValueError(f"{name}={value!r}: {allowed}") from None
    if isinstance(found, bool) or not isinstance(found, (int, float)):
        raise TypeError(f"{name}={value!r}: {allowed}")
    try:
        as_float = float(found)
    except OverflowError:
        raise ValueError(f"{name}={value!r}: {allowed}") from None
    if as_float != as_float or as_float in (float("inf"), float("-inf")):
        raise ValueError(f"{name}={value!r}: {allowed}")
    return as_float


def pairs(name: str, value: str) -> dict[str, str]:
    """Return ``key:value,key:value``, as ``DD_TAGS`` is written, as a dict.

    Raises:
        ValueError: A part has no colon, or nothing before it.
    """
    parts = [part.partition(":") for part in value.split(",") if part.strip()]
    if not all(colon and key.strip() for key, colon, _ in parts):
        raise ValueError(f"{name}={value!r}: must be key:value pairs with commas between")
    return {key.strip(): text.strip() for key, _, text in parts}

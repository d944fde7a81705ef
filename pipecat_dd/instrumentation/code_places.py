"""Names places in code: whose code it is, and the name of the place.

Paths are those within the program or its libraries, never absolute ones, which may name people.
"""

import os
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from contextlib import suppress
from enum import IntEnum
from pathlib import Path
from types import CodeType
from typing import Final, NamedTuple

_OURS: Final = str(Path(__file__).resolve().parent.parent) + os.sep
_STDLIB: Final = tuple(
    {
        path + os.sep
        for name in ("stdlib", "platstdlib")
        if (path := sysconfig.get_path(name)) is not None
    }
)
_INSTALLED: Final = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
_SOURCES: Final = (".py", ".pyc", ".pyx", ".pyw")
_PYTHONS: Final = frozenset({"<string>", "<stdin>"})
_MADE: Final = "<generated>"
"""The file of code that was made as the program ran. What that calls its file may be anything."""
_MAX_KNOWN: Final = 4_096
"""How many files are remembered: as many as a program has, unless it makes code as it runs."""

MAX_NAME_CHARS: Final = 200
MAX_STACK_PLACES: Final = 40
MAX_STACK_CHARS: Final = 4_000
"""The most characters of a stack; its outermost calls are left out."""


class Whose(IntEnum):
    """Whose code a place is in, by how likely it is what a reader looks for."""

    USERS = 0
    LIBRARYS = 1
    PIPECATS = 2
    STDLIBS = 3
    OURS = 4


class Spot(NamedTuple):
    """A call on a stack, as it was found: no frame, and no value.

    Attributes:
        code: The function's code.
        line: The line it was at.
        module: The name of its module.
    """

    code: CodeType
    line: int
    module: str


class Place(NamedTuple):
    """A place in code.

    Attributes:
        name: The module and the function: ``weather.get_forecast``.
        location: The file and the line: ``weather.py:12``.
    """

    name: str
    location: str


_known: dict[tuple[str, str], tuple[Whose, str]] = {}


def _file_of(spot: Spot) -> tuple[Whose, str]:
    """Return whose a spot's file is, and its path within the program or its library."""
    key = spot.code.co_filename, spot.module.partition(".")[0]
    found = _known.get(key)
    if found is None:
        if len(_known) >= _MAX_KNOWN:
            _known.clear()
        found = _known[key] = _classify(*key)
    return found


def _classify(filename: str, package: str) -> tuple[Whose, str]:
    if filename.startswith("<"):
        # Frozen modules, and code that was made as the program ran.
        if filename.startswith("<frozen "):
            return Whose.STDLIBS, filename
        kind = Whose.USERS if package == "__main__" else Whose.LIBRARYS
        return kind, filename if filename in _PYTHONS else _MADE
    if not filename.endswith(_SOURCES) and not os.path.isfile(filename):
        return Whose.LIBRARYS, _MADE
    path = filename
    with suppress(OSError):
        path = os.path.abspath(filename)
    if path.startswith(_OURS):
        return Whose.OURS, _after(path, os.path.dirname(_OURS.rstrip(os.sep)))
    for part in _INSTALLED:
        if part in path:
            short = path.rpartition(part)[2]
            if package == "pipecat":
                return Whose.PIPECATS, short
            # ddtrace's wrappers stand around other libraries' calls.
            return (Whose.STDLIBS if package == "ddtrace" else Whose.LIBRARYS), short
    for stdlib in _STDLIB:
        if path.startswith(stdlib):
            return Whose.STDLIBS, path[len(stdlib) :]
    return (Whose.PIPECATS if package == "pipecat" else Whose.USERS), _short(path)


def _short(path: str) -> str:
    """Return a path relative to where the program looks for its modules, else its last parts."""
    roots = [root for root in _roots() if path.startswith(root + os.sep)]
    if roots:
        return _after(path, max(roots, key=len))
    return os.sep.join(path.split(os.sep)[-2:])


def _roots() -> list[str]:
    found = [one for one in sys.path if isinstance(one, str) and os.path.isabs(one)]
    with suppress(OSError):  # the current directory may have been removed
        found.append(os.getcwd())
    return [one.rstrip(os.sep) for one in found if one.rstrip(os.sep)]


def _after(path: str, root: str) -> str:
    return path[len(root) :].lstrip(os.sep)


def whose(spot: Spot) -> Whose:
    """Return whose code a spot is in."""
    return _file_of(spot)[0]


def culprit(spots: Sequence[Spot]) -> int | None:
    """Return the index of the spot to name: the innermost of the user's code.

    Where there is none, it is the innermost of a library that is not asyncio, Pipecat, ddtrace or
    this package, then of Pipecat, then of the standard library.

    Args:
        spots: A stack, the innermost call first.
    """
    found = [whose(spot) for spot in spots]
    best = min(found, default=Whose.OURS)
    return None if best is Whose.OURS else found.index(best)


def place_of(spot: Spot) -> Place:
    """Return what to call a spot."""
    file = _file_of(spot)[1]
    module = spot.module
    if module == "__main__":
        module = os.path.splitext(os.path.basename(file))[0]
    # A nested function is known by its own name; a comprehension or lambda has none.
    outer, _, inner = spot.code.co_qualname.rpartition(".<locals>.")
    if outer and inner.startswith("<"):
        inner = f"{outer.rpartition('.<locals>.')[2]}.{inner}"
    return Place(f"{module}.{inner}"[:MAX_NAME_CHARS], f"{file}:{spot.line}"[-MAX_NAME_CHARS:])


def stack_of(spots: Iterable[Spot]) -> str:
    """Return a stack as text, a call a line, the innermost last. Calls of ours are left out.

    Args:
        spots: The stack, the innermost call first.
    """
    lines: list[str] = []
    chars = 0
    for spot in spots:
        if whose(spot) is Whose.OURS:
            continue
        name, location = place_of(spot)
        line = f"{name} ({location})"
        chars += len(line) + 1
        if len(lines) >= MAX_STACK_PLACES or chars > MAX_STACK_CHARS:
            lines.append("…")
            break
        lines.append(line)
    return "\n".join(reversed(lines))

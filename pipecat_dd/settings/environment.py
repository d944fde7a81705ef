"""A look through the environment: which variables of ours are set, wrong or unknown."""

import os
from collections.abc import Iterable
from contextlib import suppress
from difflib import get_close_matches

from pipecat_dd.settings.notes import note, write_notes
from pipecat_dd.settings.setting import UnusableVariableError
from pipecat_dd.settings.table import ENV_PREFIX, VARIABLES


def likely(name: str) -> str | None:
    """Return the variable of ours that is most like an unknown name; None where none is like it.

    Args:
        name: The unknown name.
    """
    # Without the prefix, by which all of them are alike.
    bare = sorted(one.removeprefix(ENV_PREFIX) for one in own_names(VARIABLES))
    found = get_close_matches(name.removeprefix(ENV_PREFIX), bare, n=1)
    return ENV_PREFIX + found[0] if found else None


def own_names(names: Iterable[str]) -> list[str]:
    """Return the names that begin as this package's variables do, sorted."""
    return sorted(name for name in names if name.startswith(ENV_PREFIX))


def report() -> None:
    """Write a line for each variable that is wrong or unknown, once each in a process.

    Each variable that is set is checked, also where nothing has used it yet.
    """
    for name in own_names(os.environ):
        setting = VARIABLES.get(name)
        if setting is None:
            meant = f"; {one} may be meant" if (one := likely(name)) else ""
            text = f"{name} is no variable of pipecat_dd's{meant}"
            note(name, ValueError(text), "It does nothing")
            continue
        with suppress(UnusableVariableError):  # noted
            setting.read(None)
    write_notes()

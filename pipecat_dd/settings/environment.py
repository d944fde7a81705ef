"""Checks the environment for invalid and unknown variables of this package."""

import os
from collections.abc import Iterable
from contextlib import suppress
from difflib import get_close_matches

from pipecat_dd.settings.notes import note, raising, write_notes
from pipecat_dd.settings.setting import UnusableVariableError
from pipecat_dd.settings.table import ENV_PREFIX, VARIABLES


def likely(name: str) -> str | None:
    """Return our variable that is most similar to an unknown name; None if none is similar."""
    # Without the prefix, since it makes all of them similar.
    bare = sorted(one.removeprefix(ENV_PREFIX) for one in own_names(VARIABLES))
    found = get_close_matches(name.removeprefix(ENV_PREFIX), bare, n=1)
    return ENV_PREFIX + found[0] if found else None


def own_names(names: Iterable[str]) -> list[str]:
    """Return the names that begin with this package's prefix, sorted."""
    return sorted(name for name in names if name.startswith(ENV_PREFIX))


def report() -> None:
    """Log each invalid or unknown variable, once per process.

    All variables that are set are checked, including those that nothing has used yet.
    """
    with raising(False):  # a variable that is not used here is no reason to fail
        for name in own_names(os.environ):
            setting = VARIABLES.get(name)
            if setting is None:
                meant = f"; {one} may be meant" if (one := likely(name)) else ""
                text = f"{name} is not a variable of pipecat_dd{meant}"
                note(name, ValueError(text), "It has no effect")
                continue
            with suppress(UnusableVariableError):  # noted already
                setting.read(None)
    write_notes()

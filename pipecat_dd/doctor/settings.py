"""This package's own variables: that they exist, and that what they are set to is allowed."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Final

from pipecat_dd.doctor.finding import Finding, Level
from pipecat_dd.doctor.situation import Situation
from pipecat_dd.settings import ENV_PREFIX, Settings, variables


def ours(situation: Situation) -> Iterator[Finding]:
    """Check that each is one of ours, and that the observer takes its value."""
    known = variables()
    named = sorted(name for name in situation.environ if name.startswith(ENV_PREFIX))
    valid = []
    for name in named:
        if name not in known:
            likely = _like(name, known)
            yield Finding(
                "settings.unknown",
                Level.PROBLEM,
                f"{name} is no variable of pipecat_dd's, and does nothing.",
                f"Set {likely[0]} instead."
                if likely
                else f"Choose from {', '.join(sorted(known))}.",
                {"variable": name, "likely": likely[0] if likely else None},
            )
            continue
        try:
            with _only(ENV_PREFIX, {name: situation.environ[name]}):
                Settings.read()
        except (TypeError, ValueError) as error:
            yield Finding(
                "settings.invalid",
                Level.PROBLEM,
                f"DatadogObserver() refuses its settings: {error}.",
                f"Put {name} right, or unset it.",
                {"variable": name},
            )
        else:
            valid.append(name)
    if valid:
        yield Finding(
            "settings.set",
            Level.OK,
            f"Set, and valid: {', '.join(valid)}.",
            facts={"set": valid},
        )


def _like(name: str, known: frozenset[str]) -> list[str]:
    # Without what all of them begin with, by which all of them are alike.
    names = [one.removeprefix(ENV_PREFIX) for one in sorted(known)]
    alike = get_close_matches(name.removeprefix(ENV_PREFIX), names, n=1)
    return [ENV_PREFIX + one for one in alike]


@contextmanager
def _only(prefix: str, variables: Mapping[str, str]) -> Iterator[None]:
    """Have the environment hold these and no others that begin so, for a block.

    Settings are read in one go, and the first that is wrong hides the rest.
    """
    aside = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith(prefix)}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in variables:
            os.environ.pop(name, None)
        os.environ.update(aside)


CHECKS: Final = (ours,)

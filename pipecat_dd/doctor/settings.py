"""This package's own variables: that they exist, and that what they are set to is allowed."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Final

from pipecat_dd.doctor.finding import Finding, Level
from pipecat_dd.doctor.situation import Situation
from pipecat_dd.settings import ENV_PREFIX, Settings, variables
from pipecat_dd.telling.shipping import settings as shipping

API_URL: Final = "PIPECAT_DD_API_URL"
"""Read by the command line alone."""

_ANY_KEY: Final = "0" * 32


@dataclass(frozen=True, slots=True)
class Reader:
    """What reads some of the variables.

    Attributes:
        who: What it is called.
        names: The variables it reads.
        read: Reads them; raises what it has against their values.
    """

    who: str
    names: frozenset[str]
    read: Callable[[], object]


def readers() -> Iterator[Reader]:
    """Yield all that read variables of ours."""
    yield Reader("DatadogObserver()", variables(), Settings.read)
    yield Reader("the command line", frozenset({API_URL}), lambda: None)
    who = "configure_logging(ship=True)"
    yield Reader(who, frozenset({shipping.SWITCH}), lambda: shipping.settings_of(None))
    names = {shipping.ENV_PREFIX + field.name.upper() for field in fields(shipping.Shipping)}
    # The key's own check is the intake's; here it must not hide what is wrong with the others.
    yield Reader(who, frozenset(names), lambda: shipping.Shipping(api_key=_ANY_KEY))


def ours(situation: Situation) -> Iterator[Finding]:
    """Check that each is one of ours, and that what reads it takes its value."""
    reader_of = {name: reader for reader in readers() for name in reader.names}
    valid = []
    for name in sorted(name for name in situation.environ if name.startswith(ENV_PREFIX)):
        reader = reader_of.get(name)
        if reader is None:
            yield _unknown(name, frozenset(reader_of))
            continue
        try:
            with _only(ENV_PREFIX, {name: situation.environ[name]}):
                reader.read()
        except (ImportError, TypeError, ValueError) as error:
            yield Finding(
                "settings.invalid",
                Level.PROBLEM,
                f"{reader.who} refuses what it is set to: {error}.",
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


def _unknown(name: str, known: frozenset[str]) -> Finding:
    # Without what all of them begin with, by which all of them are alike.
    names = [one.removeprefix(ENV_PREFIX) for one in sorted(known)]
    likely = get_close_matches(name.removeprefix(ENV_PREFIX), names, n=1)
    return Finding(
        "settings.unknown",
        Level.PROBLEM,
        f"{name} is no variable of pipecat_dd's, and does nothing.",
        f"Set {ENV_PREFIX}{likely[0]} instead."
        if likely
        else f"Choose from {', '.join(sorted(known))}.",
        {"variable": name, "likely": ENV_PREFIX + likely[0] if likely else None},
    )


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

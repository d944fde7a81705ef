"""Check this package's own variables: whether they exist and have valid values."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from pipecat_dd.cli.doctor.context import Context
from pipecat_dd.cli.doctor.finding import Finding, Level
from pipecat_dd.variables import ENV_PREFIX, likely, raising, readers


def ours(context: Context) -> Iterator[Finding]:
    """Check that each is one of ours, and that what reads it takes its value."""
    reader_of = {name: reader for reader in readers() for name in reader.names}
    valid = []
    for name in sorted(name for name in context.environ if name.startswith(ENV_PREFIX)):
        reader = reader_of.get(name)
        if reader is None:
            yield _unknown(name, frozenset(reader_of))
            continue
        try:
            with _only(ENV_PREFIX, {name: context.environ[name]}), raising():
                reader.read()
        except (ImportError, TypeError, ValueError) as error:
            yield Finding(
                "settings.invalid",
                Level.PROBLEM,
                f"{reader.who} rejects this value and uses the default instead: {error}.",
                f"Correct {name}, or unset it.",
                {"variable": name},
            )
        else:
            valid.append(name)
    if valid:
        yield Finding(
            "settings.set",
            Level.OK,
            f"Set and valid: {', '.join(valid)}.",
            facts={"set": valid},
        )


def _unknown(name: str, known: frozenset[str]) -> Finding:
    meant = likely(name, known)
    return Finding(
        "settings.unknown",
        Level.PROBLEM,
        f"{name} is not a variable of pipecat_dd and has no effect.",
        f"Set {meant} instead." if meant else f"Choose from {', '.join(sorted(known))}.",
        {"variable": name, "likely": meant},
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

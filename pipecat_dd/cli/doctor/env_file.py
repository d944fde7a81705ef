"""Check for a ``.env`` file that is loaded too late for ddtrace, as in most Pipecat examples."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from dotenv import dotenv_values

from pipecat_dd.cli.doctor.context import Context
from pipecat_dd.cli.doctor.finding import Finding, Level

NAME: Final = ".env"


def read(path: Path) -> dict[str, str]:
    """Return the variables that a ``.env`` file sets."""
    return {name: value for name, value in dotenv_values(path).items() if value is not None}


def too_late(context: Context) -> Iterator[Finding]:
    """Report ddtrace's variables that are set in a ``.env`` file but not in the environment.

    ddtrace reads its variables when it is imported. ``load_dotenv()`` usually runs after that.
    """
    source, loads = context.start.source, context.start.loads_env
    if loads == "early":
        return
    directory = context.directory if source is None else source.parent
    path = directory / NAME
    if not path.is_file():
        return
    set_there = [name for name in read(path) if name.startswith(("DD_", "_DD_", "OTEL_"))]
    unseen = sorted(name for name in set_there if name not in context.environ)
    if not unseen:
        return
    yield Finding(
        "env_file.too_late",
        Level.PROBLEM if loads == "late" else Level.NOTE,
        f"{', '.join(unseen)} {'is' if len(unseen) == 1 else 'are'} set only in {NAME}: ddtrace "
        "reads its variables when it is imported, and load_dotenv() runs after that.",
        f"Set such variables before Python starts, with `set -a; . ./{NAME}; set +a`, "
        f"`docker run --env-file` or `uv run --env-file {NAME}`. If the bot already starts like "
        f"that, run `pipecat-dd doctor --env-file {NAME}`.",
        {"variables": list(unseen)},
    )


CHECKS: Final = (too_late,)

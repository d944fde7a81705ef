"""Variables in a ``.env`` file: Pipecat's examples load one, and mostly too late for ddtrace."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from dotenv import dotenv_values

from pipecat_dd.cli.doctor.context import Context
from pipecat_dd.cli.doctor.finding import Finding, Level

NAME: Final = ".env"


def read(path: Path) -> dict[str, str]:
    """Return the variables that a file sets.

    Args:
        path: The file.
    """
    return {name: value for name, value in dotenv_values(path).items() if value is not None}


def too_late(situation: Context) -> Iterator[Finding]:
    """Name what a ``.env`` file sets for ddtrace, and the environment does not hold.

    ddtrace reads its variables when it is imported; ``load_dotenv()`` comes after the imports.
    """
    source, loads = situation.start.source, situation.start.loads_env
    if loads == "early":
        return
    directory = situation.directory if source is None else source.parent
    path = directory / NAME
    if not path.is_file():
        return
    set_there = [name for name in read(path) if name.startswith(("DD_", "_DD_", "OTEL_"))]
    unseen = sorted(name for name in set_there if name not in situation.environ)
    if not unseen:
        return
    yield Finding(
        "env_file.too_late",
        Level.PROBLEM if loads == "late" else Level.NOTE,
        f"{', '.join(unseen)} {'is' if len(unseen) == 1 else 'are'} set in {NAME} only: ddtrace "
        f"reads the environment when it is imported, and load_dotenv() comes after that.",
        f"Set them before Python starts: `set -a; . ./{NAME}; set +a`, `docker run --env-file`, "
        f"`uv run --env-file {NAME}`. If that is done: `pipecat-dd doctor --env-file {NAME}`.",
        {"variables": list(unseen)},
    )


CHECKS: Final = (too_late,)

"""Which lines carry the right ids: every place a bot writes from, told by a real conversation.

The conversations are those of ``tests/test_anywhere.py``: real bots on a websocket transport,
with Cartesia's and OpenAI's services against servers on loopback, in which a line is written in
each place there is. Each line says whose it is and where it was written, and is held against
the spans that its session sent. A process of its own for each configuration, since ddtrace's
patches cannot be undone.
"""

import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import machine

_PATIENCE_SECS = 300.0
_COUNTS = ("written", "session", "span", "participant", "wrong")


@dataclass(frozen=True, slots=True)
class Configuration:
    """What one run had.

    Attributes:
        sessions: How many sessions at once.
        patched: Whether ddtrace's patches of asyncio, futures, logging and loguru were on.
    """

    sessions: int
    patched: bool

    @property
    def label(self) -> str:
        """What it is called in the table."""
        sessions = "one session" if self.sessions == 1 else f"{self.sessions} sessions"
        return f"{sessions},\npatches {'on' if self.patched else 'off'}"


@dataclass(frozen=True, slots=True)
class Report:
    """What came of each place, in each configuration.

    Attributes:
        machine: Where and on what it ran.
        configurations: The runs, in order.
        places: By place, for each run its counts: lines written; lines with the right session,
            span and participant; lines with no id; lines with a wrong one.
    """

    machine: dict[str, str | int | float | None]
    configurations: list[Configuration]
    places: dict[str, list[dict[str, int]]]


def run(sessions: int, console: Console) -> Report:
    """Hold the conversations of all configurations.

    Args:
        sessions: How many at once, where there are several.
        console: Shows how far it is, where it is a terminal.
    """
    from tests.support.places import PLACES

    described = machine.describe()
    configurations = [
        Configuration(count, patched) for count in (1, sessions) for patched in (False, True)
    ]
    places: dict[str, list[dict[str, int]]] = {place.name: [] for place in PLACES}
    for configuration in configurations:
        with console.status(configuration.label.replace("\n", " ")):
            for name, counts in _held(configuration).items():
                places[name].append(counts)
    return Report(described, configurations, places)


def _held(configuration: Configuration) -> dict[str, dict[str, int]]:
    done = subprocess.run(
        [
            sys.executable,
            *("-m", "tests.support.anywhere"),
            *("--sessions", str(configuration.sessions)),
            *("--patches", "before" if configuration.patched else "none"),
        ],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        timeout=_PATIENCE_SECS,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{configuration.label}: {done.stderr[-2000:]}")
    found: dict[str, dict[str, dict[str, int]]] = json.loads(done.stdout)
    return found[str(configuration.sessions)]


def show(report: Report, console: Console) -> None:
    """Print the table.

    Args:
        report: What came of it.
        console: Where to.
    """
    table = Table(
        title="Lines written: with the right session, span, participant; with a wrong id",
        title_justify="left",
    )
    table.add_column("written in", no_wrap=True)
    for configuration in report.configurations:
        table.add_column(configuration.label, justify="right", no_wrap=True)
    for name, runs in report.places.items():
        table.add_row(name, *(_cell(counts) for counts in runs))
    table.add_section()
    totals = [
        {count: sum(runs[i][count] for runs in report.places.values()) for count in _COUNTS}
        for i in range(len(report.configurations))
    ]
    table.add_row("all", *(_cell(counts) for counts in totals), style="bold")
    console.print(table)
    console.print(machine.one_line(report.machine), highlight=False)


def _cell(counts: dict[str, int]) -> str:
    right = " ".join(str(counts[count]) for count in _COUNTS[1:-1])
    return f"{counts['written']}: {right}; {counts['wrong']}"


def write_json(report: Report, path: Path) -> None:
    """Write all counts.

    Args:
        report: What came of it.
        path: The file.
    """
    path.write_text(json.dumps(asdict(report), indent=2) + "\n")

"""Count the log lines with the right ids, for each place from which a bot can log.

The conversations are those of ``tests/test_anywhere.py``: real bots on a websocket transport, with
Cartesia's and OpenAI's services connected to local servers. They log a line from every place. Each
line contains its session and its place, and is compared with the spans that the session sent. Each
configuration runs in its own process, since ddtrace's patches cannot be undone.
"""

import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import machine

_TIMEOUT_SECS = 300.0
_COUNTS = ("written", "session", "span", "participant", "wrong")


@dataclass(frozen=True, slots=True)
class Configuration:
    """The configuration of a run.

    Attributes:
        sessions: The number of concurrent sessions.
        patched: Whether ddtrace patches asyncio, futures, logging and loguru.
    """

    sessions: int
    patched: bool

    @property
    def label(self) -> str:
        """The heading in the table."""
        sessions = "one session" if self.sessions == 1 else f"{self.sessions} sessions"
        return f"{sessions},\npatches {'on' if self.patched else 'off'}"


@dataclass(frozen=True, slots=True)
class Report:
    """The results for each place in each configuration.

    Attributes:
        machine: The machine, from :func:`benchmarks.machine.describe`.
        configurations: The configurations, in order.
        places: For each place, the counts of each configuration: lines written; lines with the
            right session, span and participant; lines with a wrong id.
    """

    machine: dict[str, str | int | float | None]
    configurations: list[Configuration]
    places: dict[str, list[dict[str, int]]]


def run(sessions: int, console: Console) -> Report:
    """Hold the conversations of all configurations.

    Args:
        sessions: The number of concurrent sessions, in the runs with several.
        console: Shows the progress if it is a terminal.
    """
    from tests.support.places import PLACES

    described = machine.describe()
    configurations = [
        Configuration(count, patched) for count in (1, sessions) for patched in (False, True)
    ]
    places: dict[str, list[dict[str, int]]] = {place.name: [] for place in PLACES}
    for configuration in configurations:
        with console.status(configuration.label.replace("\n", " ")):
            for name, counts in run_configuration(configuration).items():
                places[name].append(counts)
    return Report(described, configurations, places)


def run_configuration(configuration: Configuration) -> dict[str, dict[str, int]]:
    """Run the conversations of a configuration, and return the counts for each place."""
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
        timeout=_TIMEOUT_SECS,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{configuration.label}: {done.stderr[-2000:]}")
    found: dict[str, dict[str, dict[str, int]]] = json.loads(done.stdout)
    return found[str(configuration.sessions)]


def show(report: Report, console: Console) -> None:
    """Print a table."""
    table = Table(
        title="Lines logged: with the right session, span, participant; with a wrong id",
        title_justify="left",
    )
    table.add_column("logged in", no_wrap=True)
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
    """Write all counts to a file."""
    path.write_text(json.dumps(asdict(report), indent=2) + "\n")

"""Measure which traces are lost if a bot is killed with SIGKILL or terminated with SIGTERM.

Each bot is a process that holds conversations one after another, and the benchmark notes when each
of them ended. It sends the signal at a random moment, and then counts the conversations that had
ended but did not reach the Agent, and for how long they had ended.
"""

import json
import random
import signal
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import machine
from tests.support.ill_agent import IllAgent
from tests.support.processes import bot_process

BOT = "tests.reliability.talking_bot"
PROMISED_SECS = 5.0
"""After this time a conversation that has ended has reached the Agent, whatever happens."""
_SEED = 20_261


@dataclass(frozen=True, slots=True)
class Row:
    """The losses with a signal.

    Attributes:
        way: The signal.
        bots: The number of bots.
        sessions: The number of conversations of all bots that had ended before the signal.
        missing: How many of those did not reach the Agent.
        old_missing: How many of the missing had ended longer than ``PROMISED_SECS`` before.
        oldest_missing_secs: How long before the signal the oldest missing one had ended; 0 if none
            is missing.
    """

    way: str
    bots: int
    sessions: int
    missing: int
    old_missing: int
    oldest_missing_secs: float


@dataclass(frozen=True, slots=True)
class Report:
    """The results of a run, and the machine."""

    machine: dict[str, str | int | float | None]
    rows: list[Row]


def run(bots: int, secs: float, console: Console) -> Report:
    """Kill bots.

    Args:
        bots: The number of bots per signal.
        secs: The longest time before the signal, in seconds.
        console: Shows the progress.
    """
    described = machine.describe()
    moments = random.Random(_SEED)
    rows = []
    for way in (signal.SIGKILL, signal.SIGTERM):
        ages: list[float] = []
        sessions = 0
        for number in range(bots):
            console.print(f"{way.name}, bot {number + 1} of {bots} …")
            over, missing = _kill(way, moments.uniform(secs / 2, secs))
            sessions += over
            ages += missing
        rows.append(
            Row(
                way.name,
                bots,
                sessions,
                len(ages),
                sum(age > PROMISED_SECS for age in ages),
                max(ages, default=0.0),
            )
        )
    return Report(described, rows)


def _kill(way: signal.Signals, after_secs: float) -> tuple[int, list[float]]:
    """Return the number of ended conversations, and how long ago the missing ones had ended."""
    over: dict[str, float] = {}
    with IllAgent() as agent, bot_process(BOT, agent_url=agent.url) as process:
        process.tell("talk 1 observed")
        process.report()
        began = time.monotonic()
        while time.monotonic() < began + after_secs:
            process.tell("talk 1 observed")
            (session_id,) = process.report()["sessions"]
            over[session_id] = time.monotonic()
        killed = time.monotonic()
        process.popen.send_signal(way)
        process.ends()
        arrived = {
            session_id
            for session_id in over
            if any(span["name"] == "pipecat.session" for span in agent.of(session_id))
        }
    return len(over), [killed - at for session_id, at in over.items() if session_id not in arrived]


def show(report: Report, console: Console) -> None:
    """Print a table."""
    table = Table(title="What is lost if a bot is killed", title_justify="left")
    table.add_column("")
    for heading in (
        "bots",
        "ended sessions",
        "missing",
        f"ended {PROMISED_SECS:.0f} s ago",
        "oldest missing s",
    ):
        table.add_column(heading, justify="right")
    for row in report.rows:
        table.add_row(
            row.way,
            str(row.bots),
            str(row.sessions),
            str(row.missing),
            str(row.old_missing),
            f"{row.oldest_missing_secs:.2f}",
        )
    console.print(table)
    console.print(machine.one_line(report.machine), soft_wrap=True)


def write_json(report: Report, path: Path) -> None:
    """Write all figures to a file."""
    path.write_text(json.dumps(asdict(report), indent=2), encoding="utf-8")

"""What is lost of a bot that is killed, and what of one that ends in another way.

Each bot is a process of its own that holds conversations one after another and notes when each
turn was over. It is killed at a moment drawn at random (SIGKILL: nothing of it runs any more), or
told to terminate. Then: how old was the youngest turn that the Agent has all of, and how many that
were over longer than that are missing?
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
"""How long after its end a turn is at the Agent, whatever happens to the process."""
_SEED = 20_261


@dataclass(frozen=True, slots=True)
class Row:
    """What one way to end lost.

    Attributes:
        way: The signal.
        bots: How many bots ended so.
        sessions: Conversations that were over when it was sent, of all bots.
        missing: Of those, how many the Agent does not have whole.
        old_missing: Of those missing, how many were over longer than is promised.
        oldest_missing_secs: How long the oldest of them had been over; 0 where none is missing.
    """

    way: str
    bots: int
    sessions: int
    missing: int
    old_missing: int
    oldest_missing_secs: float


@dataclass(frozen=True, slots=True)
class Report:
    """A run: what was measured, on what, and what came out."""

    machine: dict[str, str | int | float | None]
    rows: list[Row]


def run(bots: int, secs: float, console: Console) -> Report:
    """Kill bots.

    Args:
        bots: How many, for each signal.
        secs: How long each talks at most.
        console: Shows how far it is.
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
    """Return how many conversations were over, and how long those had been that are missing."""
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
    """Print the table.

    Args:
        report: What was measured.
        console: Where to.
    """
    table = Table(title="What a bot that is killed loses", title_justify="left")
    table.add_column("")
    for heading in (
        "bots",
        "sessions over",
        "missing",
        f"over for {PROMISED_SECS:.0f} s",
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
    """Write all figures to a file.

    Args:
        report: What was measured.
        path: The file.
    """
    path.write_text(json.dumps(asdict(report), indent=2), encoding="utf-8")

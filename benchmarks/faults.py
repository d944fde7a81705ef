"""What an ill Agent does to a bot: dead, slow, refusing, flapping.

For each illness a bot in a process of its own, which holds conversations with and without the
observer in turn while the Agent is ill, and then, when it is well again, with it. Compared is what
the bot said, and how late its event loop got to what was due; measured is how its memory grew, how
long delivery took to resume, and how long the process took to end while the Agent was ill.
"""

import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import machine
from tests.support.ill_agent import Health, IllAgent
from tests.support.processes import BotProcess, bot_process

BOT = "tests.reliability.talking_bot"
_PATIENCE_SECS = 90.0


@dataclass(frozen=True, slots=True)
class Row:
    """What one illness did.

    Attributes:
        health: How the Agent was.
        same: Whether the bot said the same as without the observer, each time.
        lag_ms: The event loop's lag with the observer: median, 99th percentile, longest.
        plain_lag_ms: The same without.
        blocked: What blocked the event loop's thread on our behalf.
        growth_mb: How much more memory there was after than before.
        resumed_secs: How long after its recovery the Agent had the next session; None if never.
        exit_secs: How long the process took to end while the Agent was ill.
    """

    health: str
    same: bool
    lag_ms: dict[str, float]
    plain_lag_ms: dict[str, float]
    blocked: list[str]
    growth_mb: float
    resumed_secs: float | None
    exit_secs: float


@dataclass(frozen=True, slots=True)
class Report:
    """A run: what was measured, on what, and what came out."""

    machine: dict[str, str | int | float | None]
    conversations: int
    rows: list[Row]


def run(conversations: int, console: Console, agents: Sequence[str] = ()) -> Report:
    """Measure illnesses, one after another.

    Args:
        conversations: How many conversations are held with each, with and without the observer.
        console: Shows how far it is.
        agents: How the Agent is; in all ways there are, where none is given.

    Raises:
        ValueError: There is no such illness.
    """
    described = machine.describe()
    rows = []
    for health in [Health(name) for name in agents] or Health:
        console.print(f"{health.value} …")
        rows.append(_row(health, conversations))
    return Report(described, conversations, rows)


def _row(health: Health, conversations: int) -> Row:
    with IllAgent(health) as agent, bot_process(BOT, agent_url=agent.url) as process:
        said = _talk(process, "plain")["said"]
        _talk(process, "observed")
        observed, plain = [], []
        for _ in range(conversations):
            plain.append(_talk(process, "plain"))
            observed.append(_talk(process, "observed"))
        agent.becomes(Health.WELL)
        well = _talk(process, "observed")
        resumed = _arrival(agent, well["sessions"][0])
    return Row(
        health.value,
        all(report["said"] == said for report in [*observed, *plain, well]),
        _lag(observed),
        _lag(plain),
        sorted({what for report in observed for what in report["blocked"]}),
        observed[-1]["rss_mb"] - observed[0]["rss_mb"],
        resumed,
        _exit_secs(health),
    )


def _exit_secs(health: Health) -> float:
    with IllAgent(health) as agent, bot_process(BOT, agent_url=agent.url) as process:
        _talk(process, "observed")
        process.tell("end")
        return process.ends(_PATIENCE_SECS)[1]


def _talk(process: BotProcess, how: str) -> dict[str, Any]:
    process.tell(f"talk 1 {how}")
    return process.report()


def _lag(reports: list[dict[str, Any]]) -> dict[str, float]:
    lags = [report["lag_ms"] for report in reports]
    return {
        "p50": statistics.median(lag["p50"] for lag in lags),
        "p99": statistics.median(lag["p99"] for lag in lags),
        "max": max(lag["max"] for lag in lags),
    }


def _arrival(agent: IllAgent, session_id: str) -> float | None:
    began = time.monotonic()
    while not any(span["name"] == "pipecat.session" for span in agent.of(session_id)):
        if time.monotonic() - began > _PATIENCE_SECS:
            return None
        time.sleep(0.05)
    return time.monotonic() - began


def show(report: Report, console: Console) -> None:
    """Print the table.

    Args:
        report: What was measured.
        console: Where to.
    """
    table = Table(title="A bot whose Agent is ill", title_justify="left")
    table.add_column("the Agent")
    table.add_column("said")
    for heading in (
        "lag p50 ms",
        "without",
        "p99",
        "without",
        "longest",
        "without",
        "blocked",
        "MB",
        "resumed s",
        "exit s",
    ):
        table.add_column(heading, justify="right")
    for row in report.rows:
        table.add_row(
            row.health,
            "the same" if row.same else "SOMETHING ELSE",
            *(
                f"{lag[name]:.2f}"
                for name in ("p50", "p99", "max")
                for lag in (row.lag_ms, row.plain_lag_ms)
            ),
            str(len(row.blocked)),
            f"{row.growth_mb:+.1f}",
            "never" if row.resumed_secs is None else f"{row.resumed_secs:.1f}",
            f"{row.exit_secs:.1f}",
        )
    console.print(table)
    for row in report.rows:
        for what in row.blocked:
            console.print(f"{row.health}: {what}")
    console.print(
        f"{report.conversations} conversations each with and without the observer, in turn; a "
        f"process's end is ddtrace's flush. {machine.one_line(report.machine)}",
        soft_wrap=True,
    )


def write_json(report: Report, path: Path) -> None:
    """Write all figures to a file.

    Args:
        report: What was measured.
        path: The file.
    """
    path.write_text(json.dumps(asdict(report), indent=2), encoding="utf-8")

"""Measure how a faulty Agent affects a bot: dead, slow, rejecting, flapping.

For each fault, a bot in its own process holds conversations, alternately with and without the
observer, while the Agent is faulty, and one with the observer after the Agent has recovered. The
benchmark compares what the bot said and its event loop lag. It measures how much its memory grew,
how long delivery took to resume, and how long the process took to end while the Agent was faulty.
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
_TIMEOUT_SECS = 90.0


@dataclass(frozen=True, slots=True)
class Row:
    """The effects of a fault.

    Attributes:
        health: The state of the Agent.
        same: Whether the bot always said the same as without the observer.
        lag_ms: The event loop lag with the observer: median, 99th percentile, maximum.
        plain_lag_ms: The event loop lag without the observer.
        blocked: The calls of this package that blocked the event loop.
        growth_mb: The growth of the process's memory, in MB.
        resumed_secs: The time from the Agent's recovery until it received the next session; None if
            it did not.
        exit_secs: The time that the process took to end while the Agent was faulty.
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
    """The results of a run, with its options and the machine."""

    machine: dict[str, str | int | float | None]
    conversations: int
    rows: list[Row]


def run(conversations: int, console: Console, agents: Sequence[str] = ()) -> Report:
    """Measure faults, one after another.

    Args:
        conversations: The number of conversations per fault, each with and without the observer.
        console: Shows the progress.
        agents: The states of the Agent to measure; empty for all.

    Raises:
        ValueError: A state does not exist.
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
        resumed = _wait_for_session(agent, well["sessions"][0])
    return Row(
        health.value,
        all(report["said"] == said for report in [*observed, *plain, well]),
        _lag(observed),
        _lag(plain),
        sorted({what for report in observed for what in report["blocked"]}),
        observed[-1]["rss_mb"] - observed[0]["rss_mb"],
        resumed,
        _measure_exit(health),
    )


def _measure_exit(health: Health) -> float:
    with IllAgent(health) as agent, bot_process(BOT, agent_url=agent.url) as process:
        _talk(process, "observed")
        process.tell("end")
        return process.ends(_TIMEOUT_SECS)[1]


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


def _wait_for_session(agent: IllAgent, session_id: str) -> float | None:
    began = time.monotonic()
    while not any(span["name"] == "pipecat.session" for span in agent.of(session_id)):
        if time.monotonic() - began > _TIMEOUT_SECS:
            return None
        time.sleep(0.05)
    return time.monotonic() - began


def show(report: Report, console: Console) -> None:
    """Print a table."""
    table = Table(title="A bot with a faulty Agent", title_justify="left")
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
            "the same" if row.same else "DIFFERENT",
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
        f"{report.conversations} conversations each with and without the observer, alternately; "
        f"exit is mostly ddtrace's flush. {machine.one_line(report.machine)}",
        soft_wrap=True,
    )


def write_json(report: Report, path: Path) -> None:
    """Write all figures to a file."""
    path.write_text(json.dumps(asdict(report), indent=2), encoding="utf-8")

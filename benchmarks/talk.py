"""Measure what an observer costs a whole bot: the CPU time of a recorded conversation.

The conversation is that of ``pipecat-dd demo``, with a recorded user, a real voice activity
detector, real services connected to a local provider, and a real websocket transport. Each
contender runs it in its own process, one at a time, with Pipecat's default worker. The benchmark
measures the CPU time of the bot's process from the start of its event loop to the end.

Most of that is the work of the bot itself, so the ratios are close to one: they show what a user
would notice. ``python -m benchmarks cost`` measures the cost of an observer alone.
"""

import asyncio
import json
import os
import random
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks import machine
from benchmarks.contenders import EMPTY, NONE, OURS, Contender, contenders

_SEED = 20_260
_REPOSITORY = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Row:
    """The cost of the conversation with a contender.

    Attributes:
        contender: The contender's key.
        label: The contender's name in the table.
        missing: Why it was not measured; None if it was.
        cpu_ms_per_sec: The CPU time per second of conversation, of each round.
        spans: The number of finished spans per conversation, which shows that it worked.
    """

    contender: str
    label: str
    missing: str | None
    cpu_ms_per_sec: list[float]
    spans: float | None


@dataclass(frozen=True, slots=True)
class Report:
    """The results of a run, with its options and the machine."""

    machine: dict[str, str | int | float | None]
    rounds: int
    rows: list[Row]


def run(rounds: int, console: Console) -> Report:
    """Run the conversation with each contender.

    Args:
        rounds: The number of conversations per contender.
        console: Shows the progress if it is a terminal.

    Raises:
        RuntimeError: A conversation could not be completed.
    """
    described = machine.describe()
    everyone = contenders()
    present = [contender for contender in everyone if contender.missing is None]
    cpu: dict[str, list[float]] = {contender.key: [] for contender in present}
    spans: dict[str, int] = dict.fromkeys(cpu, 0)
    order = random.Random(_SEED)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("Talking", total=rounds * len(present))
        for _ in range(rounds):
            order.shuffle(present)
            for contender in present:
                figures = asyncio.run(_conversation(contender))
                cpu[contender.key].append(1e3 * figures["cpu_secs"] / figures["secs"])
                spans[contender.key] += int(figures["spans"])
                progress.advance(bar)
    rows = [
        Row(
            contender.key,
            contender.label,
            contender.missing,
            cpu.get(contender.key, []),
            None if contender.counter is None else spans.get(contender.key, 0) / rounds,
        )
        for contender in everyone
    ]
    return Report(described, rounds, rows)


async def _conversation(contender: Contender) -> dict[str, float]:
    from pipecat_dd.cli.demo.run import converse

    with tempfile.TemporaryDirectory() as scratch:
        out, result = Path(scratch), Path(scratch, "figures.json")
        outcome = await converse(
            out,
            lambda progress: None,
            bot_module="benchmarks.talk_bot",
            bot_settings={
                "BENCHMARKS_CONTENDER": contender.key,
                "BENCHMARKS_RESULT": str(result),
                "PYTHONPATH": os.pathsep.join(
                    filter(None, (str(_REPOSITORY), os.environ.get("PYTHONPATH")))
                ),
            },
        )
        if outcome.failure is not None:
            console = out / "bot-console.txt"
            said = console.read_text(errors="replace") if console.exists() else ""
            raise RuntimeError(f"{contender.label}: {outcome.failure}\n{said}")
        figures: dict[str, float] = json.loads(result.read_text())  # noqa: ASYNC240
        return figures


def show(report: Report, console: Console) -> None:
    """Print a table."""
    measured = {row.contender: row.cpu_ms_per_sec for row in report.rows if row.cpu_ms_per_sec}
    table = Table(title="CPU time of a recorded conversation", title_justify="left")
    table.add_column("")
    for heading in ("ms per second", "median", "to empty", "to none", "spans"):
        table.add_column(heading, justify="right")
    for row in report.rows:
        if row.contender not in measured:
            table.add_row(f"{row.label}: {row.missing}")
            continue
        least = min(row.cpu_ms_per_sec)
        table.add_row(
            row.label,
            f"{least:.1f}",
            f"{median(row.cpu_ms_per_sec):.1f}",
            f"{least / min(measured[EMPTY]):.3f}",
            f"{least / min(measured[NONE]):.3f}",
            "" if row.spans is None else f"{row.spans:.0f}",
            style="bold" if row.contender == OURS else None,
        )
    console.print(table)
    console.print(
        f"{report.rounds} conversations each, one at a time, in a random order; minimum, then "
        "median; ratios of the minima.",
        machine.one_line(report.machine),
        sep="\n",
        highlight=False,
    )

"""What an observer costs a whole bot: the CPU time of a recorded conversation.

The conversation is that of ``pipecat-dd demo``: a recorded user, a real voice activity
detector, real services against a local provider, a real websocket transport. Each contender
holds it in a process of its own, one at a time, on Pipecat's worker as users have it. What is
measured is the CPU time of the bot's process from the start of its event loop to the end.

Most of that is the work of the bot itself, so the ratios are near to one: they say what a user
would notice. What an observer alone costs is what ``python -m benchmarks cost`` measures.
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
    """What the conversation took with one contender.

    Attributes:
        contender: Its key.
        label: Its name.
        missing: Why it was not measured; None where it was.
        cpu_ms_per_sec: CPU time for each second of conversation, in each round.
        spans: Spans finished in a conversation: proof that it was at work.
    """

    contender: str
    label: str
    missing: str | None
    cpu_ms_per_sec: list[float]
    spans: float | None


@dataclass(frozen=True, slots=True)
class Report:
    """A run: what was measured, and on what."""

    machine: dict[str, str | int | float | None]
    rounds: int
    rows: list[Row]


def run(rounds: int, console: Console) -> Report:
    """Hold the conversation with each contender.

    Args:
        rounds: How many conversations each has.
        console: Shows how far it is, where it is a terminal.

    Raises:
        RuntimeError: A conversation did not come to its end.
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
    """Print a table.

    Args:
        report: What was measured.
        console: Where to.
    """
    measured = {row.contender: row.cpu_ms_per_sec for row in report.rows if row.cpu_ms_per_sec}
    table = Table(title="CPU time of a recorded conversation", title_justify="left")
    table.add_column("")
    for heading in ("ms a second", "median", "to empty", "to none", "spans"):
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
        f"{report.rounds} conversations each, one at a time, in an order drawn anew; minimum, "
        "then median; ratios of the minima.",
        machine.one_line(report.machine),
        sep="\n",
        highlight=False,
    )

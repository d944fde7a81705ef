"""Measure the event loop lag of many concurrent sessions in one process.

Every session is a pipeline of eight processors that receives frames as a bot in real time does: one
every 20 ms, from the mix of :mod:`benchmarks.workload`. Meanwhile, a task repeatedly sleeps for
5 ms. The lag is how much longer it slept, which is how long everything in the process must wait.
All contenders run in one process, in a random order in each round.
"""

import asyncio
import gc
import random
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import cycle
from statistics import median, quantiles

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks import machine
from benchmarks.contenders import EMPTY, OURS, Contender, contenders
from benchmarks.workload import MIXES, PROCESSORS, Running, f, running

PERIOD_SECS = 0.02
SLEEP_SECS = 0.005
_SEED = 20_260


@dataclass(frozen=True, slots=True)
class Row:
    """The event loop lag with a contender.

    Attributes:
        contender: The contender's key.
        label: The contender's name in the table.
        missing: Why it was not measured; None if it was.
        p50_ms: The median lag of each round.
        p99_ms: The 99th percentile of the lag of each round.
        cpu_percent: The CPU time as a percentage of the elapsed time, of each round.
    """

    contender: str
    label: str
    missing: str | None
    p50_ms: list[float]
    p99_ms: list[float]
    cpu_percent: list[float]


@dataclass(frozen=True, slots=True)
class Report:
    """The results of a run, with its options and the machine."""

    machine: dict[str, str | int | float | None]
    sessions: int
    secs: float
    rounds: int
    rows: list[Row]


def run(sessions: int, secs: float, rounds: int, console: Console) -> Report:
    """Measure the lag with each contender.

    Args:
        sessions: The number of concurrent sessions.
        secs: The time of measurement per contender and round, in seconds.
        rounds: The number of rounds; each measures every contender once.
        console: Shows the progress if it is a terminal.
    """
    described = machine.describe()
    everyone = contenders()
    rows = {one.key: Row(one.key, one.label, one.missing, [], [], []) for one in everyone}
    present = [contender for contender in everyone if contender.missing is None]
    order = random.Random(_SEED)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("Watching", total=rounds * len(present))
        for _ in range(rounds):
            order.shuffle(present)
            for contender in present:
                late_ms, cpu_percent = asyncio.run(_watch(contender, sessions, secs))
                row = rows[contender.key]
                row.p50_ms.append(median(late_ms))
                row.p99_ms.append(quantiles(late_ms, n=100)[98])
                row.cpu_percent.append(cpu_percent)
                progress.advance(bar)
    return Report(described, sessions, secs, rounds, list(rows.values()))


async def _watch(contender: Contender, sessions: int, secs: float) -> tuple[list[float], float]:
    async with AsyncExitStack() as stack:
        pipelines = [
            # Each pipeline has its own context, as each call on a server has.
            await asyncio.create_task(stack.enter_async_context(running(contender.build)))
            for _ in range(sessions)
        ]
        gc.collect()
        feeding = asyncio.create_task(_feed(pipelines, secs))
        late_ms = []
        began_ns, began = time.process_time_ns(), time.perf_counter()
        while not feeding.done():
            asleep = time.perf_counter()
            await asyncio.sleep(SLEEP_SECS)
            late_ms.append(1e3 * (time.perf_counter() - asleep - SLEEP_SECS))
        cpu_ns, took = time.process_time_ns() - began_ns, time.perf_counter() - began
        await feeding
    return late_ms, 100 * cpu_ns / 1e9 / took


async def _feed(pipelines: list[Running], secs: float) -> None:
    """Send each session one frame per period, spread evenly over the period."""
    frames = [_frames(start) for start in range(len(pipelines))]
    step = PERIOD_SECS / len(pipelines)
    began, sent = time.perf_counter(), 0
    while (ahead := began + sent * step - time.perf_counter()) < secs and sent * step < secs:
        if ahead > 0:
            await asyncio.sleep(ahead)
        which = sent % len(pipelines)
        await pipelines[which].queue(next(frames[which]))
        sent += 1


def _frames(start: int) -> Iterator[f.Frame]:
    makers = cycle(MIXES["mixed"])
    for _ in range(start):
        next(makers)
    return (make() for make in makers)


def show(report: Report, console: Console) -> None:
    """Print a table."""
    empty = next(row for row in report.rows if row.contender == EMPTY)
    table = Table(
        title=f"Event loop lag, {report.sessions} concurrent sessions",
        title_justify="left",
    )
    table.add_column("")
    for heading in ("p50 ms", "p99 ms", "p99 range", "to empty", "CPU %"):
        table.add_column(heading, justify="right")
    for row in report.rows:
        if not row.p99_ms:
            table.add_row(f"{row.label}: {row.missing}")
            continue
        within = (mine / its for mine, its in zip(row.p99_ms, empty.p99_ms, strict=True))
        table.add_row(
            row.label,
            f"{median(row.p50_ms):.2f}",
            f"{median(row.p99_ms):.2f}",
            f"{min(row.p99_ms):.2f} to {max(row.p99_ms):.2f}",
            f"{median(within):.2f}",
            f"{median(row.cpu_percent):.0f}",
            style="bold" if row.contender == OURS else None,
        )
    console.print(table)
    console.print(
        f"{report.rounds} rounds of {report.secs:.0f} s each, a frame every "
        f"{PERIOD_SECS * 1e3:.0f} ms through {PROCESSORS} processors of every session; medians "
        "over the rounds.",
        machine.one_line(report.machine),
        sep="\n",
        highlight=False,
    )

"""How late the event loop is, with many sessions at once in one process.

Every session is a pipeline of eight processors that is sent what a bot in real time is sent: a
frame each 20 ms, of the mix of :mod:`benchmarks.workload`. Meanwhile one task sleeps for
5 ms, again and again; how much longer it slept is what everything in the process waits for.
All contenders have their turns in one process, in an order drawn anew for each round.
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
    """How late the loop was with one contender.

    Attributes:
        contender: Its key.
        label: Its name.
        missing: Why it was not measured; None where it was.
        p50_ms: The median lateness, in each round.
        p99_ms: The 99th percentile, in each round.
        cpu_percent: CPU time over the time watched, in each round.
    """

    contender: str
    label: str
    missing: str | None
    p50_ms: list[float]
    p99_ms: list[float]
    cpu_percent: list[float]


@dataclass(frozen=True, slots=True)
class Report:
    """A run: what was measured, and on what."""

    machine: dict[str, str | int | float | None]
    sessions: int
    secs: float
    rounds: int
    rows: list[Row]


def run(sessions: int, secs: float, rounds: int, console: Console) -> Report:
    """Watch the loop with each contender.

    Args:
        sessions: How many sessions run at once.
        secs: How long each contender is watched in a round.
        rounds: How often each has its turn.
        console: Shows how far it is, where it is a terminal.
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
            # A context of its own for each, as each call has on a server.
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
    """Send each session a frame each period, the sessions spread evenly over it."""
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
    """Print a table.

    Args:
        report: What was measured.
        console: Where to.
    """
    empty = next(row for row in report.rows if row.contender == EMPTY)
    table = Table(
        title=f"Lateness of the event loop, {report.sessions} sessions at once",
        title_justify="left",
    )
    table.add_column("")
    for heading in ("50th ms", "99th ms", "over rounds", "to empty", "CPU %"):
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
        f"{report.rounds} rounds of {report.secs:.0f} s each, a frame each "
        f"{PERIOD_SECS * 1e3:.0f} ms through {PROCESSORS} processors of every session; medians "
        "over the rounds.",
        machine.one_line(report.machine),
        sep="\n",
        highlight=False,
    )

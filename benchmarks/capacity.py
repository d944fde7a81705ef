"""Measure how many calls at once a process holds before its event loop is late.

Calls are those of :mod:`benchmarks.live`: audio in and out in real time. All of them are set up
first; then more and more of them speak, by steps of a few percent. At each step a task repeatedly
sleeps for 5 ms, and the lag is how much longer it slept. A process holds as many calls as it had
when the lag's 99th percentile passed 20 ms, the time between two pieces of audio. The number is
interpolated between steps, and a single step above the limit does not count: it must be two.

Where to begin is found first, with calls without an observer. Rounds are interleaved in a random
order. Ratios are taken within a round; the table shows their median and range over the rounds. The
range is this machine's noise: a smaller difference proves nothing.

Any other work on the machine takes part of the capacity, and makes the figures meaningless if it
comes and goes: run this on a machine that does nothing else. The CPU time of a call, measured in
the same steps below the limit, is far less sensitive to it. All calls share one thread, so the more
each takes, the fewer fit: the ratio of CPU times is what one would expect of the number of calls.
"""

import asyncio
import gc
import json
import math
import os
import random
import time
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks import machine
from benchmarks.contenders import EMPTY, EVERYTHING, NONE, OURS, Contender, contenders
from benchmarks.live import FRAMES_PER_SEC, Call
from benchmarks.workload import BARE, DEFAULT, PROCESSORS

LIMIT_MS = 20.0
"""How late the event loop may be, at the 99th percentile."""

SLEEP_SECS = 0.005
SETTLE_SECS = 0.3
"""How long a step lasts before it is measured."""

WORKERS = {"bare": BARE, "default": DEFAULT}
"""Pipecat's worker without its own observers, and with its default observers."""

_COMPARED = (NONE, EMPTY, OURS, EVERYTHING)
_STEP = 1.05
_FROM, _TO = 0.55, 1.35
"""The first and the last step, as shares of the capacity without an observer."""

_FIRST, _FASTER, _MOST = 8, 1.3, 2_000
"""To find that: how many calls to begin with, by how much to go on, and where to stop."""

BUSY = 0.25
"""The machine is busy if its load, for each core, is more than this before the benchmark begins."""

_SEED = 20_260


@dataclass(frozen=True, slots=True)
class Step:
    """What was measured with a number of calls.

    Attributes:
        calls: The number of calls.
        p99_ms: The 99th percentile of the lag.
        cpu_ms: The CPU time per second of a call that was processed, in milliseconds. A process
            that is not given enough of it processes less.
    """

    calls: int
    p99_ms: float
    cpu_ms: float


@dataclass(slots=True)
class Row:
    """What a process holds with a contender.

    Attributes:
        contender: The contender's key.
        label: The contender's name in the table.
        missing: Why it was not measured; None if it was.
        calls: How many calls the process held, of each round.
        cpu_ms: The CPU time per second of a call, below the limit, in milliseconds, of each round.
        spans: The number of finished spans, which shows that it worked.
        is_beyond: Whether the last step was not enough in any round: it holds more.
        is_below: Whether the first step was too much in any round: it holds less.
        steps: All that was measured, by round.
    """

    contender: str
    label: str
    missing: str | None = None
    calls: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    spans: int = 0
    is_beyond: bool = False
    is_below: bool = False
    steps: list[list[Step]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Report:
    """The results of a run, with its options and the machine."""

    machine: dict[str, str | int | float | None]
    rounds: int
    secs: float
    worker: str
    vad: bool
    limit_ms: float
    rows: list[Row]


def run(rounds: int, secs: float, worker: str, vad: bool, quick: bool, console: Console) -> Report:
    """Measure how many calls the process holds with each contender.

    Args:
        rounds: The number of rounds; each measures every contender once.
        secs: How long each step is measured, in seconds.
        worker: The worker's options, a key of :data:`WORKERS`.
        vad: Whether a voice activity detector listens to each call.
        quick: Take two small steps only: to see that it works, not for figures.
        console: Shows the progress if it is a terminal.
    """
    described = machine.describe()
    compared = [one for one in contenders() if one.key in _COMPARED]
    rows = {one.key: Row(one.key, one.label, one.missing) for one in compared}
    present = [one for one in compared if one.missing is None]
    options = {**WORKERS[worker], "vad": vad}
    levels = [1, 2] if quick else _levels(_about(present[0], options, secs))
    order = random.Random(_SEED)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("Measuring", total=rounds * len(present))
        for _ in range(rounds):
            order.shuffle(present)
            for contender in present:
                steps = asyncio.run(_ramp(contender, options, levels, secs, ahead=True))
                _add(rows[contender.key], steps, contender)
                progress.advance(bar)
    return Report(described, rounds, secs, worker, vad, LIMIT_MS, list(rows.values()))


def held(steps: list[Step]) -> float:
    """Return how many calls the process held: where the lag passed the limit for good.

    Args:
        steps: What was measured, with more and more calls.
    """
    for place, step in enumerate(steps):
        if step.p99_ms <= LIMIT_MS or any(one.p99_ms <= LIMIT_MS for one in steps[place:][:2]):
            continue
        if place == 0:
            return float(step.calls)
        before = steps[place - 1]
        # The lag grows by powers rather than evenly.
        low, high = math.log(max(before.p99_ms, 0.01)), math.log(step.p99_ms)
        share = min(1.0, max(0.0, (math.log(LIMIT_MS) - low) / (high - low)))
        return before.calls + share * (step.calls - before.calls)
    return float(steps[-1].calls)


def _add(row: Row, steps: list[Step], contender: Contender) -> None:
    calls = held(steps)
    row.calls.append(calls)
    row.is_beyond |= calls == steps[-1].calls
    row.is_below |= calls == steps[0].calls and steps[0].p99_ms > LIMIT_MS
    row.cpu_ms.append(median([one.cpu_ms for one in steps if one.calls <= calls] or [math.nan]))
    row.steps.append(steps)
    if contender.counter is not None:
        row.spans += contender.counter.take()


def _about(contender: Contender, options: dict[str, Any], secs: float) -> float:
    """Return roughly how many calls a process holds."""
    steps = asyncio.run(_ramp(contender, options, _faster(), secs, ahead=False))
    if contender.counter is not None:
        contender.counter.take()
    return held(steps)


def _faster() -> list[int]:
    count = int(math.log(_MOST / _FIRST) / math.log(_FASTER))
    return [int(_FIRST * _FASTER**step) for step in range(count)]


def _levels(about: float) -> list[int]:
    count = int(math.log(_TO / _FROM) / math.log(_STEP)) + 2
    return sorted({max(1, round(about * _FROM * _STEP**step)) for step in range(count)})


async def _ramp(
    contender: Contender, options: dict[str, Any], levels: list[int], secs: float, ahead: bool
) -> list[Step]:
    """Have more and more calls speak, until the loop was late in two steps, one after the other.

    Args:
        contender: The observer.
        options: The call's options.
        levels: How many calls, step by step.
        secs: How long each step is measured, in seconds.
        ahead: Whether to set all calls up before the first step, so that no set-up is measured.
    """
    steps: list[Step] = []
    calls: list[Call] = []
    async with AsyncExitStack() as stack:
        for level in levels:
            while len(calls) < (levels[-1] if ahead else level):
                call = Call(contender.build, **options)
                # Each call has its own context, as on a server.
                await asyncio.create_task(call.set_up(stack))
                calls.append(call)
            if not steps:
                gc.collect()
            for number, call in enumerate(calls[:level]):
                call.begin(number)
            await asyncio.sleep(SETTLE_SECS)
            steps.append(await _watch(calls[:level], secs))
            if len(steps) > 1 and all(step.p99_ms > LIMIT_MS for step in steps[-2:]):
                break
        await asyncio.gather(*(call.end() for call in calls))
    return steps


async def _watch(calls: list[Call], secs: float) -> Step:
    late_ms: list[float] = []
    before_secs = sum(call.secs for call in calls)
    began_ns, began = time.process_time_ns(), time.perf_counter()
    while time.perf_counter() - began < secs or len(late_ms) < 2:
        asleep = time.perf_counter()
        await asyncio.sleep(SLEEP_SECS)
        late_ms.append(1e3 * (time.perf_counter() - asleep - SLEEP_SECS))
    cpu_ms = (time.process_time_ns() - began_ns) / 1e6
    processed_secs = max(sum(call.secs for call in calls) - before_secs, SLEEP_SECS)
    return Step(len(calls), quantiles(late_ms, n=100)[98], cpu_ms / processed_secs)


def show(report: Report, console: Console) -> None:
    """Print a table."""
    by_key = {row.contender: row for row in report.rows}
    none, empty = by_key[NONE], by_key[EMPTY]
    table = Table(
        title=f"Calls at once, until the event loop's p99 is {report.limit_ms:.0f} ms late",
        title_justify="left",
    )
    table.add_column("")
    compared = ("range", "by CPU")
    for heading in ("calls", "range", "to none", *compared, "to empty", *compared, "ms/s", "spans"):
        table.add_column(heading, justify="right")
    for row in report.rows:
        if row.missing is not None:
            table.add_row(f"{row.label}: {row.missing}")
            continue
        table.add_row(
            row.label,
            f"{'> ' if row.is_beyond else '< ' if row.is_below else ''}{median(row.calls):.1f}",
            f"{min(row.calls):.0f} to {max(row.calls):.0f}",
            *_ratios(row, none),
            *_ratios(row, empty),
            f"{median(row.cpu_ms):.2f}",
            f"{row.spans}" if row.spans else "",
            style="bold" if row.contender == EVERYTHING else None,
        )
    console.print(table)
    console.print(
        f"{report.rounds} interleaved rounds, steps of {report.secs:g} s, {FRAMES_PER_SEC:.0f} "
        f"frames a second into the {PROCESSORS} processors of each call, {report.worker} worker, "
        f"{'Silero' if report.vad else 'no'} VAD; "
        "medians and ranges over the rounds; ratios within a round; by CPU, what the CPU time of a "
        "call would let one expect; its CPU time in ms per second; finished spans.",
        machine.one_line(report.machine),
        sep="\n",
        highlight=False,
    )
    load, cores = report.machine["load"], os.cpu_count() or 1
    if isinstance(load, float) and load > BUSY * cores:
        console.print(
            f"The machine was busy with something else when this began (load {load}): the number "
            "of calls says little. Compare the CPU time.",
            highlight=False,
        )


def _ratios(row: Row, other: Row) -> tuple[str, str, str]:
    within = [mine / its for mine, its in zip(row.calls, other.calls, strict=True)]
    by_cpu = median(its / mine for mine, its in zip(row.cpu_ms, other.cpu_ms, strict=True))
    return f"{median(within):.3f}", f"{min(within):.2f} to {max(within):.2f}", f"{by_cpu:.3f}"


def write_json(report: Report, path: Path) -> None:
    """Write all figures, including those of each step, to a file."""
    path.write_text(json.dumps(asdict(report), indent=2) + "\n")

"""What is left of calls that are over, and what a call keeps as it goes on.

Three loads, each on scripted services and on Pipecat's own pipeline from end to end, as fast as
they go: one call with as many turns and frames as an hour has; calls one after another; calls at
once. Each also without the observer: what Pipecat, Loguru or the interpreter keep is not ours.

What is reported: memory that the process has before and after, its slope once it is warm, and how
many of our objects, tasks and registries' entries there are more of than before.
"""

import asyncio
import gc
import json
import resource
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from loguru import logger
from rich.console import Console
from rich.table import Table

from benchmarks import machine, quiet
from pipecat_dd.cli.demo.versions import split_sentences_offline

TURNS_PER_MINUTE = 10
AUDIO_FRAMES_PER_TURN = 300
"""Six seconds of a microphone."""
_WARM_UP_PART = 5
"""The first fifth of a load warms up; the slope is that of the rest."""
_SAMPLES = 20


@dataclass(frozen=True, slots=True)
class Row:
    """What one load did.

    Attributes:
        load: What it was.
        observed: Whether with the observer.
        secs: How long it took.
        units: How many turns or calls it had.
        unit: What those are.
        before_mb: Memory of the process when it was warm.
        after_mb: The same at the end.
        slope_kb: How much memory grew for each unit, once warm, by least squares.
        spans: Spans that were sent.
        left: What there is more of than when it was warm.
    """

    load: str
    observed: bool
    secs: float
    units: int
    unit: str
    before_mb: float
    after_mb: float
    slope_kb: float
    spans: int
    left: dict[str, int]


@dataclass(frozen=True, slots=True)
class Report:
    """A run: what was measured, on what, and what came out."""

    machine: dict[str, str | int | float | None]
    minutes: int
    sessions: int
    at_once: int
    rows: list[Row]


def run(minutes: int, sessions: int, at_once: int, console: Console) -> Report:
    """Run all loads.

    Args:
        minutes: How many minutes the long call has.
        sessions: How many calls there are one after another.
        at_once: How many there are at once; five times in a row.
        console: Shows how far it is.
    """
    from pipecat_dd import DatadogObserver

    logger.remove()
    split_sentences_offline()
    described = machine.describe()
    counter = quiet.Counter()
    quiet.count_ddtrace(counter)
    rows = []
    for observed in (False, True):

        def observers(observed: bool = observed) -> list[Any]:
            return [DatadogObserver()] if observed else []

        for load in (
            _long_call(observers, minutes),
            _one_after_another(observers, sessions),
            _at_once(observers, at_once),
        ):
            console.print(f"{load.name}{'' if observed else ', without the observer'} …")
            rows.append(asyncio.run(_measure(load, observed, counter)))
    return Report(described, minutes, sessions, at_once, rows)


@dataclass(frozen=True, slots=True)
class _Load:
    name: str
    unit: str
    units: int
    run: Callable[[Callable[[int], None]], Awaitable[None]]
    """Told what to call after each unit, with how many there have been."""


def _long_call(observers: Callable[[], list[Any]], minutes: int) -> _Load:
    from tests.support.calls import Call

    turns = minutes * TURNS_PER_MINUTE

    async def run(done: Callable[[int], None]) -> None:
        async with Call(observers()) as call:
            for number in range(1, turns + 1):
                word = "call quick" if number % 5 == 0 else "say it"
                await call.turn(word, AUDIO_FRAMES_PER_TURN)
                done(number)

    return _Load(f"one call of {minutes} minutes", "turns", turns, run)


def _one_after_another(observers: Callable[[], list[Any]], sessions: int) -> _Load:
    from tests.support.calls import call

    async def run(done: Callable[[int], None]) -> None:
        for number in range(1, sessions + 1):
            await asyncio.create_task(call(observers(), 2))
            done(number)

    return _Load(f"{sessions} calls one after another", "calls", sessions, run)


def _at_once(observers: Callable[[], list[Any]], at_once: int) -> _Load:
    from tests.support.calls import call

    rounds = 5

    async def run(done: Callable[[int], None]) -> None:
        for number in range(1, rounds + 1):
            async with asyncio.TaskGroup() as group:
                for _ in range(at_once):
                    group.create_task(call(observers(), 2))
            done(number * at_once)

    return _Load(f"{at_once} calls at once, {rounds} times", "calls", rounds * at_once, run)


async def _measure(load: _Load, observed: bool, counter: quiet.Counter) -> Row:
    from tests.support.census import Census, census

    warm_at = max(1, load.units // _WARM_UP_PART)
    every = max(1, (load.units - warm_at) // _SAMPLES)
    samples: list[tuple[int, float]] = []
    warm: list[Census] = []
    counter.take()
    began = time.monotonic()

    def done(number: int) -> None:
        if number < warm_at:
            return
        if not warm:
            warm.append(census())
        elif samples and number < samples[-1][0] + every:
            return
        gc.collect()
        samples.append((number, resident_mb()))

    await load.run(done)
    secs = time.monotonic() - began
    # The step that the load's end woke us with holds its task, and that the session.
    await asyncio.sleep(0)
    left = census().more_than(warm[0])
    return Row(
        load.name,
        observed,
        secs,
        load.units,
        load.unit,
        samples[0][1],
        resident_mb(),
        _slope(samples) * 1024,
        counter.take(),
        left,
    )


def resident_mb() -> float:
    """Return how much memory the process has at this moment."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def _slope(samples: list[tuple[int, float]]) -> float:
    """Return how much the second grows with the first, by least squares."""
    if len(samples) < 2:
        return 0.0
    mean_x = sum(x for x, _ in samples) / len(samples)
    mean_y = sum(y for _, y in samples) / len(samples)
    spread = sum((x - mean_x) ** 2 for x, _ in samples)
    return sum((x - mean_x) * (y - mean_y) for x, y in samples) / spread if spread else 0.0


def show(report: Report, console: Console) -> None:
    """Print the table.

    Args:
        report: What was measured.
        console: Where to.
    """
    table = Table(title="What calls leave behind", title_justify="left")
    table.add_column("")
    for heading in ("seconds", "MB warm", "MB after", "KB each", "spans"):
        table.add_column(heading, justify="right")
    table.add_column("left of ours")
    for row in report.rows:
        left = ", ".join(f"{count} {name}" for name, count in row.left.items())
        table.add_row(
            f"{row.load}, {'observed' if row.observed else 'no observer'}",
            f"{row.secs:.1f}",
            f"{row.before_mb:.1f}",
            f"{row.after_mb:.1f}",
            f"{row.slope_kb:.2f}",
            str(row.spans),
            left or "nothing",
            style="bold" if row.observed else None,
        )
    console.print(table)
    console.print(
        f"Slope by turn or call once warm. {machine.one_line(report.machine)}", soft_wrap=True
    )


def write_json(report: Report, path: Path) -> None:
    """Write all figures to a file.

    Args:
        report: What was measured.
        path: The file.
    """
    path.write_text(json.dumps(asdict(report), indent=2), encoding="utf-8")

"""Measure what remains after calls have ended, and what a long call accumulates.

There are three loads, which run as fast as possible with scripted services in Pipecat's own
pipeline: one call with the turns and frames of an hour, consecutive calls, and concurrent calls.
Each also runs without the observer, to show what Pipecat, Loguru and the interpreter retain.

The report contains the process's memory before and after, its growth after a warm-up, and by how
many the objects, tasks and registry entries of this package have increased.
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
"""Six seconds of audio from a microphone."""
_WARM_UP_PART = 5
"""The first fifth of a load is the warm-up; the growth is measured over the rest."""
_SAMPLES = 20


@dataclass(frozen=True, slots=True)
class Row:
    """The effects of a load.

    Attributes:
        load: The name of the load.
        observed: Whether the observer was used.
        secs: How long it took, in seconds.
        units: The number of turns or calls.
        unit: The unit, ``turns`` or ``calls``.
        before_mb: The process's memory after the warm-up, in MB.
        after_mb: The process's memory at the end, in MB.
        slope_kb: The growth of memory per unit after the warm-up in KB, by least squares.
        spans: The number of spans that were sent.
        left: The objects, tasks and registry entries that have increased since the warm-up.
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
    """The results of a run, with its options and the machine."""

    machine: dict[str, str | int | float | None]
    minutes: int
    sessions: int
    at_once: int
    rows: list[Row]


def run(minutes: int, sessions: int, at_once: int, console: Console) -> Report:
    """Run all loads.

    Args:
        minutes: The length of the long call, in simulated minutes.
        sessions: The number of consecutive calls.
        at_once: The number of concurrent calls, which are run five times.
        console: Shows the progress.
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
    """Runs the load. It calls its argument after each unit with the number of units so far."""


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

    return _Load(f"{sessions} consecutive calls", "calls", sessions, run)


def _at_once(observers: Callable[[], list[Any]], at_once: int) -> _Load:
    from tests.support.calls import call

    rounds = 5

    async def run(done: Callable[[int], None]) -> None:
        for number in range(1, rounds + 1):
            async with asyncio.TaskGroup() as group:
                for _ in range(at_once):
                    group.create_task(call(observers(), 2))
            done(number * at_once)

    return _Load(f"{at_once} concurrent calls, {rounds} times", "calls", rounds * at_once, run)


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
    # The current step of the event loop still holds the load's task, and that holds the session.
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
    """Return the current resident memory of the process, in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def _slope(samples: list[tuple[int, float]]) -> float:
    """Return the slope of y over x in samples (x, y), by least squares."""
    if len(samples) < 2:
        return 0.0
    mean_x = sum(x for x, _ in samples) / len(samples)
    mean_y = sum(y for _, y in samples) / len(samples)
    spread = sum((x - mean_x) ** 2 for x, _ in samples)
    return sum((x - mean_x) * (y - mean_y) for x, y in samples) / spread if spread else 0.0


def show(report: Report, console: Console) -> None:
    """Print a table."""
    table = Table(title="What remains after calls", title_justify="left")
    table.add_column("")
    for heading in ("seconds", "MB warm", "MB after", "KB each", "spans"):
        table.add_column(heading, justify="right")
    table.add_column("remaining objects of pipecat_dd")
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
        f"KB each: growth per turn or call after the warm-up. {machine.one_line(report.machine)}",
        soft_wrap=True,
    )


def write_json(report: Report, path: Path) -> None:
    """Write all figures to a file."""
    path.write_text(json.dumps(asdict(report), indent=2), encoding="utf-8")

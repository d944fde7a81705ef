"""Measure the cost of an observer: the CPU time per hop of a frame.

A hop is one frame in one processor. Its cost is the CPU time of the whole process with all its
threads, from the first frame sent to the last event handled, divided by the number of frames times
processors. It includes what the observer does behind its queue and in the processors' tasks.

To make the comparison fair:

* All contenders run in one process on the same frames, each in a new worker per round. The worker
  processes some frames to warm up before the measurement.
* Rounds are interleaved in a random order, so that other load on the machine affects all
  contenders alike. The first round is discarded.
* The measurement ends when the observer has handled all events, so an observer that lags does not
  look cheap.
* Starting and ending a session are not measured: their cost does not grow with the frames.

Interference can only add CPU time, so the minimum over the rounds is the best estimate of the cost.
The median shows how busy the machine was. The median of a ratio is that of the ratios *within* each
round.
"""

import asyncio
import gc
import json
import random
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks import machine
from benchmarks.contenders import (
    EMPTY,
    EVERYTHING,
    METRICS,
    NONE,
    OURS,
    Contender,
    contenders,
)
from benchmarks.workload import BARE, DEFAULT, MIXES, PROCESSORS, make_frames, running

_WARM_UP_FRAMES = 100
_SEED = 20_260

WORKERS = {"bare": BARE, "default": DEFAULT}
"""Pipecat's worker without its own observers, and with its default observers."""

_TITLES = {
    "mixed": "70 % audio, 20 % streamed text, 10 % control",
    "audio": "audio alone",
    "recorded": "a recorded conversation, frame by frame",
}


@dataclass(frozen=True, slots=True)
class Figure:
    """A quantity, aggregated over all rounds."""

    min: float
    median: float


@dataclass(slots=True)
class Row:
    """The cost of a contender on a mix of frames.

    Attributes:
        contender: The contender's key.
        label: The contender's name in the table.
        missing: Why it was not measured; None if it was.
        us_per_hop: The CPU time per hop, in microseconds.
        to_empty: The ratio to the cost of an empty observer.
        to_none: The ratio to the cost without an observer.
        to_ours: The ratio to the cost of our observer with default settings; only for our observer
            with other settings.
        spans_per_round: The number of finished spans per round, which shows that it worked.
        rounds_us_per_hop: The CPU time per hop of each round, in order.
    """

    contender: str
    label: str
    missing: str | None = None
    us_per_hop: Figure | None = None
    to_empty: Figure | None = None
    to_none: Figure | None = None
    to_ours: Figure | None = None
    spans_per_round: float | None = None
    rounds_us_per_hop: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Report:
    """The results of a run, with its options and the machine."""

    machine: dict[str, str | int | float | None]
    rounds: int
    frames: int
    in_flight: int
    processors: int
    worker: str
    mixes: dict[str, list[Row]]


def run(rounds: int, frames: int, in_flight: int, worker: str, console: Console) -> Report:
    """Measure all contenders on all mixes.

    Args:
        rounds: The number of rounds; each measures every contender once.
        frames: The number of frames per round.
        in_flight: The number of frames in flight at a time.
        worker: The worker's options, a key of :data:`WORKERS`.
        console: Shows the progress if it is a terminal.
    """
    described = machine.describe()
    everyone = contenders()
    present = [contender for contender in everyone if contender.missing is None]
    turns = [(mix, contender) for mix in MIXES for contender in present]
    us: dict[tuple[str, str], list[float]] = {(mix, c.key): [] for mix, c in turns}
    spans: dict[tuple[str, str], int] = dict.fromkeys(us, 0)
    order = random.Random(_SEED)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("Measuring", total=len(turns) * (rounds + 1))
        for round_ in range(-1, rounds):
            order.shuffle(turns)
            for mix, contender in turns:
                us_per_hop, finished = _turn(contender, mix, frames, in_flight, WORKERS[worker])
                progress.advance(bar)
                if round_ >= 0:
                    us[mix, contender.key].append(us_per_hop)
                    spans[mix, contender.key] += finished
    return Report(
        machine=described,
        rounds=rounds,
        frames=frames,
        in_flight=in_flight,
        processors=PROCESSORS,
        worker=worker,
        mixes={
            mix: [
                _row(contender, us, spans, mix, rounds)
                if contender in present
                else Row(contender.key, contender.label, contender.missing)
                for contender in everyone
            ]
            for mix in MIXES
        },
    )


def _turn(
    contender: Contender, mix: str, frames: int, in_flight: int, options: dict[str, Any]
) -> tuple[float, int]:
    if mix == "recorded":
        frames = len(MIXES[mix])  # always the whole recording

    async def measure() -> float:
        async with running(contender.build, **options) as pipeline:
            await pipeline.send(make_frames(mix, _WARM_UP_FRAMES), in_flight)
            sent = make_frames(mix, frames)
            gc.collect()
            began_ns = time.process_time_ns()
            await pipeline.send(sent, in_flight)
            return time.process_time_ns() - began_ns

    # A new event loop, and so a new context, for each: nothing carries over to the next.
    cpu_ns = asyncio.run(measure())
    finished = contender.counter.take() if contender.counter is not None else 0
    return cpu_ns / 1e3 / (frames * PROCESSORS), finished


def _row(
    contender: Contender,
    us: dict[tuple[str, str], list[float]],
    spans: dict[tuple[str, str], int],
    mix: str,
    rounds: int,
) -> Row:
    own = us[mix, contender.key]
    return Row(
        contender.key,
        contender.label,
        us_per_hop=Figure(min(own), median(own)),
        to_empty=_ratio(own, us[mix, EMPTY]),
        to_none=_ratio(own, us[mix, NONE]),
        to_ours=_ratio(own, us[mix, OURS]) if contender.key in (METRICS, EVERYTHING) else None,
        spans_per_round=(
            spans[mix, contender.key] / rounds if contender.counter is not None else None
        ),
        rounds_us_per_hop=own,
    )


def _ratio(own: list[float], other: list[float]) -> Figure:
    within = (mine / its for mine, its in zip(own, other, strict=True))
    return Figure(min(own) / min(other), median(within))


def show(report: Report, console: Console) -> None:
    """Print a table for each mix."""
    for mix, rows in report.mixes.items():
        table = Table(title=f"CPU time per hop: {_TITLES[mix]}", title_justify="left")
        table.add_column("")
        for heading in ("µs", "median", "to empty", "median", "to none", "median", "spans"):
            table.add_column(heading, justify="right")
        for row in rows:
            label = row.label if row.missing is None else f"{row.label}: {row.missing}"
            table.add_row(label, *_cells(row), style="bold" if row.contender == OURS else None)
        console.print(table)
        for row in rows:
            if row.to_ours is not None:
                console.print(
                    f"{row.label}: {row.to_ours.min:.3f} times the cost without (median "
                    f"{row.to_ours.median:.3f})",
                    highlight=False,
                )
    console.print(
        f"{report.rounds} interleaved rounds of {report.frames} frames through "
        f"{report.processors} processors, {report.in_flight} in flight, {report.worker} worker; "
        "minimum, then median over the rounds; finished spans per round.",
        machine.one_line(report.machine),
        sep="\n",
        highlight=False,
    )


def _cells(row: Row) -> list[str]:
    if row.us_per_hop is None or row.to_empty is None or row.to_none is None:
        return []
    return [
        f"{row.us_per_hop.min:.2f}",
        f"{row.us_per_hop.median:.2f}",
        f"{row.to_empty.min:.3f}",
        f"{row.to_empty.median:.3f}",
        f"{row.to_none.min:.3f}",
        f"{row.to_none.median:.3f}",
        "" if row.spans_per_round is None else f"{row.spans_per_round:.0f}",
    ]


def write_json(report: Report, path: Path) -> None:
    """Write all figures, including those of each round, to a file."""
    path.write_text(json.dumps(asdict(report), indent=2) + "\n")

"""Measure the CPU time of setting a session up and ending it, with each observer.

A session is a new worker with a new observer and eight processors. Set-up lasts from making them
until the pipeline has started, the end from the ``EndFrame`` until the runner has returned. No
other frame is sent, so the difference to an empty observer is what a call costs besides its frames
(:mod:`benchmarks.cost`).

A round runs a few sessions of every contender, one after the other, in a random order of the
contenders. CPU time is that of the whole process with all its threads. What a session leaves to be
done after its end counts towards the next one. The first round is discarded: in it, modules are
imported and the process's threads start.

Interference can only add CPU time, so the minimum over the rounds is the best estimate. The median
of a difference is that of the differences *within* each round.
"""

import asyncio
import gc
import json
import random
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks import machine
from benchmarks.contenders import EMPTY, OURS, Contender, contenders
from benchmarks.workload import BARE, DEFAULT, PROCESSORS, running

_SEED = 20_260

WORKERS = {"bare": BARE, "default": DEFAULT}
"""Pipecat's worker without its own observers, and with its default observers."""


@dataclass(frozen=True, slots=True)
class Row:
    """What a session costs with a contender.

    Attributes:
        contender: The contender's key.
        label: The contender's name in the table.
        missing: Why it was not measured; None if it was.
        setup_ms: The CPU time per set-up, in milliseconds, of each round.
        end_ms: The CPU time per end, in milliseconds, of each round.
        session_ms: The CPU time of both and of what lies between, in milliseconds, of each round.
        spans_per_session: The finished spans per session, which show that it worked.
    """

    contender: str
    label: str
    missing: str | None
    setup_ms: list[float]
    end_ms: list[float]
    session_ms: list[float]
    spans_per_session: list[float]


@dataclass(frozen=True, slots=True)
class Report:
    """The results of a run, with its options and the machine."""

    machine: dict[str, str | int | float | None]
    rounds: int
    sessions: int
    processors: int
    worker: str
    rows: list[Row]


def run(rounds: int, sessions: int, worker: str, console: Console) -> Report:
    """Measure sessions of all contenders.

    Args:
        rounds: The number of rounds; each measures every contender once.
        sessions: The number of sessions per contender and round.
        worker: The worker's options, a key of :data:`WORKERS`.
        console: Shows the progress if it is a terminal.
    """
    described = machine.describe()
    everyone = contenders()
    rows = {one.key: Row(one.key, one.label, one.missing, [], [], [], []) for one in everyone}
    present = [contender for contender in everyone if contender.missing is None]
    order = random.Random(_SEED)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("Measuring", total=len(present) * (rounds + 1))
        for round_ in range(-1, rounds):
            order.shuffle(present)
            for contender in present:
                setup_ms, end_ms, whole_ms = asyncio.run(
                    _sessions(contender, sessions, WORKERS[worker])
                )
                finished = contender.counter.take() if contender.counter is not None else 0
                progress.advance(bar)
                if round_ < 0:
                    continue
                row = rows[contender.key]
                row.setup_ms.append(setup_ms)
                row.end_ms.append(end_ms)
                row.session_ms.append(whole_ms)
                row.spans_per_session.append(finished / sessions)
    return Report(described, rounds, sessions, PROCESSORS, worker, list(rows.values()))


async def _sessions(
    contender: Contender, sessions: int, options: dict[str, Any]
) -> tuple[float, float, float]:
    setup_ns = end_ns = 0
    gc.collect()
    began_ns = time.process_time_ns()
    for _ in range(sessions):
        # Each session has its own context, as each call on a server has.
        setup, end = await asyncio.create_task(_session(contender, options))
        setup_ns += setup
        end_ns += end
    whole_ns = time.process_time_ns() - began_ns
    return setup_ns / 1e6 / sessions, end_ns / 1e6 / sessions, whole_ns / 1e6 / sessions


async def _session(contender: Contender, options: dict[str, Any]) -> tuple[int, int]:
    began_ns = time.process_time_ns()
    async with running(contender.build, **options):
        started_ns = time.process_time_ns()
    return started_ns - began_ns, time.process_time_ns() - started_ns


def show(report: Report, console: Console) -> None:
    """Print a table."""
    empty = next(row for row in report.rows if row.contender == EMPTY)
    table = Table(title="CPU time per session, in ms", title_justify="left")
    table.add_column("")
    for heading in ("set-up", "end", "session", "median", "over empty", "median", "spans"):
        table.add_column(heading, justify="right")
    for row in report.rows:
        if row.missing is not None:
            table.add_row(f"{row.label}: {row.missing}")
            continue
        over = (mine - its for mine, its in zip(row.session_ms, empty.session_ms, strict=True))
        spans = median(row.spans_per_session)
        table.add_row(
            row.label,
            f"{min(row.setup_ms):.2f}",
            f"{min(row.end_ms):.2f}",
            f"{min(row.session_ms):.2f}",
            f"{median(row.session_ms):.2f}",
            f"{min(row.session_ms) - min(empty.session_ms):.2f}",
            f"{median(over):.2f}",
            f"{spans:.0f}" if spans else "",
            style="bold" if row.contender == OURS else None,
        )
    console.print(table)
    console.print(
        f"{report.rounds} interleaved rounds of {report.sessions} sessions of "
        f"{report.processors} processors, {report.worker} worker; minimum, then median over the "
        "rounds; finished spans per session.",
        machine.one_line(report.machine),
        sep="\n",
        highlight=False,
    )


def write_json(report: Report, path: Path) -> None:
    """Write all figures, including those of each round, to a file."""
    path.write_text(json.dumps(asdict(report), indent=2) + "\n")

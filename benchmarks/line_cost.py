"""Compare the CPU time of a log line with that of Loguru's own ``serialize=True``.

All formats write the same record, a message with an argument and two bound values, to a sink that
discards it, so only the creation of lines is measured. Rounds are interleaved in a random order.
Interference can only add CPU time, so the minimum is the best estimate.
"""

import contextvars
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

from loguru import logger
from rich.console import Console
from rich.table import Table

from benchmarks import machine
from benchmarks.quiet import Nowhere

_SEED = 20_260
_LINES = 1_000
THEIRS = "Loguru's serialize=True"


@dataclass(frozen=True, slots=True)
class Row:
    """The cost of a line in a format.

    Attributes:
        label: The format.
        us: The CPU time per line in microseconds, the minimum over the rounds.
        ratio: The ratio to ``serialize=True``, of the minima.
        ratio_median: The median of the ratios within each round.
    """

    label: str
    us: float
    ratio: float
    ratio_median: float


def run(rounds: int) -> list[Row]:
    """Measure all formats.

    Args:
        rounds: The number of rounds; each measures every format once.
    """
    from pipecat_dd import DatadogObserver, current_session, datadog_format
    from pipecat_dd.conversation.context import WorkContext, current

    ours = {"format": datadog_format, "backtrace": False, "diagnose": False}
    # In the function that created the observer, and in the session's own work: a processor, a tool.
    in_session = contextvars.copy_context()
    observer = in_session.run(DatadogObserver)
    at_work = in_session.copy()
    at_work.run(lambda: current.set(WorkContext(current_session())))
    elsewhere = contextvars.copy_context()
    ways: dict[str, tuple[contextvars.Context, dict[str, Any]]] = {
        THEIRS: (elsewhere, {"serialize": True}),
        "datadog_format, outside of a session": (elsewhere, ours),
        "datadog_format, in a session": (in_session, ours),
        "datadog_format, in a session's work": (at_work, ours),
    }
    us: dict[str, list[float]] = {label: [] for label in ways}
    order = list(ways)
    drawn = random.Random(_SEED)
    for round_ in range(-1, rounds):
        drawn.shuffle(order)
        for label in order:
            context, options = ways[label]
            spent = context.run(_spent, options)
            if round_ >= 0:
                us[label].append(spent)
    del observer
    return [
        Row(
            label,
            min(own),
            min(own) / min(us[THEIRS]),
            median(mine / its for mine, its in zip(own, us[THEIRS], strict=True)),
        )
        for label, own in us.items()
    ]


def _spent(options: dict[str, Any]) -> float:
    logger.remove()
    logger.add(Nowhere(), level=0, **options)
    write: Callable[..., None] = logger.bind(operation="llm_generation", duration_ms=812.4).info
    began_ns = time.process_time_ns()
    for number in range(_LINES):
        write("turn {} done", number)
    return (time.process_time_ns() - began_ns) / 1e3 / _LINES


def show(rows: list[Row], rounds: int, console: Console) -> None:
    """Print a table."""
    table = Table(title="CPU time per line", title_justify="left")
    table.add_column("")
    for heading in ("µs", "to Loguru's", "median"):
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(row.label, f"{row.us:.1f}", f"{row.ratio:.2f}", f"{row.ratio_median:.2f}")
    console.print(table)
    console.print(
        f"{rounds} interleaved rounds of {_LINES} lines; minimum over the rounds.",
        machine.one_line(machine.describe()),
        sep="\n",
        highlight=False,
    )

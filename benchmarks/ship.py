"""Compare the CPU time of a log line with and without shipping it.

All configurations write the same lines with ``configure_logging`` to a sink that discards them.
There are two figures: the CPU time of the thread that logs, for which the bot's event loop waits,
and the CPU time of the whole process until everything is sent, including the compression and the
requests of the sending thread. The intake runs in its own process. Rounds are interleaved in a
random order. Interference can only add CPU time, so the minimum is the best estimate.
"""

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from typing import Any

from loguru import logger
from rich.console import Console
from rich.table import Table

from benchmarks import machine
from benchmarks.quiet import Nowhere

_SEED = 20_260
_LINES = 5_000
_KEY = "0123456789abcdef0123456789abcdef"
WITHOUT = "without"
TAKES = "ship=True, the intake is up"
DOWN = "ship=True, the intake is down"


@dataclass(frozen=True, slots=True)
class Row:
    """The cost of a line in a configuration.

    Attributes:
        label: The configuration.
        caller_us: The CPU time of the logging thread per line in microseconds, the minimum over
            the rounds.
        caller_ratio: The ratio to the time without shipping, of the minima.
        caller_median: The median of the ratios within each round.
        process_us: The CPU time of the whole process per line in microseconds, the minimum.
        process_ratio: The ratio to the time without shipping, of the minima.
        process_median: The median of the ratios within each round.
        shipped: The share of lines that the intake accepted, from 0 to 1.
    """

    label: str
    caller_us: float
    caller_ratio: float
    caller_median: float
    process_us: float
    process_ratio: float
    process_median: float
    shipped: float


def run(rounds: int) -> list[Row]:
    """Measure all configurations.

    Args:
        rounds: The number of rounds; each measures every configuration once.
    """
    from pipecat_dd import Shipping

    with _intake() as url:
        down = "http://127.0.0.1:9/"  # nothing listens on this port
        ways: dict[str, Any] = {
            WITHOUT: False,
            TAKES: Shipping(api_key=_KEY, url=url),
            DOWN: Shipping(api_key=_KEY, url=down),
        }
        caller: dict[str, list[float]] = {label: [] for label in ways}
        process: dict[str, list[float]] = {label: [] for label in ways}
        shipped: dict[str, int] = dict.fromkeys(ways, 0)
        order = list(ways)
        drawn = random.Random(_SEED)
        for round_ in range(-1, rounds):
            drawn.shuffle(order)
            for label in order:
                spent = _spent(ways[label], waits=label == TAKES)
                if round_ >= 0:
                    caller[label].append(spent[0])
                    process[label].append(spent[1])
                    shipped[label] += spent[2]
    return [
        Row(
            label,
            *_figures(caller[label], caller[WITHOUT]),
            *_figures(process[label], process[WITHOUT]),
            shipped[label] / rounds / _LINES,
        )
        for label in ways
    ]


def _figures(own: list[float], without: list[float]) -> tuple[float, float, float]:
    return (
        min(own),
        min(own) / min(without),
        median(mine / its for mine, its in zip(own, without, strict=True)),
    )


def _spent(ship: Any, *, waits: bool) -> tuple[float, float, int]:
    from pipecat_dd import configure_logging, unconfigure_logging
    from pipecat_dd.export.shipping import flush_shipping, shipping_counts

    # Otherwise each round with an intake that is down would log a warning.
    logger.disable("pipecat_dd.export.shipping.notices")
    configure_logging(Nowhere(), ship=ship)
    before = shipping_counts().shipped
    write = logger.bind(operation="llm_generation", duration_ms=812.4).info
    caller_ns, process_ns = time.thread_time_ns(), time.process_time_ns()
    for number in range(_LINES):
        write("turn {} done", number)
    caller_ns = time.thread_time_ns() - caller_ns
    if waits:
        flush_shipping(30)
    process_ns = time.process_time_ns() - process_ns
    shipped = shipping_counts().shipped - before
    unconfigure_logging()
    return caller_ns / 1e3 / _LINES, process_ns / 1e3 / _LINES, shipped


@contextmanager
def _intake() -> Iterator[str]:
    """Run an intake in its own process, and yield its URL."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.ship"],
        cwd=Path(__file__).parent.parent,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/"
    finally:
        process.terminate()
        process.wait(10)


def show(rows: list[Row], rounds: int, console: Console) -> None:
    """Print a table."""
    table = Table(title="CPU time per shipped line", title_justify="left")
    table.add_column("")
    for heading in ("logging\nµs", "to without", "median", "process\nµs", "to without", "median"):
        table.add_column(heading, justify="right")
    table.add_column("shipped", justify="right")
    for row in rows:
        table.add_row(
            row.label,
            f"{row.caller_us:.1f}",
            f"{row.caller_ratio:.2f}",
            f"{row.caller_median:.2f}",
            f"{row.process_us:.1f}",
            f"{row.process_ratio:.2f}",
            f"{row.process_median:.2f}",
            f"{row.shipped:.0%}",
        )
    console.print(table)
    console.print(
        f"{rounds} interleaved rounds of {_LINES} lines; minimum over the rounds. Logging is the "
        "thread that logs. Process is all threads until everything is sent.",
        machine.one_line(machine.describe()),
        sep="\n",
        highlight=False,
    )


class _Takes(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        pass


if __name__ == "__main__":
    with ThreadingHTTPServer(("127.0.0.1", 0), _Takes) as server:
        print(server.server_port, flush=True)
        server.serve_forever()

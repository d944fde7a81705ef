"""Measure how much data a minute of conversation sends, for each ``frame_spans`` mode.

The demo's conversation runs once per mode, concurrently: a real bot in its own process, with
Datadog's test agent, which receives what ddtrace really sends. Sizes are those of the request
bodies; an Agent compresses them before it sends them on.
"""

import asyncio
import json
import tempfile
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import machine

MODES = ("off", "notable", "all")

CALLS_A_DAY, CALL_MINUTES, DAYS = 1_000, 3, 30
"""The assumptions for the figures per month."""


@dataclass(frozen=True, slots=True)
class Row:
    """The data per minute of conversation in a mode.

    Attributes:
        mode: The value of ``frame_spans``.
        secs: The length of the session, in seconds.
        turns: The number of turns.
        spans_per_minute: All spans.
        ours_per_minute: The spans of this package, ``pipecat.*``.
        frames_per_minute: The frame spans, ``pipecat.frame``.
        trace_kb_per_minute: The size of all spans, in kB.
        lines_per_minute: The log lines at DEBUG and above.
        log_kb_per_minute: The size of those lines, in kB.
        info_lines_per_minute: The log lines at INFO and above.
        info_log_kb_per_minute: The size of those lines, in kB.
    """

    mode: str
    secs: float
    turns: int
    spans_per_minute: float
    ours_per_minute: float
    frames_per_minute: float
    trace_kb_per_minute: float
    lines_per_minute: float
    log_kb_per_minute: float
    info_lines_per_minute: float
    info_log_kb_per_minute: float


@dataclass(frozen=True, slots=True)
class Report:
    """The results of a run, and the machine."""

    machine: dict[str, str | int | float | None]
    rows: list[Row]


def run() -> Report:
    """Run the conversation in every mode.

    Raises:
        RuntimeError: A conversation could not be completed.
    """
    described = machine.describe()
    with tempfile.TemporaryDirectory() as scratch:
        rows = asyncio.run(_all(Path(scratch)))
    return Report(described, rows)


async def _all(scratch: Path) -> list[Row]:
    return await asyncio.gather(*(_mode(mode, scratch / mode) for mode in MODES))


async def _mode(mode: str, out: Path) -> Row:
    from pipecat_dd.cli.demo.run import converse

    outcome = await converse(
        out, lambda progress: None, bot_settings={"PIPECAT_DD_FRAME_SPANS": mode}
    )
    if outcome.failure is not None:
        raise RuntimeError(f"frame_spans={mode!r}: {outcome.failure}")
    spans = [span for chunk in outcome.chunks for span in chunk]
    names = Counter(span["name"] for span in spans)
    (session,) = (span for span in spans if span["name"] == "pipecat.session")
    secs = session["duration"] / 1e9
    lines = outcome.log_file.read_bytes().splitlines(keepends=True)
    at_info = [line for line in lines if json.loads(line)["status"] != "debug"]
    minutes = secs / 60
    return Row(
        mode,
        secs,
        names["pipecat.turn"],
        len(spans) / minutes,
        sum(count for name, count in names.items() if name.startswith("pipecat.")) / minutes,
        names["pipecat.frame"] / minutes,
        outcome.trace_bytes / 1e3 / minutes,
        len(lines) / minutes,
        sum(map(len, lines)) / 1e3 / minutes,
        len(at_info) / minutes,
        sum(map(len, at_info)) / 1e3 / minutes,
    )


def show(report: Report, console: Console) -> None:
    """Print the tables."""
    table = Table(title="A minute of conversation, by frame_spans", title_justify="left")
    headings = ("spans", "pipecat.*", "pipecat.frame", "kB of traces", "log lines", "kB of lines")
    table.add_column("frame_spans")
    for heading in headings:
        table.add_column(heading, justify="right")
    for row in report.rows:
        table.add_row(
            row.mode,
            f"{row.spans_per_minute:.0f}",
            f"{row.ours_per_minute:.0f}",
            f"{row.frames_per_minute:.0f}",
            f"{row.trace_kb_per_minute:.0f}",
            f"{row.lines_per_minute:.0f}",
            f"{row.log_kb_per_minute:.0f}",
            style="bold" if row.mode == "notable" else None,
        )
    console.print(table)
    console.print(_month(report))
    secs, turns = report.rows[0].secs, report.rows[0].turns
    console.print(
        f"The demo's conversation: {turns} turns in {secs:.0f} s, with lines at DEBUG.",
        machine.one_line(report.machine),
        sep="\n",
        highlight=False,
    )


def _month(report: Report) -> Table:
    minutes = CALLS_A_DAY * CALL_MINUTES * DAYS
    table = Table(
        title=f"A month of {CALLS_A_DAY} calls a day, {CALL_MINUTES} minutes each",
        title_justify="left",
    )
    table.add_column("frame_spans")
    for heading in (
        *("million spans", "GB of traces", "million lines at INFO", "GB"),
        *("million lines at DEBUG", "GB"),
    ):
        table.add_column(heading, justify="right")
    for row in report.rows:
        figures = (
            row.spans_per_minute * minutes / 1e6,
            row.trace_kb_per_minute * minutes / 1e6,
            row.info_lines_per_minute * minutes / 1e6,
            row.info_log_kb_per_minute * minutes / 1e6,
            row.lines_per_minute * minutes / 1e6,
            row.log_kb_per_minute * minutes / 1e6,
        )
        table.add_row(row.mode, *(f"{figure:.3g}" for figure in figures))
    return table


def write_json(report: Report, path: Path) -> None:
    """Write all figures to a file."""
    path.write_text(json.dumps(asdict(report), indent=2) + "\n")

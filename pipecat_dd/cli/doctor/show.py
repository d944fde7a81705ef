"""The output of ``pipecat-dd doctor``."""

import json
from itertools import groupby
from typing import Final

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pipecat_dd.cli import PAGES
from pipecat_dd.cli.doctor.finding import Level
from pipecat_dd.cli.doctor.report import CANNOT_SEE, Report

_MARKS: Final = {Level.OK: ("✓", "green"), Level.NOTE: ("•", "yellow"), Level.PROBLEM: ("✗", "red")}


def show(console: Console, report: Report) -> None:
    """Print a report for people."""
    for title, found in groupby(report.findings, lambda one: one[0].title):
        console.print(Text(title, style="bold"))
        rows = Table.grid(padding=(0, 1))
        rows.add_column(width=1)
        rows.add_column(overflow="fold")
        for _, finding in found:
            mark, style = _MARKS[finding.level]
            rows.add_row(Text(mark, style=style), Text(finding.says))
            if finding.do:
                rows.add_row("", Text(f"→ {finding.do}", style="cyan"))
        console.print(Padding(rows, (0, 0, 1, 2)))
    console.print(Text("What the doctor cannot check", style="dim"))
    for unseen in CANNOT_SEE:
        console.print(Padding(Text(f"- {unseen}", style="dim"), (0, 0, 0, 2)))
    console.print()
    if any("docs/" in f"{finding.says} {finding.do}" for _, finding in report.findings):
        console.print(Text(f"Pages named docs/… are at {PAGES}docs/…", style="dim"))
    console.print(_verdict(report))


def _verdict(report: Report) -> Text:
    counts = report.counts()
    problems, notes = counts[Level.PROBLEM], counts[Level.NOTE]
    if problems:
        return Text(f"{_number(problems, 'problem')}, {_number(notes, 'note')}.", style="bold red")
    return Text(f"No problems found, {_number(notes, 'note')}.", style="bold green")


def _number(count: int, what: str) -> str:
    return f"{count} {what}" + ("" if count == 1 else "s")


def as_json(report: Report) -> str:
    """Return a report as JSON text for programs."""
    return json.dumps(report.as_json(), indent=2, ensure_ascii=False)

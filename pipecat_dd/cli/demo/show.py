"""What ``pipecat-dd demo`` prints: the conversation as it goes, then its tree, then where it is."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipecat_dd.cli.demo.agent import AgentError
from pipecat_dd.cli.demo.received import Received, receive
from pipecat_dd.cli.demo.run import Outcome, Progress, converse
from pipecat_dd.cli.demo.tree import draw

T = TypeVar("T")

_SPEAKER_STYLES = {"user": "cyan", "bot": "bright_green", "demo": "dim"}


def run_demo(console: Console, out: Path, *, all_lines: bool) -> int:
    """Hold the conversation and show it.

    Args:
        console: Where to print.
        out: Directory for the log and the traces.
        all_lines: Whether DEBUG lines are in the tree too.

    Returns:
        The command's exit code: 0 if the conversation came to its end, its traces arrived and
        every log line of it leads to one of its spans.
    """
    try:
        outcome = asyncio.run(_until_stopped(lambda: _watch(console, out)))
    except (KeyboardInterrupt, asyncio.CancelledError) as stop:
        console.print("Stopped; nothing is left running.", style="yellow")
        by = signal.SIGINT if isinstance(stop, KeyboardInterrupt) else signal.SIGTERM
        return 128 + by
    except (AgentError, OSError) as error:
        console.print(f"✗ {error}", style="bold red", markup=False, highlight=False)
        return 1

    received = receive(outcome.chunks, outcome.log_file)
    problems = [outcome.failure] if outcome.failure else []
    problems += received.problems()
    console.print()
    if received.roots:
        console.print(draw(received, all_lines=all_lines))
        if not all_lines:
            console.print("DEBUG lines are left out; --all-lines shows them.\n", style="dim")
    console.print(_totals(received))
    console.print(_places(outcome))
    for problem in problems:
        console.print(f"✗ {problem}", style="bold red", markup=False, highlight=False)
    return 1 if problems else 0


async def _until_stopped(work: Callable[[], Awaitable[T]]) -> T:
    """Do the work; let SIGTERM end it in the orderly way that Ctrl-C does."""
    task = asyncio.current_task()
    if os.name == "posix" and task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await work()


async def _watch(console: Console, out: Path) -> Outcome:
    with console.status("A bot and its user are getting ready …") as status:

        def tell(progress: Progress) -> None:
            style = _SPEAKER_STYLES[progress.who]
            who = "" if progress.who == "demo" else progress.who
            row = Table.grid(padding=(0, 2))
            row.add_row(
                Text(f"{progress.at_secs:5.1f} s", style="dim"),
                Text(f"{who:<4}", style=style),
                Text(progress.text, style="dim" if progress.who == "demo" else ""),
            )
            console.print(row)
            status.update("They talk, in real time …")

        return await converse(out, tell)


def _totals(received: Received) -> Text:
    in_session = received.lines_in_session()
    correlated = len(in_session) - len(received.uncorrelated())
    return Text.assemble(
        (f"{len(received.turns)}", "bold"),
        " turns, ",
        (f"{len(received.spans)}", "bold"),
        " spans, ",
        (f"{len(in_session)}", "bold"),
        " log lines during the session, ",
        (f"{correlated}", "bold"),
        " of them lead to their span",
    )


def _places(outcome: Outcome) -> Table:
    places = Table.grid(padding=(0, 2))
    places.add_row("Log lines", Text(str(outcome.log_file), style="cyan"))
    places.add_row("Traces", Text(str(outcome.traces_file), style="cyan"))
    return places

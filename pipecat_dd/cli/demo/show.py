"""The output of ``pipecat-dd demo``: the conversation, then its tree of spans, then the files."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipecat_dd.cli.demo.agent import AgentError
from pipecat_dd.cli.demo.page import DemoPage, demo_page
from pipecat_dd.cli.demo.received import Received, receive
from pipecat_dd.cli.demo.run import LOG_FILE, Outcome, Progress, converse
from pipecat_dd.cli.demo.tree import draw
from pipecat_dd.cli.view.opening import open_in_browser, until_stopped

T = TypeVar("T")

_SPEAKER_STYLES = {"user": "cyan", "bot": "bright_green", "demo": "dim"}


def run_demo(console: Console, out: Path, *, all_lines: bool, has_page: bool = False) -> int:
    """Run the conversation and show it.

    Args:
        console: The console to print on.
        out: The directory for the log and the traces.
        all_lines: Whether the tree also shows DEBUG lines and all frame spans.
        has_page: Whether the conversation is also shown on a page in the browser, which stays
            until Ctrl-C.

    Returns:
        The command's exit code. It is 0 if the conversation was completed, its traces arrived,
        and every log line carries the ids of one of its spans.
    """
    shown: list[int] = []
    try:
        work = _demo(console, out, shown, all_lines=all_lines, has_page=has_page)
        asyncio.run(_until_terminated(lambda: work))
    except (KeyboardInterrupt, asyncio.CancelledError) as stop:
        if not shown:
            console.print("Stopped. No process is left running.", style="yellow")
            by = signal.SIGINT if isinstance(stop, KeyboardInterrupt) else signal.SIGTERM
            return 128 + by
    except (AgentError, OSError) as error:
        console.print(f"✗ {error}", style="bold red", markup=False, highlight=False)
        return 1
    return shown[0]


async def _demo(
    console: Console, out: Path, shown: list[int], *, all_lines: bool, has_page: bool
) -> None:
    """Run the conversation; ``shown`` gets the exit code once all of it has been shown."""
    async with AsyncExitStack() as stack:
        page = None
        if has_page:
            out.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - no other task runs yet
            page = await stack.enter_async_context(demo_page(out / LOG_FILE))
            console.print(f"The page: {page.url}", style="dim", highlight=False, soft_wrap=True)
            open_in_browser(page.url)
        outcome = await _watch(console, out, page)
        if page is not None:
            page.store.end_all()
        shown.append(_show(console, outcome, all_lines=all_lines))
        if page is not None:
            console.print("The page stays until Ctrl-C.", style="dim")
            await until_stopped()


def _show(console: Console, outcome: Outcome, *, all_lines: bool) -> int:
    """Print what the conversation has left; return the exit code."""
    received = receive(outcome.chunks, outcome.log_file)
    problems = [outcome.failure] if outcome.failure else []
    problems += received.problems()
    console.print()
    if received.roots:
        console.print(draw(received, all_lines=all_lines))
        if not all_lines:
            console.print("DEBUG lines are hidden; --all-lines shows them.\n", style="dim")
    console.print(_totals(received))
    console.print(_places(outcome))
    for problem in problems:
        console.print(f"✗ {problem}", style="bold red", markup=False, highlight=False)
    return 1 if problems else 0


async def _until_terminated(work: Callable[[], Awaitable[T]]) -> T:
    """Run the work, and make SIGTERM cancel it as Ctrl-C does."""
    task = asyncio.current_task()
    if os.name == "posix" and task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await work()


async def _watch(console: Console, out: Path, page: DemoPage | None) -> Outcome:
    with console.status("Starting the bot and the test agent …") as status:

        def print_progress(progress: Progress) -> None:
            style = _SPEAKER_STYLES[progress.who]
            who = "" if progress.who == "demo" else progress.who
            row = Table.grid(padding=(0, 2))
            row.add_row(
                Text(f"{progress.at_secs:5.1f} s", style="dim"),
                Text(f"{who:<4}", style=style),
                Text(progress.text, style="dim" if progress.who == "demo" else ""),
            )
            console.print(row)
            status.update("The bot and the user are talking …")

        return await converse(out, print_progress, page=page)


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
        " of them with the ids of their span",
    )


def _places(outcome: Outcome) -> Table:
    places = Table.grid(padding=(0, 2))
    places.add_row("Log lines", Text(str(outcome.log_file), style="cyan"))
    places.add_row("Traces", Text(str(outcome.traces_file), style="cyan"))
    return places

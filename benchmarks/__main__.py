"""The command ``python -m benchmarks``."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

try:
    import click
    from rich.console import Console
except ModuleNotFoundError as missing:
    sys.exit(f"benchmarks: {missing.name} is not installed; pip install -e '.[dev]'")

from benchmarks import quiet

_PIPED_WIDTH = 120
_WIDE = 150


def _number(
    name: str, default: float, help_: str, *, least: float = 1
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    kind = click.IntRange if isinstance(default, int) else click.FloatRange
    type_: Any = kind(min=least)
    return click.option(name, type=type_, default=default, show_default=True, help=help_)


_json_option = click.option(
    "--json",
    "json_path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write all figures to this file as well.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Measure what pipecat_dd costs a bot, and what its lines carry."""
    quiet.prepare()


@main.command()
@_number("--rounds", 12, "How often each contender has its turn.")
@_number("--frames", 1_000, "Frames in each turn; each passes eight processors.")
@_number(
    "--in-flight", 1, "Frames on their way at a time. One is a bot in real time; many are a burst."
)
@click.option(
    "--worker",
    type=click.Choice(["bare", "default"]),
    default="bare",
    show_default=True,
    help="Pipecat's worker without observers of its own, or with those it has by default.",
)
@_json_option
def cost(rounds: int, frames: int, in_flight: int, worker: str, json_path: Path | None) -> None:
    """Show the CPU time that each observer adds to a frame's hop, side by side."""
    from benchmarks import cost as benchmark

    console = _console()
    report = benchmark.run(rounds, frames, in_flight, worker, console)
    benchmark.show(report, console)
    _write(benchmark, report, json_path, console)


@main.command()
@_number("--sessions", 50, "How many sessions run at once, where there are several.", least=2)
@_json_option
def lines(sessions: int, json_path: Path | None) -> None:
    """Show, for each place that a bot writes lines in, how many carry the right ids."""
    from benchmarks import lines as benchmark

    console = _console(_WIDE)
    report = benchmark.run(sessions, console)
    benchmark.show(report, console)
    _write(benchmark, report, json_path, console)


@main.command()
@_number("--sessions", 1, "How many sessions run at once.")
def today(sessions: int) -> None:
    """Show what a conversation's lines carry with Pipecat's and ddtrace's own means, and ours."""
    from benchmarks import today as benchmark

    benchmark.show(benchmark.run(sessions), sessions, _console())


@main.command()
@_number("--rounds", 30, "How often each way has its turn.")
def line_cost(rounds: int) -> None:
    """Show what a log line costs, against Loguru's own serialize=True."""
    from benchmarks import line_cost as benchmark

    benchmark.show(benchmark.run(rounds), rounds, _console())


@main.command()
@_number("--rounds", 15, "How often each way has its turn.")
def ship(rounds: int) -> None:
    """Show what shipping a line to Datadog without an Agent costs, against the line without."""
    from benchmarks import ship as benchmark

    benchmark.show(benchmark.run(rounds), rounds, _console())


@main.command()
@_number("--minutes", 60, "How long the long call is, in its own time.")
@_number("--sessions", 1_000, "How many calls there are one after another.", least=5)
@_number("--at-once", 200, "How many calls there are at once.")
@_json_option
def soak(minutes: int, sessions: int, at_once: int, json_path: Path | None) -> None:
    """Show what calls leave behind: memory, objects, tasks, registries' entries."""
    from benchmarks import soak as benchmark

    console = _console(_WIDE)
    report = benchmark.run(minutes, sessions, at_once, console)
    benchmark.show(report, console)
    _write(benchmark, report, json_path, console)


@main.command()
@_number("--bots", 20, "How many bots are killed by each signal.")
@_number(
    "--secs",
    20.0,
    "How long each talks at most; it is killed at some moment of the second half.",
    least=0.1,
)
@_json_option
def kill(bots: int, secs: float, json_path: Path | None) -> None:
    """Show what is lost of bots that are killed at any moment."""
    from benchmarks import kill as benchmark

    console = _console()
    report = benchmark.run(bots, secs, console)
    benchmark.show(report, console)
    _write(benchmark, report, json_path, console)


@main.command()
@_number(
    "--conversations", 20, "How many are held with each illness, with and without the observer."
)
@click.option(
    "--agent",
    "agents",
    multiple=True,
    help="How the Agent is: well, dead, slow, 429, 500, 413 or flapping; by default each in turn.",
)
@_json_option
def faults(conversations: int, agents: tuple[str, ...], json_path: Path | None) -> None:
    """Show what a dead, slow, refusing or flapping Agent does to a bot."""
    from benchmarks import faults as benchmark

    console = _console(_WIDE)
    try:
        report = benchmark.run(conversations, console, agents)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--agent") from error
    benchmark.show(report, console)
    _write(benchmark, report, json_path, console)


@main.command()
@_json_option
def volume(json_path: Path | None) -> None:
    """Show how many spans, lines and bytes a minute of conversation sends, in each mode."""
    from benchmarks import volume as benchmark

    console = _console()
    report = benchmark.run()
    benchmark.show(report, console)
    _write(benchmark, report, json_path, console)


@main.command()
@_number("--rounds", 3, "How many conversations each contender has. One takes half a minute.")
def talk(rounds: int) -> None:
    """Show the CPU time of a recorded conversation with each observer, voice and all."""
    from benchmarks import talk as benchmark

    console = _console()
    benchmark.show(benchmark.run(rounds, console), console)


@main.command()
@_number("--sessions", 50, "How many sessions run at once, in one process.")
@_number("--secs", 10.0, "How long each contender is watched in a round.")
@_number("--rounds", 4, "How often each contender has its turn.")
def lag(sessions: int, secs: float, rounds: int) -> None:
    """Show how late the event loop is with many sessions at once, with each observer."""
    from benchmarks import lag as benchmark

    console = _console()
    benchmark.show(benchmark.run(sessions, secs, rounds, console), console)


def _write(benchmark: Any, report: Any, path: Path | None, console: Console) -> None:
    if path is not None:
        benchmark.write_json(report, path)
        console.print(f"All figures: {path}")


def _console(piped_width: int = _PIPED_WIDTH) -> Console:
    console = Console()
    if not console.is_terminal:
        console.width = max(console.width, piped_width)
    return console


if __name__ == "__main__":
    main()

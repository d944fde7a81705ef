"""The command ``python -m benchmarks``."""

import sys
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
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=12,
    show_default=True,
    help="How often each contender has its turn.",
)
@click.option(
    "--frames",
    type=click.IntRange(min=1),
    default=1_000,
    show_default=True,
    help="Frames in each turn; each passes eight processors.",
)
@click.option(
    "--in-flight",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Frames on their way at a time. One is a bot in real time; many are a burst.",
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
@click.option(
    "--sessions",
    type=click.IntRange(min=2),
    default=50,
    show_default=True,
    help="How many sessions run at once, where there are several.",
)
@_json_option
def lines(sessions: int, json_path: Path | None) -> None:
    """Show, for each place that a bot writes lines in, how many carry the right ids."""
    from benchmarks import lines as benchmark

    console = _console(_WIDE)
    report = benchmark.run(sessions, console)
    benchmark.show(report, console)
    _write(benchmark, report, json_path, console)


@main.command()
@click.option(
    "--sessions",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="How many sessions run at once.",
)
def today(sessions: int) -> None:
    """Show what a conversation's lines carry with Pipecat's and ddtrace's own means, and ours."""
    from benchmarks import today as benchmark

    benchmark.show(benchmark.run(sessions), sessions, _console())


@main.command()
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=30,
    show_default=True,
    help="How often each way has its turn.",
)
def line_cost(rounds: int) -> None:
    """Show what a log line costs, against Loguru's own serialize=True."""
    from benchmarks import line_cost as benchmark

    benchmark.show(benchmark.run(rounds), rounds, _console())


@main.command()
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=15,
    show_default=True,
    help="How often each way has its turn.",
)
def ship(rounds: int) -> None:
    """Show what shipping a line to Datadog without an Agent costs, against the line without."""
    from benchmarks import ship as benchmark

    benchmark.show(benchmark.run(rounds), rounds, _console())


@main.command()
@click.option(
    "--minutes",
    type=click.IntRange(min=1),
    default=60,
    show_default=True,
    help="How long the long call is, in its own time.",
)
@click.option(
    "--sessions",
    type=click.IntRange(min=5),
    default=1_000,
    show_default=True,
    help="How many calls there are one after another.",
)
@click.option(
    "--at-once",
    type=click.IntRange(min=1),
    default=200,
    show_default=True,
    help="How many calls there are at once.",
)
@_json_option
def soak(minutes: int, sessions: int, at_once: int, json_path: Path | None) -> None:
    """Show what calls leave behind: memory, objects, tasks, registries' entries."""
    from benchmarks import soak as benchmark

    console = _console(_WIDE)
    report = benchmark.run(minutes, sessions, at_once, console)
    benchmark.show(report, console)
    _write(benchmark, report, json_path, console)


@main.command()
@click.option(
    "--bots",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="How many bots are killed by each signal.",
)
@click.option(
    "--secs",
    type=click.FloatRange(min=0.1),
    default=20.0,
    show_default=True,
    help="How long each talks at most; it is killed at some moment of the second half.",
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
@click.option(
    "--conversations",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="How many are held with each illness, with and without the observer.",
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
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="How many conversations each contender has. One takes half a minute.",
)
def talk(rounds: int) -> None:
    """Show the CPU time of a recorded conversation with each observer, voice and all."""
    from benchmarks import talk as benchmark

    console = _console()
    benchmark.show(benchmark.run(rounds, console), console)


@main.command()
@click.option(
    "--sessions",
    type=click.IntRange(min=1),
    default=50,
    show_default=True,
    help="How many sessions run at once, in one process.",
)
@click.option(
    "--secs",
    type=click.FloatRange(min=1),
    default=10,
    show_default=True,
    help="How long each contender is watched in a round.",
)
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=4,
    show_default=True,
    help="How often each contender has its turn.",
)
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

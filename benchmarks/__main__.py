"""The command ``python -m benchmarks``."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

try:
    import click
    from rich.console import Console
except ModuleNotFoundError as missing:
    sys.exit(f"benchmarks: {missing.name} is not installed; pip install -e . --group dev")

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
    help="Also write all figures to this file.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Measure what pipecat_dd costs a bot, and which ids its log lines carry."""
    quiet.prepare()


@main.command()
@_number("--rounds", 12, "Rounds; each measures every contender once.")
@_number("--frames", 1_000, "Frames per round; each passes through eight processors.")
@_number("--in-flight", 1, "Frames in flight at a time: 1 is a bot in real time, more are a burst.")
@click.option(
    "--worker",
    type=click.Choice(["bare", "default"]),
    default="bare",
    show_default=True,
    help="Pipecat's worker without its own observers, or with its default observers.",
)
@_json_option
def cost(rounds: int, frames: int, in_flight: int, worker: str, json_path: Path | None) -> None:
    """Compare the CPU time that each observer adds to each processor that a frame passes."""
    from benchmarks import cost as benchmark

    console = _console()
    report = benchmark.run(rounds, frames, in_flight, worker, console)
    benchmark.show(report, console)
    _write(benchmark, report, json_path, console)


@main.command()
@_number("--rounds", 30, "Rounds; each measures every contender once.")
@_number("--sessions", 5, "Sessions per contender and round, one after the other.")
@click.option(
    "--worker",
    type=click.Choice(["bare", "default"]),
    default="bare",
    show_default=True,
    help="Pipecat's worker without its own observers, or with its default observers.",
)
@_json_option
def setup(rounds: int, sessions: int, worker: str, json_path: Path | None) -> None:
    """Compare the CPU time of setting a session up and ending it with each observer."""
    from benchmarks import setup as benchmark

    console = _console()
    report = benchmark.run(rounds, sessions, worker, console)
    benchmark.show(report, console)
    _write(benchmark, report, json_path, console)


@main.command()
@_number("--sessions", 50, "Concurrent sessions, in the runs with several.", least=2)
@_json_option
def lines(sessions: int, json_path: Path | None) -> None:
    """Count the log lines with the right ids, for each place from which a bot logs."""
    from benchmarks import lines as benchmark

    console = _console(_WIDE)
    report = benchmark.run(sessions, console)
    benchmark.show(report, console)
    _write(benchmark, report, json_path, console)


@main.command()
@_number("--sessions", 1, "Concurrent sessions.")
def today(sessions: int) -> None:
    """Compare the ids on log lines with those of Pipecat's tracing and ddtrace's patches."""
    from benchmarks import today as benchmark

    benchmark.show(benchmark.run(sessions), sessions, _console())


@main.command()
@_number("--rounds", 30, "Rounds; each measures every format once.")
def line_cost(rounds: int) -> None:
    """Compare the CPU time of a log line with that of Loguru's serialize=True."""
    from benchmarks import line_cost as benchmark

    benchmark.show(benchmark.run(rounds), rounds, _console())


@main.command()
@_number("--rounds", 15, "Rounds; each measures every configuration once.")
def ship(rounds: int) -> None:
    """Compare the CPU time of a log line with and without shipping it to Datadog."""
    from benchmarks import ship as benchmark

    benchmark.show(benchmark.run(rounds), rounds, _console())


@main.command()
@_number("--minutes", 60, "The length of the long call, in simulated minutes.")
@_number("--sessions", 1_000, "Consecutive calls.", least=5)
@_number("--at-once", 200, "Concurrent calls.")
@_json_option
def soak(minutes: int, sessions: int, at_once: int, json_path: Path | None) -> None:
    """Show what remains after calls: memory, objects, tasks, registry entries."""
    from benchmarks import soak as benchmark

    console = _console(_WIDE)
    report = benchmark.run(minutes, sessions, at_once, console)
    benchmark.show(report, console)
    _write(benchmark, report, json_path, console)


@main.command()
@_number("--bots", 20, "Bots that are killed with each signal.")
@_number(
    "--secs",
    20.0,
    "The longest run of a bot in seconds; each is killed at a random moment of the second half.",
    least=0.1,
)
@_json_option
def kill(bots: int, secs: float, json_path: Path | None) -> None:
    """Show which traces are lost if a bot is killed at a random moment."""
    from benchmarks import kill as benchmark

    console = _console()
    report = benchmark.run(bots, secs, console)
    benchmark.show(report, console)
    _write(benchmark, report, json_path, console)


@main.command()
@_number("--conversations", 20, "Conversations per fault, each with and without the observer.")
@click.option(
    "--agent",
    "agents",
    multiple=True,
    help="The Agent's state: well, dead, slow, 429, 500, 413 or flapping. By default, all of them.",
)
@_json_option
def faults(conversations: int, agents: tuple[str, ...], json_path: Path | None) -> None:
    """Show how a dead, slow, rejecting or flapping Agent affects a bot."""
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
    """Show the spans, log lines and bytes per minute of conversation, for each frame_spans mode."""
    from benchmarks import volume as benchmark

    console = _console()
    report = benchmark.run()
    benchmark.show(report, console)
    _write(benchmark, report, json_path, console)


@main.command()
@_number("--rounds", 3, "Conversations per contender. Each takes half a minute.")
def talk(rounds: int) -> None:
    """Compare the CPU time of a whole recorded conversation with each observer."""
    from benchmarks import talk as benchmark

    console = _console()
    benchmark.show(benchmark.run(rounds, console), console)


@main.command()
@_number("--sessions", 50, "Concurrent sessions in one process.")
@_number("--secs", 10.0, "Seconds of measurement per contender and round.")
@_number("--rounds", 4, "Rounds; each measures every contender once.")
def lag(sessions: int, secs: float, rounds: int) -> None:
    """Compare the event loop lag of many concurrent sessions with each observer."""
    from benchmarks import lag as benchmark

    console = _console()
    benchmark.show(benchmark.run(sessions, secs, rounds, console), console)


@main.command()
@_number("--rounds", 4, "Rounds; each measures every contender once.")
@_number("--secs", 0.7, "Seconds of measurement per step.", least=0.1)
@click.option(
    "--worker",
    type=click.Choice(["bare", "default"]),
    default="bare",
    show_default=True,
    help="Pipecat's worker without its own observers, or with its default observers.",
)
@click.option(
    "--vad", is_flag=True, help="Have Silero's voice activity detector listen to each call."
)
@click.option("--quick", is_flag=True, help="Two small steps only: to see that it works.")
@_json_option
def capacity(
    rounds: int, secs: float, worker: str, vad: bool, quick: bool, json_path: Path | None
) -> None:
    """Compare how many calls at once a process holds before its event loop is late."""
    from benchmarks import capacity as benchmark

    console = _console(_WIDE)
    report = benchmark.run(rounds, secs, worker, vad, quick, console)
    benchmark.show(report, console)
    _write(benchmark, report, json_path, console)


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

"""The command ``pipecat-dd``."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_INSTALL = "{module} is not installed; to have all that this command needs: pip install '{needed}'"
_DEMO_EXTRA = "pipecat-dd[demo]"
_EXTRAS = {"demo": _DEMO_EXTRA, "doctor": "pipecat-dd[cli]", "setup": "pipecat-dd[setup]"}
"""What each command needs."""

try:
    import click

    from pipecat_dd.cli.doctor.command import doctor
    from pipecat_dd.cli.setup.command import setup
except ModuleNotFoundError as missing:
    asked = next((word for word in sys.argv[1:] if word in _EXTRAS), "doctor")
    sentence = _INSTALL.format(module=missing.name, needed=_EXTRAS[asked])
    sys.stderr.write(f"pipecat-dd: {sentence}\n")
    sys.exit(2 if asked == "doctor" else 1)

_PIPED_WIDTH = 120


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="pipecat-dd", message="%(prog)s %(version)s")
def main() -> None:
    """See inside a Pipecat bot from Datadog."""


main.add_command(doctor)
main.add_command(setup)


@main.command()
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("pipecat-dd-demo"),
    show_default=True,
    help="Directory for the log lines and the traces.",
)
@click.option(
    "--all-lines",
    is_flag=True,
    help="Show DEBUG lines too, and every frame span.",
)
@click.option("--plain", is_flag=True, help="No colours and no animation, as with NO_COLOR.")
def demo(out: Path, all_lines: bool, plain: bool) -> None:
    """Watch a bot hold a conversation; see its spans and log lines as one.

    A real Pipecat bot talks with a recorded user for half a minute. It needs no key, no network
    and no Agent: speech and language come from a local server that speaks OpenAI's protocol, and
    the traces go to Datadog's test agent, which runs only as long as the command. Nothing is
    heard, and nothing leaves the machine.
    """
    try:
        with _quiet_pipecat():
            from rich.console import Console

            from pipecat_dd.cli.demo.show import run_demo
    except ModuleNotFoundError as error:
        raise click.ClickException(
            _INSTALL.format(module=error.name, needed=_DEMO_EXTRA)
        ) from error

    # A terminal or file that cannot show a sign gets a question mark, not a traceback.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    console = Console(color_system=None, force_terminal=False) if plain else Console()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _PIPED_WIDTH
    with _quiet_pipecat():
        sys.exit(run_demo(console, out, all_lines=all_lines))


@contextmanager
def _quiet_pipecat() -> Iterator[None]:
    """Hold back Pipecat's lines in a block: it greets with one when it is imported.

    Only in the block: whoever calls a command from a program of theirs keeps their lines.
    """
    from loguru import logger

    logger.disable("pipecat")
    try:
        yield
    finally:
        logger.enable("pipecat")


if __name__ == "__main__":
    main()

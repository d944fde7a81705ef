"""The command ``pipecat-dd``."""

import io
import os
import sys
from pathlib import Path

_INSTALL = "{module} is not installed. This command needs: pip install '{needed}'"
_DEMO_EXTRA = "pipecat-dd[demo]"
_EXTRAS = {"demo": _DEMO_EXTRA, "doctor": "pipecat-dd[cli]", "setup": "pipecat-dd[setup]"}
"""The extra that each command needs."""

try:
    import click

    from pipecat_dd.cli.doctor.command import doctor
    from pipecat_dd.cli.quiet import quiet_pipecat
    from pipecat_dd.cli.report.command import report
    from pipecat_dd.cli.setup.command import setup
    from pipecat_dd.cli.view.bot_process import SETUP_FILE
    from pipecat_dd.cli.view.command import view
    from pipecat_dd.cli.view.opening import has_browser
except ModuleNotFoundError as missing:
    asked = next((word for word in sys.argv[1:] if word in _EXTRAS), "doctor")
    sentence = _INSTALL.format(module=missing.name, needed=_EXTRAS[asked])
    sys.stderr.write(f"pipecat-dd: {sentence}\n")
    sys.exit(2 if asked == "doctor" else 1)

_PIPED_WIDTH = 120


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="pipecat-dd", message="%(prog)s %(version)s")
def main() -> None:
    """Observe Pipecat bots with Datadog."""


main.add_command(doctor)
main.add_command(report)
main.add_command(setup)
main.add_command(view)


@main.command("setup-file")
def setup_file() -> None:
    """Print the path of the file for PIPECAT_SETUP_FILES.

    It has a bot observed that has no code of ours:

    PIPECAT_SETUP_FILES="$(pipecat-dd setup-file)" python bot.py
    """
    click.echo(SETUP_FILE)


@main.command()
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("pipecat-dd-demo"),
    show_default=True,
    help="Directory for the log file and the traces.",
)
@click.option(
    "--all-lines",
    is_flag=True,
    help="Also show DEBUG lines and all frame spans.",
)
@click.option(
    "--plain", is_flag=True, help="Print without colours and animation, as NO_COLOR does."
)
@click.option("--no-page", is_flag=True, help="Show the tree in the terminal only.")
def demo(out: Path, all_lines: bool, plain: bool, no_page: bool) -> None:
    """Run a demo bot and show its spans and lines.

    A real Pipecat bot talks with a recorded user for half a minute. Where there is a browser, a
    local page shows the conversation while it goes on, and stays until Ctrl-C. The terminal shows
    the spans and log lines in one tree. The demo needs no API key, no network and no Agent: a local
    server that speaks OpenAI's protocol provides speech and language, and the traces go to
    Datadog's test agent, which runs only as long as the command. No sound is played, and nothing
    leaves your machine.
    """
    try:
        with quiet_pipecat():
            from rich.console import Console

            from pipecat_dd.cli.demo.show import run_demo
    except ModuleNotFoundError as error:
        raise click.ClickException(
            _INSTALL.format(module=error.name, needed=_DEMO_EXTRA)
        ) from error

    # Print a question mark for characters that the terminal or file cannot encode.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    console = Console(color_system=None, force_terminal=False) if plain else Console()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _PIPED_WIDTH
    with quiet_pipecat():
        has_page = not no_page and console.is_terminal and has_browser()
        sys.exit(run_demo(console, out, all_lines=all_lines, has_page=has_page))


if __name__ == "__main__":
    main()

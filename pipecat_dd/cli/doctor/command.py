"""The command ``pipecat-dd doctor``.

Imports little: the checks come in when it runs, after the environment has been noted and ddtrace
has been kept from calling home.
"""

import io
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import click

from pipecat_dd.settings.table import API_URL

EXTRA = "pipecat-dd[cli]"
_PIPED_WIDTH = 100

_QUIET = {
    "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
    "DD_REMOTE_CONFIGURATION_ENABLED": "false",
    "DD_TRACE_STARTUP_LOGS": "false",
    "DD_TRACE_LOG_STREAM_HANDLER": "false",
}
"""What keeps ddtrace, in a process that lives for seconds, from sending and printing on its own."""


class _CouldNotRun(click.ClickException):
    exit_code = 2


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object: docs/doctor.md.")
@click.option(
    "--start",
    "command",
    metavar="COMMAND",
    help="The command that starts the bot. It is read, not run: ddtrace is switched on as it "
    "and the bot's file do it.",
)
@click.option(
    "--env-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file of variables that the bot is started with, before Python starts.",
)
@click.option("--send", is_flag=True, help="Send one small session to the Agent or intake.")
@click.option(
    "--timeout",
    "timeout_secs",
    type=click.FloatRange(0.05, 60),
    default=3.0,
    show_default=True,
    help="Seconds that the Agent and the intake have to answer.",
)
@click.option(
    "--api-url",
    metavar="URL",
    envvar=API_URL.variable,
    help="Where Datadog's API is reached, if not at the site of DD_SITE (a proxy, PrivateLink).",
)
@click.option("--plain", is_flag=True, help="No colours, as with NO_COLOR.")
def doctor(
    as_json: bool,
    command: str | None,
    env_file: Path | None,
    send: bool,
    timeout_secs: float,
    api_url: str | None,
    plain: bool,
) -> None:
    """Find out why a bot does not show in Datadog, or not all of it.

    Checks what is installed and patched, which variables are set and which of them do nothing,
    whether the Agent (or, without one, Datadog) answers, and whether a line written in a real
    session carries its ids. Each finding says what to do. Run it where the bot runs, with the
    bot's environment; no key is printed, and nothing is changed.

    Exit codes: 0 no problem, 1 problems, 2 it could not run.
    """
    try:
        import packaging.requirements  # noqa: F401 - missed here rather than by a check
        from rich.console import Console

        from pipecat_dd.cli.doctor.context import Context
        from pipecat_dd.cli.doctor.env_file import read
        from pipecat_dd.cli.doctor.report import examine
        from pipecat_dd.cli.doctor.show import as_json as to_json
        from pipecat_dd.cli.doctor.show import show
        from pipecat_dd.cli.doctor.start import Start
    except ModuleNotFoundError as error:
        raise _CouldNotRun(
            f"{error.name} is not installed; to have all that this command needs: "
            f"pip install '{EXTRA}'"
        ) from error
    try:
        start = Start() if command is None else Start.read(command)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--start") from error

    os.environ.update({**(read(env_file) if env_file else {}), **start.variables})
    situation = Context(dict(os.environ), start, timeout_secs, api_url=api_url)
    if "ddtrace" not in sys.modules:  # under ddtrace-run it is there, with settings of its own
        os.environ.update(_QUIET)
    with _hushed():
        with suppress(Exception):  # the checks meet it again, and say so
            start.switch_on()
        report = examine(situation, asked_for={"sending"} if send else ())

    # A terminal or file that cannot show a sign gets a question mark, not a traceback.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    if as_json:
        click.echo(to_json(report))
    else:
        console = Console(color_system=None, force_terminal=False) if plain else Console()
        if not console.is_terminal and "COLUMNS" not in os.environ:
            console.width = _PIPED_WIDTH
        show(console, report)
    sys.exit(report.exit_code)


@contextmanager
def _hushed() -> Iterator[None]:
    """Keep Pipecat's greeting and ddtrace's complaints off the terminal: findings tell of them."""
    silent = logging.NullHandler()
    logging.getLogger("ddtrace").addHandler(silent)
    try:
        from loguru import logger
    except ModuleNotFoundError:  # a finding
        yield
        return
    logger.disable("pipecat")
    had_default = False
    with suppress(ValueError):
        logger.remove(0)
        had_default = True
    try:
        yield
    finally:
        if had_default:
            logger.add(sys.stderr)
        logger.enable("pipecat")
        logging.getLogger("ddtrace").removeHandler(silent)

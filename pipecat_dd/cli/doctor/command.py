"""The command ``pipecat-dd doctor``.

This module imports little. The command imports the checks when it runs, after it has copied the
environment and turned off ddtrace's background requests.
"""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import click

from pipecat_dd.settings.table import API_URL

_PIPED_WIDTH = 100

_NO_BACKGROUND_WORK = {
    "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
    "DD_REMOTE_CONFIGURATION_ENABLED": "false",
    "DD_TRACE_STARTUP_LOGS": "false",
    "DD_TRACE_LOG_STREAM_HANDLER": "false",
}
"""Turns off what ddtrace sends and prints on its own: the doctor's process lives for seconds."""


class _CouldNotRun(click.ClickException):
    exit_code = 2


@click.command()
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object, described in docs/doctor.md."
)
@click.option(
    "--start",
    "command",
    metavar="COMMAND",
    help="The command that starts the bot. The doctor does not run it, but enables ddtrace in the "
    "same way as the command and the bot's source file do.",
)
@click.option(
    "--env-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file of environment variables that are set before the bot's Python process starts.",
)
@click.option("--send", is_flag=True, help="Send the trace of a small session to Datadog.")
@click.option(
    "--timeout",
    "timeout_secs",
    type=click.FloatRange(0.05, 60),
    default=3.0,
    show_default=True,
    help="How long to wait for the Agent and for Datadog to answer, in seconds.",
)
@click.option(
    "--api-url",
    metavar="URL",
    envvar=API_URL.variable,
    help="The address of Datadog's API, if it is not that of DD_SITE (for a proxy or PrivateLink).",
)
@click.option("--plain", is_flag=True, help="Print without colours, as NO_COLOR does.")
def doctor(
    as_json: bool,
    command: str | None,
    env_file: Path | None,
    send: bool,
    timeout_secs: float,
    api_url: str | None,
    plain: bool,
) -> None:
    """Find out why a bot's telemetry is missing.

    If spans, log lines or metrics of a bot do not appear in Datadog, the doctor shows why. It
    checks which packages are installed and patched, which variables are set and which of them
    have no effect, whether the Agent (or Datadog, if you use no Agent) answers, and whether log
    lines of a real session carry the right ids. Each finding says what to do. Run the doctor where
    the bot runs, with the bot's environment. It changes nothing and prints no keys.

    Exit codes: 0 no problems, 1 problems found, 2 the doctor could not run.
    """
    try:
        import packaging.requirements  # noqa: F401 - if missing, fail here, not in a check
        from rich.console import Console

        from pipecat_dd.cli.doctor.context import Context
        from pipecat_dd.cli.doctor.env_file import read
        from pipecat_dd.cli.doctor.report import examine
        from pipecat_dd.cli.doctor.show import as_json as to_json
        from pipecat_dd.cli.doctor.show import show
        from pipecat_dd.cli.doctor.start import Start
    except ModuleNotFoundError as error:
        raise _CouldNotRun(
            f"{error.name} is not installed. This command needs: pip install 'pipecat-dd'"
        ) from error
    try:
        start = Start() if command is None else Start.read(command)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--start") from error

    os.environ.update({**(read(env_file) if env_file else {}), **start.variables})
    context = Context(dict(os.environ), start, timeout_secs, api_url=api_url)
    if "ddtrace" not in sys.modules:  # ddtrace-run has imported it already, with its settings
        os.environ.update(_NO_BACKGROUND_WORK)
    with _silence_logs():
        with suppress(Exception):  # the checks fail in the same way and report it
            start.switch_on()
        report = examine(context, asked_for={"sending"} if send else ())

    if as_json:
        click.echo(to_json(report))
    else:
        console = Console(color_system=None, force_terminal=False) if plain else Console()
        if not console.is_terminal and "COLUMNS" not in os.environ:
            console.width = _PIPED_WIDTH
        show(console, report)
    sys.exit(report.exit_code)


@contextmanager
def _silence_logs() -> Iterator[None]:
    """Keep Pipecat's greeting and ddtrace's errors off the terminal: findings report the errors."""
    silent = logging.NullHandler()
    logging.getLogger("ddtrace").addHandler(silent)
    try:
        from loguru import logger
    except ModuleNotFoundError:  # the group `installed` reports it
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

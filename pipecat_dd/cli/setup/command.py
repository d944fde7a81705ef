"""The command ``pipecat-dd setup``: its options, its questions and the order of its steps."""

import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from pipecat_dd.cli.quiet import quiet_pipecat
from pipecat_dd.cli.setup.options import BadOptionError, Options
from pipecat_dd.settings.table import API_URL

if TYPE_CHECKING:
    from pipecat_dd.cli.setup.definition import Definition, Kind
    from pipecat_dd.cli.setup.planning import Plan, Step
    from pipecat_dd.cli.setup.resources import Resource

EXTRA = "pipecat-dd[setup]"
"""The extra that this command needs."""

FAILED, KEYS_REJECTED = 1, 3
"""Exit codes: something was not done; Datadog rejects the keys."""

_DEFAULTS = Options()


def _threshold_option(
    name: str, words: str
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return an option for when a monitor alerts, with its default."""
    default = getattr(_DEFAULTS, name)
    kind: click.ParamType[Any] = click.INT
    if isinstance(default, float):
        kind = click.FloatRange(0, Options.MAX_THRESHOLD, min_open=True)
    elif name.startswith("least_"):
        kind = click.IntRange(0, Options.MAX_LEAST)
    elif name == "quiet_hours":
        kind = click.IntRange(*Options.QUIET_HOURS)
    return click.option(
        f"--{name.replace('_', '-')}",
        name,
        type=kind,
        default=default,
        show_default=True,
        help=words,
    )


@click.command()
@click.option("--dry-run", is_flag=True, help="Show what would be done, and change nothing.")
@click.option(
    "--export",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="Only write the definitions to this directory as JSON. Needs no keys.",
)
@click.option("--remove", is_flag=True, help="Remove everything that this command created.")
@click.option("--yes", is_flag=True, help="Remove without asking for confirmation.")
@click.option(
    "--retention/--no-retention",
    default=None,
    help="Whether to create retention filters; Datadog bills the spans that they keep. By "
    "default, the command asks; without a terminal, it creates none.",
)
@click.option("--service", default="", help="The service to watch. By default, all services.")
@click.option("--env", default="", help="The environment to watch. By default, all.")
@click.option(
    "--notify",
    multiple=True,
    metavar="@HANDLE",
    help="Whom the monitors notify: @slack-voice, @you@example.com. Can be repeated.",
)
@_threshold_option(
    "failed_turns_percent", "Alert above this percentage of failed turns in 30 minutes."
)
@_threshold_option(
    "unanswered_turns_percent", "Alert above this percentage of unanswered turns in 30 minutes."
)
@_threshold_option(
    "slow_answers_percent", "Alert above this percentage of slow answers in 30 minutes."
)
@_threshold_option(
    "slow_answer_secs", "An answer is slow after this many seconds: 1, 2, 3, 5 or 8."
)
@_threshold_option(
    "unusable_services_percent",
    "Alert above this many permanently failed services per 100 turns in 15 minutes.",
)
@_threshold_option(
    "error_lines_percent", "Alert above this many error lines per 100 turns in an hour."
)
@_threshold_option(
    "lines_without_trace_percent",
    "Alert above this percentage of session log lines without a trace in 15 minutes.",
)
@_threshold_option(
    "voice_gaps_percent",
    "Alert above this many gaps in the bot's voice per 100 of its speeches in 30 minutes.",
)
@_threshold_option(
    "blocked_loops_percent",
    "Alert if the event loop was blocked more often than this per 100 turns in 30 minutes.",
)
@_threshold_option(
    "dead_air_percent", "Alert above this percentage of sessions with dead air, in an hour."
)
@_threshold_option(
    "dead_air_secs",
    "A silence in which the bot owes an answer is dead air after this many seconds: 1, 2, 3, 5 "
    "or 8.",
)
@_threshold_option(
    "no_user_audio_percent",
    "Alert if more participants than this had no audio, per 100 sessions in an hour.",
)
@_threshold_option(
    "slow_hellos_percent",
    "Alert above this percentage of sessions whose first words came slowly, in an hour.",
)
@_threshold_option(
    "slow_hello_secs",
    "The bot's first words are slow after this many seconds: 1, 2, 3, 5 or 8.",
)
@_threshold_option(
    "lost_connections_percent",
    "Alert above this many lost or refused connections of services per 100 sessions begun in 30 "
    "minutes.",
)
@_threshold_option(
    "abnormal_ends_percent", "Alert above this percentage of abnormally ended sessions in an hour."
)
@_threshold_option(
    "silent_sessions_percent",
    "Alert above this percentage of sessions in which the bot never spoke, in an hour.",
)
@_threshold_option(
    "sessions_lost_percent",
    "Alert above this percentage of sessions that neither ended nor are running, in 4 hours.",
)
@_threshold_option("quiet_hours", "Alert after this many hours without a session.")
@_threshold_option(
    "event_loop_lag_secs",
    "Alert above this event loop lag in seconds, at the 95th percentile of 15 minutes.",
)
@_threshold_option(
    "lines_dropped_percent",
    "Alert above this percentage of log lines dropped instead of shipped, in 30 minutes.",
)
@_threshold_option(
    "least_turns",
    "Turns to add to the total before a percentage is taken: a single failure must not alert.",
)
@_threshold_option("least_sessions", "Sessions to add to the total before a percentage is taken.")
@_threshold_option("least_lines", "Log lines to add to the total before a percentage is taken.")
@click.option(
    "--api-url",
    metavar="URL",
    envvar=API_URL.variable,
    default="",
    hidden=True,
    help="The address of Datadog's API, if it is not that of DD_SITE (for a proxy or PrivateLink).",
)
def setup(
    dry_run: bool,
    directory: Path | None,
    remove: bool,
    yes: bool,
    retention: bool | None,
    notify: tuple[str, ...],
    api_url: str,
    **chosen: Any,
) -> None:
    """Create a dashboard and monitors in Datadog.

    In your Datadog organisation, the command creates a dashboard, monitors, a log pipeline,
    log-based and span-based metrics, percentiles and descriptions of the metrics that bots send,
    and, if you agree, retention filters. It updates what already exists, so a second run changes
    nothing. It touches nothing else, and --remove removes exactly what it created.

    The command needs DD_API_KEY, DD_APP_KEY (an application key) and, outside of US1, DD_SITE.

    Exit codes: 0 everything was done, 1 something could not be done, 2 an option is invalid, 3
    keys are missing or rejected.
    """
    if directory is not None and (dry_run or remove):
        raise click.UsageError("--export cannot be combined with --dry-run or --remove")
    site = os.environ.get("DD_SITE", "").strip() or _DEFAULTS.site
    try:
        options = Options(site=site, notify=notify, **chosen)
    except BadOptionError as error:
        raise click.UsageError(str(error)) from error

    with quiet_pipecat():
        from pipecat_dd.cli.setup.definitions import wanted

    definitions = wanted(options)
    if directory is not None:
        _export(definitions, directory)
        return
    by_kind = _connect(options, api_url)
    sys.exit(_run(definitions, by_kind, options, dry_run, remove, yes, retention))


def _export(definitions: "tuple[Definition, ...]", directory: Path) -> None:
    from pipecat_dd.cli.setup.exporting import export

    try:
        files = export(definitions, directory)
    except OSError as error:
        raise click.ClickException(f"{error.strerror}: {error.filename}") from error
    click.echo(
        f"Wrote {len(files)} files to {directory}. requests.json lists the API request for each."
    )


def _connect(options: Options, url: str) -> "dict[Kind, Resource]":
    try:
        from pipecat_dd.cli.setup._datadog_api import Api
        from pipecat_dd.cli.setup.resources import resources
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"{error.name} is not installed. This command needs: pip install '{EXTRA}'"
        ) from error
    keys = {name: os.environ.get(name, "").strip() for name in ("DD_API_KEY", "DD_APP_KEY")}
    missing = [name for name, value in keys.items() if not value]
    if missing:
        _fail(
            f"{' and '.join(missing)} must be set. Create an API key and an application key in "
            "your Organization Settings. --export needs no keys.",
            KEYS_REJECTED,
        )
    from pipecat_dd.cli.setup.errors import KeysRejectedError, SetupError

    try:
        api = Api(options.site, keys["DD_API_KEY"], keys["DD_APP_KEY"], _say, url)
        api.check_api_key()
    except SetupError as error:
        _fail(str(error), KEYS_REJECTED if isinstance(error, KeysRejectedError) else FAILED)
    return resources(api)


def _run(
    definitions: "tuple[Definition, ...]",
    by_kind: "dict[Kind, Resource]",
    options: Options,
    dry_run: bool,
    remove: bool,
    yes: bool,
    retention: bool | None,
) -> int:
    from pipecat_dd.cli.setup import planning, report
    from pipecat_dd.cli.setup.errors import KeysRejectedError, SetupError

    try:
        make = planning.plan_removal if remove else planning.plan_setup
        plan = make(definitions, by_kind, options)
    except SetupError as error:
        _fail(str(error), KEYS_REJECTED if isinstance(error, KeysRejectedError) else FAILED)
    if dry_run:
        report.show_plan(plan, options, remove=remove)
        return FAILED if plan.unread else 0
    if remove:
        steps: Iterable[Step] = plan.steps
        if not yes and plan.steps and not _confirm_removal(plan, options):
            return FAILED
    else:
        steps = _steps_to_apply(plan, retention)
    return report.apply_plan(plan, steps, by_kind, options, remove=remove)


def _confirm_removal(plan: "Plan", options: Options) -> bool:
    from pipecat_dd.cli.setup import report

    report.show_plan(plan, options, remove=True)
    if not _is_interactive():
        _say(
            "Nothing was removed, because there is no terminal to ask for confirmation. Use --yes."
        )
        return False
    return click.confirm("Remove these?")


def _steps_to_apply(plan: "Plan", retention: bool | None) -> "list[Step]":
    from pipecat_dd.cli.setup import report
    from pipecat_dd.cli.setup.definition import Kind
    from pipecat_dd.cli.setup.planning import Action

    steps = plan.of(Action.CREATE, Action.UPDATE, Action.DELETE)
    filters = [
        step for step in steps if step.action is Action.CREATE and step.kind is Kind.RETENTION
    ]
    if not filters or retention:
        return steps
    if retention is None:
        report.propose_filters(filters)
        if _is_interactive() and click.confirm("Create these retention filters?"):
            return steps
        _say("No retention filters are created. To create them, use --retention.\n")
    return [step for step in steps if step not in filters]


def _is_interactive() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def _say(sentence: str) -> None:
    click.echo(sentence, err=True)


def _fail(sentence: str, code: int) -> NoReturn:
    click.echo(f"pipecat-dd setup: {sentence}", err=True)
    sys.exit(code)

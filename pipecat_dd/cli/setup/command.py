"""The command ``pipecat-dd setup``: what it asks, and in which order it does things."""

import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from pipecat_dd.cli.setup.options import BadOptionError, Options
from pipecat_dd.settings.table import API_URL

if TYPE_CHECKING:
    from pipecat_dd.cli.setup.definition import Definition, Kind
    from pipecat_dd.cli.setup.planning import Plan, Step
    from pipecat_dd.cli.setup.resources import Resource

EXTRA = "pipecat-dd[setup]"
"""What has all that this command needs."""

FAILED, KEYS_REFUSED = 1, 3
"""Exit codes: something was not done; Datadog does not take the keys."""

_DEFAULTS = Options()


def _limit(name: str, words: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return an option that says when a monitor alerts."""
    default = getattr(_DEFAULTS, name)
    kind = click.FLOAT if isinstance(default, float) else click.INT
    return click.option(
        f"--{name.replace('_', '-')}",
        name,
        type=kind,
        default=default,
        show_default=True,
        help=words,
    )


@click.command()
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option(
    "--export",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write the definitions there as JSON instead. Needs no keys.",
)
@click.option("--remove", is_flag=True, help="Take away exactly what this command made.")
@click.option("--yes", is_flag=True, help="Remove without asking.")
@click.option(
    "--retention/--no-retention",
    default=None,
    help="Whether to make retention filters, whose spans are billed as indexed. "
    "By default: asks, and makes none where nobody can be asked.",
)
@click.option("--service", default="", help="Monitors watch this service only.")
@click.option("--env", default="", help="Monitors watch this environment only.")
@click.option(
    "--notify",
    multiple=True,
    metavar="@HANDLE",
    help="Whom monitors tell: @slack-voice, @you@example.com. May be given several times.",
)
@_limit("failed_turns_percent", "Alert above this share of turns that failed, in 30 minutes.")
@_limit("unanswered_turns_percent", "… of turns whose user waited for an answer in vain.")
@_limit("slow_answers_percent", "… of answers that were slow, in 30 minutes.")
@_limit("slow_answer_secs", "What is slow: 1, 2, 3, 5 or 8 seconds.")
@_limit("unusable_services_percent", "… of services lost for good, for 100 turns in 15 minutes.")
@_limit("error_lines_percent", "… of error lines for 100 turns, in an hour.")
@_limit("lines_without_trace_percent", "… of sessions' lines without a trace, in 15 minutes.")
@_limit("abnormal_ends_percent", "… of sessions that did not end well, in an hour.")
@_limit("silent_sessions_percent", "… of sessions with a silent bot, in an hour.")
@_limit("sessions_lost_percent", "… of sessions that neither ended nor run, in 4 hours.")
@_limit("quiet_hours", "Alert after so many hours without a session, 2 to 24.")
@_limit("event_loop_lag_secs", "Alert when the event loop is later, at the 95th percentile.")
@_limit("lines_dropped_percent", "… of lines dropped instead of shipped, in 30 minutes.")
@_limit("least_turns", "Turns that are added to those there were, so that one is no outage.")
@_limit("least_sessions", "The same for sessions.")
@_limit("least_lines", "The same for lines.")
@click.option("--api-url", envvar=API_URL.variable, default="", hidden=True)
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
    """Make a dashboard, monitors and more in your Datadog organisation.

    A dashboard, monitors, a log pipeline, log-based and span-based metrics, percentiles and
    descriptions of the metrics that bots send, and, if you agree, retention filters. What is there
    already is brought up to date; running it twice changes nothing. Nothing else is touched, and
    --remove takes exactly this away again.

    Needs DD_API_KEY, DD_APP_KEY (an application key) and, outside of US1, DD_SITE.

    Exit code: 0 when all is done, 1 when something could not be, 2 for an option that is not
    allowed, 3 when keys are missing or refused.
    """
    if directory is not None and (dry_run or remove):
        raise click.UsageError("--export goes with neither --dry-run nor --remove")
    site = os.environ.get("DD_SITE", "").strip() or _DEFAULTS.site
    try:
        options = Options(site=site, notify=notify, **chosen)
    except BadOptionError as error:
        raise click.UsageError(str(error)) from error

    from pipecat_dd.cli.setup.definitions import wanted

    things = wanted(options)
    if directory is not None:
        _export(things, directory)
        return
    by_kind = _connect(options, api_url)
    sys.exit(_run(things, by_kind, options, dry_run, remove, yes, retention))


def _export(things: "tuple[Definition, ...]", directory: Path) -> None:
    from pipecat_dd.cli.setup.exporting import export

    try:
        files = export(things, directory)
    except OSError as error:
        raise click.ClickException(f"{error.strerror}: {error.filename}") from error
    click.echo(f"Wrote {len(files)} files to {directory}; requests.json says what each is for.")


def _connect(options: Options, url: str) -> "dict[Kind, Resource]":
    try:
        from pipecat_dd.cli.setup._datadog_api import Api
        from pipecat_dd.cli.setup.resources import resources
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"{error.name} is not installed; to have all that this command needs: "
            f"pip install '{EXTRA}'"
        ) from error
    keys = {name: os.environ.get(name, "").strip() for name in ("DD_API_KEY", "DD_APP_KEY")}
    missing = [name for name, value in keys.items() if not value]
    if missing:
        _fail(
            f"{' and '.join(missing)} must be set: an API key and an application key of your "
            "organisation (Organization Settings). Without keys, --export writes the definitions.",
            KEYS_REFUSED,
        )
    from pipecat_dd.cli.setup.errors import KeysRefused, Refusal

    try:
        api = Api(options.site, keys["DD_API_KEY"], keys["DD_APP_KEY"], _say, url)
        api.check_api_key()
    except Refusal as refusal:
        _fail(str(refusal), KEYS_REFUSED if isinstance(refusal, KeysRefused) else FAILED)
    return resources(api)


def _run(
    things: "tuple[Definition, ...]",
    by_kind: "dict[Kind, Resource]",
    options: Options,
    dry_run: bool,
    remove: bool,
    yes: bool,
    retention: bool | None,
) -> int:
    from pipecat_dd.cli.setup import planning, report
    from pipecat_dd.cli.setup.errors import KeysRefused, Refusal

    try:
        make = planning.to_remove if remove else planning.to_set_up
        plan = make(things, by_kind, options)
    except Refusal as refusal:
        _fail(str(refusal), KEYS_REFUSED if isinstance(refusal, KeysRefused) else FAILED)
    if dry_run:
        report.planned(plan, options, remove=remove)
        return FAILED if plan.unread else 0
    if remove:
        steps: Iterable[Step] = plan.steps
        if not yes and plan.steps and not _agrees_to_remove(plan, options):
            return FAILED
    else:
        steps = _with_retention(plan, retention)
    return report.carried_out(plan, steps, by_kind, options, remove=remove)


def _agrees_to_remove(plan: "Plan", options: Options) -> bool:
    from pipecat_dd.cli.setup import report

    report.planned(plan, options, remove=True)
    if not _can_ask():
        _say("Nothing was removed: nobody can be asked. --yes removes it.")
        return False
    return click.confirm("Remove these?")


def _with_retention(plan: "Plan", retention: bool | None) -> "list[Step]":
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
        report.proposal(filters)
        if _can_ask() and click.confirm("Make these retention filters?"):
            return steps
        _say("No retention filters are made; --retention makes them.\n")
    return [step for step in steps if step not in filters]


def _can_ask() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def _say(sentence: str) -> None:
    click.echo(sentence, err=True)


def _fail(sentence: str, code: int) -> NoReturn:
    click.echo(f"pipecat-dd setup: {sentence}", err=True)
    sys.exit(code)

"""The output of the command: the plan, the results, and what is left to do by hand."""

from collections import Counter
from collections.abc import Iterable, Sequence

import click

from pipecat_dd.cli.setup.applying import Outcome, Result, apply
from pipecat_dd.cli.setup.definition import Kind
from pipecat_dd.cli.setup.facets import FACETS
from pipecat_dd.cli.setup.options import Options
from pipecat_dd.cli.setup.planning import Action, Plan, Step
from pipecat_dd.cli.setup.resources import Resource

_FAILED, KEYS_REJECTED = 1, 3

_UNDONE = (Outcome.INCOMPLETE, Outcome.FAILED, Outcome.UNTRIED)

_WOULD = {
    Action.CREATE: ("+", "would be created", "green"),
    Action.UPDATE: ("~", "would be changed", "yellow"),
    Action.KEEP: ("=", "is up to date", None),
    Action.LEAVE: ("!", "is left unchanged", None),
    Action.DELETE: ("-", "would be removed", "red"),
}
_DONE = {
    Action.CREATE: ("+", "created", "green"),
    Action.UPDATE: ("~", "changed", "yellow"),
    Action.KEEP: _WOULD[Action.KEEP],
    Action.LEAVE: _WOULD[Action.LEAVE],
    Action.DELETE: ("-", "removed", "red"),
}

_BILLED = (
    "Datadog bills log-based metrics, span-based metrics and percentiles as custom metrics, and\n"
    "the spans that retention filters keep as indexed spans. See docs/setup.md."
)


def show_plan(plan: Plan, options: Options, *, remove: bool) -> None:
    """Print the steps of a plan.

    Args:
        plan: The plan, which has not been applied.
        options: The options of the run.
        remove: Whether the plan removes objects.
    """
    click.echo(_heading(options))
    for step in plan.steps:
        sign, words, colour = _WOULD[step.action]
        _line(sign, step, words if not step.why else f"{words}: {step.why}", colour)
    _unread(plan)
    if not plan.steps and not plan.unread:
        click.echo("  this command has created nothing here" if remove else "  nothing to do")
    filters = [step for step in plan.of(Action.CREATE) if step.kind is Kind.RETENTION]
    if filters:
        click.echo("\nRetention filters are created only if you agree, or with --retention.")
    if plan.of(Action.CREATE):
        click.echo(f"\n{_BILLED}")


def propose_filters(filters: Sequence[Step]) -> None:
    """Print what retention filters would keep, and how Datadog bills that.

    Args:
        filters: The steps that would create the filters.
    """
    click.echo(
        "Without retention filters, Datadog keeps only a sample of all traces after 15 minutes,\n"
        "and you can no longer find most sessions by their id. These filters keep for 15 days:"
    )
    for step in filters:
        query = step.definition.body["filter"]["query"] if step.definition else ""
        click.echo(f"    {step.title + ':':<19}{query}")
    click.echo(
        "The spans that they keep are billed as indexed spans: about one per session, one per\n"
        "turn, and one per failed stage."
    )


def apply_plan(
    plan: Plan,
    steps: Iterable[Step],
    by_kind: dict[Kind, Resource],
    options: Options,
    *,
    remove: bool,
) -> int:
    """Apply steps of a plan, and print the result of each.

    Args:
        plan: The whole plan.
        steps: The steps to apply.
        by_kind: The resource that handles each kind.
        options: The options of the run.
        remove: Whether the plan removes objects.

    Returns:
        The command's exit code.
    """
    results: list[Result] = []

    def on_result(result: Result) -> None:
        results.append(result)
        _result(result)

    click.echo(_heading(options))
    for step in plan.of(Action.LEAVE):
        sign, words, colour = _WOULD[step.action]
        _line(sign, step, f"{words}: {step.why}", colour)
    _unread(plan)
    try:
        apply(steps, by_kind, on_result)
    except KeyboardInterrupt:
        click.echo("\nInterrupted. The steps above are done. Run the command again for the rest.")
        return _FAILED
    _summary(plan, results, remove=remove)
    if not remove:
        _address(plan, results, options)
    if any(result.keys_rejected for result in results):
        return KEYS_REJECTED
    failed = any(result.outcome in _UNDONE for result in results)
    return _FAILED if failed or plan.unread else 0


def show_manual_steps() -> None:
    """Print the facets and measures that users must create by hand."""
    click.echo(
        "\nPlease create these once by hand, since Datadog has no API for them (with the cog next\n"
        "to the attribute, in the panel of a log line or span):"
    )
    for source in ("lines", "spans"):
        facets = [one.path for one in FACETS if one.source == source and not one.unit]
        measures = [
            f"{one.path} ({one.unit})" for one in FACETS if one.source == source and one.unit
        ]
        for what, paths in (("facets", facets), ("measures", measures)):
            listed = click.wrap_text(
                ", ".join(paths), 96, " " * 4 + f"{what} of {source}: ", " " * 8
            )
            click.echo(listed)


def _address(plan: Plan, results: list[Result], options: Options) -> None:
    ids = [one.found.id for one in plan.steps if one.kind is Kind.DASHBOARD and one.found]
    ids += [one.id for one in results if one.step.kind is Kind.DASHBOARD and one.id]
    if ids:
        click.echo(f"\nThe dashboard: {options.app}/dashboard/{ids[0]}")


def _heading(options: Options) -> str:
    watched = f"; monitors watch {options.scope}" if options.is_scoped else ""
    return f"Datadog organisation at {options.site}{watched}"


def _line(sign: str, step: Step, words: str, colour: str | None) -> None:
    click.echo(f"  {click.style(sign, fg=colour)} {step.kind:<17} {step.title}: {words}")


def _result(result: Result) -> None:
    step = result.step
    if result.outcome is Outcome.DONE:
        sign, words, colour = _DONE[step.action]
        _line(sign, step, f"{words} ({step.why})" if step.why else words, colour)
    elif result.outcome is Outcome.LATER:
        _line("…", step, f"not yet: {result.words}", None)
    elif result.outcome is Outcome.INCOMPLETE:
        _line("x", step, f"created, but the next run must complete it: {result.words}", "yellow")
    elif result.outcome is Outcome.FAILED:
        _line("x", step, f"NOT {_DONE[step.action][1]}: {result.words}", "red")


def _unread(plan: Plan) -> None:
    for kind, why in plan.unread.items():
        sign = click.style("x", fg="red")
        click.echo(f"  {sign} {kind:<17} cannot be read, and is left unchanged: {why}")


def _summary(plan: Plan, results: list[Result], *, remove: bool) -> None:
    done = Counter(one.step.action for one in results if one.outcome is Outcome.DONE)
    of = Counter(one.outcome for one in results)
    counts = [
        f"{done[action]} {_DONE[action][1]}"
        for action in (Action.CREATE, Action.UPDATE, Action.DELETE)
        if done[action]
    ]
    if not remove:
        counts.append(f"{len(plan.of(Action.KEEP))} up to date")
    counts += [
        f"{number} {words}"
        for number, words in (
            (of[Outcome.LATER], "to be created later"),
            (of[Outcome.INCOMPLETE], "to be completed"),
            (of[Outcome.FAILED], "failed"),
            (of[Outcome.UNTRIED], "not tried"),
        )
        if number
    ]
    click.echo("\n" + (", ".join(counts) or "this command had created nothing here") + ".")
    if any(of[outcome] for outcome in _UNDONE) or plan.unread:
        click.echo(
            "Fix the cause and run the command again: it keeps what is done and does the rest."
        )
    elif done[Action.CREATE]:
        click.echo(f"\n{_BILLED}")
        show_manual_steps()

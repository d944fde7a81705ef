"""What the command says: what would be done, what was, and what is left to do by hand."""

from collections import Counter
from collections.abc import Iterable, Sequence

import click

from pipecat_dd.cli.setup.applying import Outcome, Result, carry_out
from pipecat_dd.cli.setup.by_hand import FACETS
from pipecat_dd.cli.setup.definition import Kind
from pipecat_dd.cli.setup.options import Options
from pipecat_dd.cli.setup.planning import Action, Plan, Step
from pipecat_dd.cli.setup.resources import Resource

_FAILED, _KEYS_REFUSED = 1, 3

_UNDONE = (Outcome.INCOMPLETE, Outcome.FAILED, Outcome.UNTRIED)

_WOULD = {
    Action.CREATE: ("+", "would be made", "green"),
    Action.UPDATE: ("~", "would be changed", "yellow"),
    Action.KEEP: ("=", "is as it should be", None),
    Action.LEAVE: ("!", "stays as it is", None),
    Action.DELETE: ("-", "would be removed", "red"),
}
_DONE = {
    Action.CREATE: ("+", "made", "green"),
    Action.UPDATE: ("~", "changed", "yellow"),
    Action.KEEP: _WOULD[Action.KEEP],
    Action.LEAVE: _WOULD[Action.LEAVE],
    Action.DELETE: ("-", "removed", "red"),
}

_BILLED = (
    "Datadog bills log-based and span-based metrics and percentiles as custom metrics, and spans\n"
    "that retention filters keep as indexed spans: docs/setup.md."
)


def planned(plan: Plan, options: Options, *, remove: bool) -> None:
    """Say what would be done.

    Args:
        plan: What would be done.
        options: What the user chose.
        remove: Whether things would be removed.
    """
    click.echo(_heading(options))
    for step in plan.steps:
        sign, words, colour = _WOULD[step.action]
        _line(sign, step, words if not step.why else f"{words}: {step.why}", colour)
    _unread(plan)
    if not plan.steps and not plan.unread:
        click.echo("  nothing of this command's is there" if remove else "  nothing to do")
    filters = [step for step in plan.of(Action.CREATE) if step.kind is Kind.RETENTION]
    if filters:
        click.echo("\nRetention filters are only made if you agree, or with --retention.")
    if plan.of(Action.CREATE):
        click.echo(f"\n{_BILLED}")


def proposal(filters: Sequence[Step]) -> None:
    """Propose retention filters, and say what they cost.

    Args:
        filters: What would be made.
    """
    click.echo(
        "Without retention filters Datadog keeps a sample of traces: after 15 minutes, most\n"
        "sessions cannot be found by their id any more. These would keep, for 15 days:"
    )
    for step in filters:
        query = step.thing.body["filter"]["query"] if step.thing else ""
        click.echo(f"    {step.title + ':':<19}{query}")
    click.echo(
        "What they keep is billed as indexed spans: about one for each session, one for each\n"
        "turn, and one for each stage that fails."
    )


def carried_out(
    plan: Plan,
    steps: Iterable[Step],
    by_kind: dict[Kind, Resource],
    options: Options,
    *,
    remove: bool,
) -> int:
    """Do what is to be done, and say what comes of it as it comes.

    Args:
        plan: What was planned.
        steps: What of it is to be done.
        by_kind: How each kind is handled.
        options: What the user chose.
        remove: Whether things are removed.

    Returns:
        The command's exit code.
    """
    results: list[Result] = []

    def tell(result: Result) -> None:
        results.append(result)
        _result(result)

    click.echo(_heading(options))
    for step in plan.of(Action.LEAVE):
        sign, words, colour = _WOULD[step.action]
        _line(sign, step, f"{words}: {step.why}", colour)
    _unread(plan)
    try:
        carry_out(steps, by_kind, tell)
    except KeyboardInterrupt:
        click.echo("\nInterrupted. What is listed above is there; run it again for the rest.")
        return _FAILED
    _summary(plan, results, remove=remove)
    if not remove:
        _address(plan, results, options)
    if any(result.keys_refused for result in results):
        return _KEYS_REFUSED
    failed = any(result.outcome in _UNDONE for result in results)
    return _FAILED if failed or plan.unread else 0


def by_hand() -> None:
    """Say what only a person can make."""
    click.echo(
        "\nTo make by hand, once, since Datadog has no API for it (the cog beside an attribute,\n"
        "in the panel of a line or span):"
    )
    for of in ("lines", "spans"):
        facets = [one.path for one in FACETS if one.of == of and not one.unit]
        measures = [f"{one.path} ({one.unit})" for one in FACETS if one.of == of and one.unit]
        for what, paths in (("facets", facets), ("measures", measures)):
            listed = click.wrap_text(", ".join(paths), 96, " " * 4 + f"{what} of {of}: ", " " * 8)
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
        _line("x", step, f"made, to be completed by the next run: {result.words}", "yellow")
    elif result.outcome is Outcome.FAILED:
        _line("x", step, f"NOT {_DONE[step.action][1]}: {result.words}", "red")


def _unread(plan: Plan) -> None:
    for kind, why in plan.unread.items():
        sign = click.style("x", fg="red")
        click.echo(f"  {sign} {kind:<17} cannot be read, and is left as it is: {why}")


def _summary(plan: Plan, results: list[Result], *, remove: bool) -> None:
    done = Counter(one.step.action for one in results if one.outcome is Outcome.DONE)
    of = Counter(one.outcome for one in results)
    counts = [
        f"{done[action]} {_DONE[action][1]}"
        for action in (Action.CREATE, Action.UPDATE, Action.DELETE)
        if done[action]
    ]
    if not remove:
        counts.append(f"{len(plan.of(Action.KEEP))} as they should be")
    counts += [
        f"{number} {words}"
        for number, words in (
            (of[Outcome.LATER], "to be made later"),
            (of[Outcome.INCOMPLETE], "to be completed"),
            (of[Outcome.FAILED], "failed"),
            (of[Outcome.UNTRIED], "not tried any more"),
        )
        if number
    ]
    click.echo("\n" + (", ".join(counts) or "nothing of this command's was there") + ".")
    if any(of[outcome] for outcome in _UNDONE) or plan.unread:
        click.echo("What was done stays. Run it again when the cause is gone: it does the rest.")
    elif done[Action.CREATE]:
        click.echo(f"\n{_BILLED}")
        by_hand()

"""What would have to be done, and why."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from pipecat_dd.cli.setup.comparing import differences
from pipecat_dd.cli.setup.definition import Definition, Found, Kind
from pipecat_dd.cli.setup.definitions.retired import RETIRED
from pipecat_dd.cli.setup.errors import UNEXPECTED, Forbidden, KeysRefused, NotThere, Rejected
from pipecat_dd.cli.setup.options import Options
from pipecat_dd.cli.setup.resources import Resource


class Action(StrEnum):
    """What is done with something."""

    CREATE = "create"
    UPDATE = "update"
    KEEP = "keep"
    LEAVE = "leave"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Step:
    """What is done with one thing.

    Attributes:
        action: What is done.
        kind: The kind of it.
        title: What people call it.
        why: Why it is done, or left; empty where the action says it all.
        thing: What is wanted; None for what is taken away.
        found: What is there; None for what is made.
    """

    action: Action
    kind: Kind
    title: str
    why: str = ""
    thing: Definition | None = None
    found: Found | None = None


@dataclass(slots=True)
class Plan:
    """All that would have to be done.

    Attributes:
        steps: What is done, in order.
        unread: The kinds that could not be read, and why. Nothing is done about them.
    """

    steps: list[Step] = field(default_factory=list)
    unread: dict[Kind, str] = field(default_factory=dict)

    def of(self, *actions: Action) -> list[Step]:
        """Return the steps with these actions.

        Args:
            *actions: The actions.
        """
        return [step for step in self.steps if step.action in actions]


def to_set_up(
    things: Sequence[Definition], by_kind: dict[Kind, Resource], options: Options
) -> Plan:
    """Return what has to be done for all things to be there.

    Args:
        things: What is wanted.
        by_kind: How each kind is handled.
        options: What the user chose.

    Raises:
        KeysRefused: The keys may read nothing at all.
    """
    plan = Plan()
    for kind in Kind:
        of_kind = [thing for thing in things if thing.kind is kind]
        found = _read(by_kind[kind], of_kind, plan)
        if found is None:
            continue
        ours = {one.key: one for one in found if one.scope in ("", options.scope)}
        plan.steps += [_step(thing, ours.get(thing.key), by_kind[kind]) for thing in of_kind]
        keys = {thing.key for thing in of_kind}
        plan.steps += [_no_longer_made(one) for key, one in ours.items() if key not in keys]
        plan.steps += [
            _left(one, f"it was made for {one.scope}")
            for one in found
            if one.scope not in ("", options.scope)
        ]
    _check(plan)
    return plan


def to_remove(
    things: Sequence[Definition], by_kind: dict[Kind, Resource], options: Options
) -> Plan:
    """Return what has to be done for nothing of ours to be there.

    Args:
        things: What is made by this version.
        by_kind: How each kind is handled.
        options: What the user chose. With a service or env, only its monitors are taken away:
            all else serves the others too.

    Raises:
        KeysRefused: The keys may read nothing at all.
    """
    plan = Plan()
    # What shows goes first, what it is made of last.
    for kind in reversed([Kind.MONITOR] if options.is_scoped else list(Kind)):
        of_kind = [thing for thing in things if thing.kind is kind]
        for one in _read(by_kind[kind], of_kind, plan) or ():
            if not options.is_scoped or one.scope == options.scope:
                plan.steps.append(Step(Action.DELETE, kind, one.title, found=one))
    _check(plan)
    return plan


def _step(thing: Definition, found: Found | None, resource: Resource) -> Step:
    if found is None:
        why = resource.taken(thing)
        if why:
            return Step(Action.LEAVE, thing.kind, thing.title, why, thing)
        return Step(Action.CREATE, thing.kind, thing.title, thing=thing)
    differing = differences(resource.body_for(thing, found), found.body)
    if not differing:
        return Step(Action.KEEP, thing.kind, thing.title, thing=thing, found=found)
    shown = ", ".join(differing[:3]) + (" …" if len(differing) > 3 else "")
    return Step(Action.UPDATE, thing.kind, thing.title, shown, thing, found)


def _no_longer_made(found: Found) -> Step:
    instead = RETIRED.get((found.kind, found.key))
    if instead is None:
        return _left(found, "it is no longer made; --remove takes it away")
    return Step(Action.DELETE, found.kind, found.title, f"{instead} says it for free", found=found)


def _left(found: Found, why: str) -> Step:
    return Step(Action.LEAVE, found.kind, found.title, why, found=found)


def _read(resource: Resource, things: list[Definition], plan: Plan) -> list[Found] | None:
    try:
        return _one_of_each(resource.found(things))
    except Forbidden as refusal:
        plan.unread[resource.kind] = f"{refusal}; the application key needs {resource.permission}"
    except (Rejected, NotThere) as refusal:
        plan.unread[resource.kind] = str(refusal)
    except UNEXPECTED as error:
        plan.unread[resource.kind] = f"Datadog's answer is not understood ({error!r})"
    return None


def _one_of_each(found: Iterable[Found]) -> list[Found]:
    # Only a run that was cut short leaves a mark incomplete. Where there is a complete one too,
    # the other is somebody's copy.
    chosen: dict[tuple[str, str], Found] = {}
    for one in found:
        before = chosen.setdefault((one.key, one.scope), one)
        if one.is_signed and not before.is_signed:
            chosen[one.key, one.scope] = one
    return list(chosen.values())


def _check(plan: Plan) -> None:
    if plan.unread and not plan.steps and all("403" in why for why in plan.unread.values()):
        raise KeysRefused(
            "DD_APP_KEY may read none of what this command makes. Is it an application key of the "
            "same organisation as DD_API_KEY? If it is scoped, it needs the scopes that "
            "docs/setup.md lists."
        )

"""Plan the steps that a run takes, each with its reason."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from pipecat_dd.cli.setup.comparing import differences
from pipecat_dd.cli.setup.definition import Definition, Found, Kind
from pipecat_dd.cli.setup.definitions.retired import RETIRED
from pipecat_dd.cli.setup.errors import (
    UNEXPECTED_ANSWER,
    ForbiddenError,
    KeysRejectedError,
    NotFoundError,
    RejectedError,
)
from pipecat_dd.cli.setup.options import Options
from pipecat_dd.cli.setup.resources import Resource


class Action(StrEnum):
    """What a step does with an object."""

    CREATE = "create"
    UPDATE = "update"
    KEEP = "keep"
    LEAVE = "leave"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a plan.

    Attributes:
        action: The action.
        kind: The kind of the object.
        title: The object's name for users.
        why: The reason for the action; empty if it is obvious.
        definition: The definition of the object; None if the object is removed.
        found: The existing object; None if it is to be created.
    """

    action: Action
    kind: Kind
    title: str
    why: str = ""
    definition: Definition | None = None
    found: Found | None = None


@dataclass(slots=True)
class Plan:
    """The plan of a run.

    Attributes:
        steps: The steps, in order.
        unread: The kinds that could not be read, each with the reason. They have no steps.
    """

    steps: list[Step] = field(default_factory=list)
    unread: dict[Kind, str] = field(default_factory=dict)

    def of(self, *actions: Action) -> list[Step]:
        """Return the steps with any of these actions."""
        return [step for step in self.steps if step.action in actions]


def plan_setup(
    definitions: Sequence[Definition], by_kind: dict[Kind, Resource], options: Options
) -> Plan:
    """Return the steps that create or update everything that is defined.

    Args:
        definitions: The definitions of all kinds.
        by_kind: The resource that handles each kind.
        options: The options of the run.

    Raises:
        KeysRejectedError: The keys have no permission to read any kind.
    """
    plan = Plan()
    for kind in Kind:
        of_kind = [definition for definition in definitions if definition.kind is kind]
        found = _read(by_kind[kind], of_kind, plan)
        if found is None:
            continue
        ours = {one.key: one for one in found if one.scope in ("", options.scope)}
        plan.steps += [
            _step(definition, ours.get(definition.key), by_kind[kind]) for definition in of_kind
        ]
        keys = {definition.key for definition in of_kind}
        plan.steps += [_retired_step(one) for key, one in ours.items() if key not in keys]
        plan.steps += [
            _left(one, f"it was created for {one.scope}")
            for one in found
            if one.scope not in ("", options.scope)
        ]
    _check(plan)
    return plan


def plan_removal(
    definitions: Sequence[Definition], by_kind: dict[Kind, Resource], options: Options
) -> Plan:
    """Return the steps that remove everything that this command created.

    Args:
        definitions: The definitions of all kinds.
        by_kind: The resource that handles each kind.
        options: The options of the run. With a service or env, only its monitors are removed,
            since everything else is shared with other services.

    Raises:
        KeysRejectedError: The keys have no permission to read any kind.
    """
    plan = Plan()
    # Remove dashboards and monitors before the metrics that they use.
    for kind in reversed([Kind.MONITOR] if options.is_scoped else list(Kind)):
        of_kind = [definition for definition in definitions if definition.kind is kind]
        for one in _read(by_kind[kind], of_kind, plan) or ():
            if not options.is_scoped or one.scope == options.scope:
                plan.steps.append(Step(Action.DELETE, kind, one.title, found=one))
    _check(plan)
    return plan


def _step(definition: Definition, found: Found | None, resource: Resource) -> Step:
    if found is None:
        why = resource.conflict(definition)
        if why:
            return Step(Action.LEAVE, definition.kind, definition.title, why, definition)
        return Step(Action.CREATE, definition.kind, definition.title, definition=definition)
    differing = differences(resource.body_for(definition, found), found.body)
    if not differing:
        return Step(
            Action.KEEP, definition.kind, definition.title, definition=definition, found=found
        )
    shown = ", ".join(differing[:3]) + (" …" if len(differing) > 3 else "")
    return Step(Action.UPDATE, definition.kind, definition.title, shown, definition, found)


def _retired_step(found: Found) -> Step:
    instead = RETIRED.get((found.kind, found.key))
    if instead is None:
        return _left(found, "this version no longer creates it; --remove removes it")
    why = f"{instead} reports the same for free"
    return Step(Action.DELETE, found.kind, found.title, why, found=found)


def _left(found: Found, why: str) -> Step:
    return Step(Action.LEAVE, found.kind, found.title, why, found=found)


def _read(resource: Resource, definitions: list[Definition], plan: Plan) -> list[Found] | None:
    try:
        return _one_of_each(resource.find(definitions))
    except ForbiddenError as error:
        plan.unread[resource.kind] = f"{error}; the application key needs {resource.permission}"
    except (RejectedError, NotFoundError) as error:
        plan.unread[resource.kind] = str(error)
    except UNEXPECTED_ANSWER as error:
        plan.unread[resource.kind] = f"Datadog's answer is invalid ({error!r})"
    return None


def _one_of_each(found: Iterable[Found]) -> list[Found]:
    # Only an interrupted run leaves an incomplete mark. If there is also an object with a complete
    # mark, the one with the incomplete mark is a user's copy.
    chosen: dict[tuple[str, str], Found] = {}
    for one in found:
        before = chosen.setdefault((one.key, one.scope), one)
        if one.is_signed and not before.is_signed:
            chosen[one.key, one.scope] = one
    return list(chosen.values())


def _check(plan: Plan) -> None:
    if plan.unread and not plan.steps and all("403" in why for why in plan.unread.values()):
        raise KeysRejectedError(
            "DD_APP_KEY has no permission to read anything that this command creates. Is it an "
            "application key of the same organisation as DD_API_KEY? If it is scoped, it needs the "
            "scopes in docs/setup.md."
        )

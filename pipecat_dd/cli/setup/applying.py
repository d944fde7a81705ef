"""Doing what was planned: as much of it as can be done, one after the other."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from pipecat_dd.cli.setup.definition import Kind
from pipecat_dd.cli.setup.errors import (
    UNEXPECTED,
    Forbidden,
    Incomplete,
    KeysRefused,
    NotThere,
    NotYet,
    Refusal,
    Unreachable,
)
from pipecat_dd.cli.setup.planning import Action, Step
from pipecat_dd.cli.setup.resources import Resource


class Outcome(StrEnum):
    """What came of a step."""

    DONE = "done"
    LATER = "later"
    INCOMPLETE = "incomplete"
    FAILED = "failed"
    UNTRIED = "untried"


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a step.

    Attributes:
        step: The step.
        outcome: What came of it.
        words: Why, where it was not done.
        keys_refused: Whether the keys were at fault.
        id: Datadog's id of what was made, where it gives one.
    """

    step: Step
    outcome: Outcome
    words: str = ""
    keys_refused: bool = False
    id: str = ""


def carry_out(
    steps: Iterable[Step], by_kind: dict[Kind, Resource], tell: Callable[[Result], None]
) -> None:
    """Do what was planned.

    What cannot be done does not keep the rest from being done, unless nothing can be any more.

    Args:
        steps: What to do.
        by_kind: How each kind is handled.
        tell: Called with what came of each step, as soon as it is known.
    """
    forbidden: set[Kind] = set()
    stopped = False
    for step in steps:
        if stopped or step.kind in forbidden:
            tell(Result(step, Outcome.UNTRIED))
            continue
        try:
            made = _do(step, by_kind[step.kind])
        except NotYet as refusal:
            tell(Result(step, Outcome.LATER, str(refusal)))
        except Incomplete as refusal:
            stopped = isinstance(refusal.cause, (KeysRefused, Unreachable))
            tell(Result(step, Outcome.INCOMPLETE, str(refusal)))
        except Forbidden as refusal:
            forbidden.add(step.kind)
            needed = by_kind[step.kind].permission
            tell(Result(step, Outcome.FAILED, f"{refusal}; the application key needs {needed}"))
        except (KeysRefused, Unreachable) as refusal:
            stopped = True
            refused = isinstance(refusal, KeysRefused)
            tell(Result(step, Outcome.FAILED, str(refusal), keys_refused=refused))
        except Refusal as refusal:
            tell(Result(step, Outcome.FAILED, str(refusal)))
        except UNEXPECTED as error:
            words = f"Datadog's answer is not understood ({error!r})"
            tell(Result(step, Outcome.FAILED, words))
        else:
            tell(Result(step, Outcome.DONE, id=made))


def _do(step: Step, resource: Resource) -> str:
    if step.action is Action.CREATE and step.thing is not None:
        new = resource.create(step.thing)
        if new is not None:
            try:
                resource.update(new, resource.body_for(step.thing, new))
            except Refusal as refusal:
                raise Incomplete(refusal) from refusal
            return new.id
    elif step.action is Action.UPDATE and step.thing is not None and step.found is not None:
        resource.update(step.found, resource.body_for(step.thing, step.found))
    elif step.action is Action.DELETE and step.found is not None:
        try:
            resource.delete(step.found)
        except NotThere:
            return ""
    return ""

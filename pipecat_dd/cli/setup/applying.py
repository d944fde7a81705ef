"""Apply a plan: carry out as many of its steps as possible, one after the other."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from pipecat_dd.cli.setup.definition import Kind
from pipecat_dd.cli.setup.errors import (
    UNEXPECTED_ANSWER,
    ForbiddenError,
    IncompleteError,
    KeysRejectedError,
    NotFoundError,
    SetupError,
    UnknownMetricError,
    UnreachableError,
)
from pipecat_dd.cli.setup.planning import Action, Step
from pipecat_dd.cli.setup.resources import Resource


class Outcome(StrEnum):
    """The outcome of a step."""

    DONE = "done"
    LATER = "later"
    INCOMPLETE = "incomplete"
    FAILED = "failed"
    UNTRIED = "untried"


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a step.

    Attributes:
        step: The step.
        outcome: Its outcome.
        words: Why it was not done; empty if it was.
        keys_rejected: Whether it failed because Datadog rejects the keys.
        id: Datadog's id of the object that was created; empty if there is none.
    """

    step: Step
    outcome: Outcome
    words: str = ""
    keys_rejected: bool = False
    id: str = ""


def apply(
    steps: Iterable[Step], by_kind: dict[Kind, Resource], on_result: Callable[[Result], None]
) -> None:
    """Carry out steps.

    If a step fails, the others are still tried, unless Datadog cannot be reached or rejects the
    keys.

    Args:
        steps: The steps, in order.
        by_kind: The resource that handles each kind.
        on_result: Called with the result of each step, as soon as it is known.
    """
    forbidden: set[Kind] = set()
    stopped = False
    for step in steps:
        if stopped or step.kind in forbidden:
            on_result(Result(step, Outcome.UNTRIED))
            continue
        try:
            made = _do(step, by_kind[step.kind])
        except UnknownMetricError as error:
            on_result(Result(step, Outcome.LATER, str(error)))
        except IncompleteError as error:
            stopped = isinstance(error.cause, (KeysRejectedError, UnreachableError))
            on_result(Result(step, Outcome.INCOMPLETE, str(error)))
        except ForbiddenError as error:
            forbidden.add(step.kind)
            needed = by_kind[step.kind].permission
            on_result(Result(step, Outcome.FAILED, f"{error}; the application key needs {needed}"))
        except (KeysRejectedError, UnreachableError) as error:
            stopped = True
            refused = isinstance(error, KeysRejectedError)
            on_result(Result(step, Outcome.FAILED, str(error), keys_rejected=refused))
        except SetupError as error:
            on_result(Result(step, Outcome.FAILED, str(error)))
        except UNEXPECTED_ANSWER as error:
            words = f"Datadog's answer is invalid ({error!r})"
            on_result(Result(step, Outcome.FAILED, words))
        else:
            on_result(Result(step, Outcome.DONE, id=made))


def _do(step: Step, resource: Resource) -> str:
    if step.action is Action.CREATE and step.definition is not None:
        new = resource.create(step.definition)
        if new is not None:
            try:
                resource.update(new, resource.body_for(step.definition, new))
            except SetupError as error:
                raise IncompleteError(error) from error
            return new.id
    elif step.action is Action.UPDATE and step.definition is not None and step.found is not None:
        resource.update(step.found, resource.body_for(step.definition, step.found))
    elif step.action is Action.DELETE and step.found is not None:
        try:
            resource.delete(step.found)
        except NotFoundError:
            return ""
    return ""

"""One value of a metric, before it is sent."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipecat_dd.conversation.model import AttributeValue


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a metric.

    Attributes:
        metric: A name from the contract.
        value: In the metric's unit.
        tags: Tags by their names; one whose value is None is left out.
    """

    metric: str
    value: float
    tags: Mapping[str, AttributeValue | None] = field(default_factory=dict)

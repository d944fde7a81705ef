"""One value of a metric, before it is sent."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipecat_dd.conversation.model import AttributeValue


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a metric.

    Attributes:
        metric: The metric's name, as in the contract.
        value: The value.
        tags: Its tags; None for one that is not known, which is left out.
    """

    metric: str
    value: float
    tags: Mapping[str, AttributeValue | None] = field(default_factory=dict)

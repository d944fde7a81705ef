"""Whether a line or span is found by a search, as Datadog's explorers find it.

With ``@`` an attribute is searched; without it, what is reserved, else a tag. Numbers compare
where they are numbers. What Datadog does not document is not done here.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from lark import Token, Tree

from tests.support import queries

RESERVED_OF_LINES = ("service", "status", "host", "source", "trace_id", "message")
RESERVED_OF_SPANS = ("service", "status", "operation_name", "resource_name")


@dataclass
class Event:
    """A line or a span as the explorer has it.

    Attributes:
        at: When, in seconds.
        reserved: What is searched without ``@`` and is no tag.
        tags: What else is searched without it.
        attributes: What is searched with it, by its path.
    """

    at: float
    reserved: dict[str, str]
    tags: dict[str, str]
    attributes: dict[str, Any] = field(default_factory=dict)

    def value(self, name: str) -> Any:
        """Return what a search's field, or a metric's group, reads; None where there is none."""
        if name.startswith("@"):
            return self.attributes.get(name[1:])
        return self.reserved.get(name, self.tags.get(name))


def flat(fields: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the attributes of an object by their paths: a dot in a name is one step of it."""
    for name, value in fields.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def found(query: str, event: Event) -> bool:
    """Return whether a search finds something.

    Args:
        query: The search.
        event: The line or span.
    """
    if query.strip() in ("", "*"):
        return True
    return _holds(queries.parsed("search", query), event)


def _holds(tree: Tree[Token], event: Event) -> bool:
    below = [one for one in tree.children if isinstance(one, Tree)]
    match tree.data:
        case "and_":
            return all(_holds(one, event) for one in below)
        case "or_":
            return any(_holds(one, event) for one in below)
        case "not_":
            return not _holds(below[-1], event)
        case "field":
            value = event.value(str(tree.children[0])[:-1])
            return value is not None and _is(value, tree.children[1])
        case "text":
            return _words(below[0])[0].lower() in event.reserved.get("message", "").lower()
    raise AssertionError(f"{tree.data} is not known to the simulator")


def _is(value: Any, wanted: Tree[Token] | Token) -> bool:
    if isinstance(wanted, Tree) and wanted.data == "compare":
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return False
        sign, number = str(wanted.children[0]), float(str(wanted.children[1]))
        return {
            ">": value > number,
            "<": value < number,
            ">=": value >= number,
            "<=": value <= number,
        }[sign]
    assert isinstance(wanted, Tree)
    return any(
        re.fullmatch(re.escape(word).replace(r"\*", ".*"), _text(value)) is not None
        for word in _words(wanted)
    )


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _words(tree: Tree[Token]) -> list[str]:
    return [str(token).strip('"') for token in tree.scan_values(lambda _: True)]

"""The definitions of what is created in an organisation, and the marks by which it is found again.

Names are not enough: a team may have its own dashboard called "Pipecat", or a clone of ours. So
everything that is created has a mark. A clone of a dashboard, monitor or pipeline has the same
mark, so their marks contain the id that Datadog gave the original, which a clone does not have.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

Body = dict[str, Any]
"""The body of a request or answer of Datadog's API, as JSON."""

OWNER = "managed-by:pipecat-dd"
"""Part of every mark."""

_IN_TEXT = re.compile(r"managed-by:pipecat-dd pipecat-dd:([\w/.-]+)(?: pipecat-dd-id:([\w-]+))?")


class Kind(StrEnum):
    """The kinds of objects, in the order in which they are created."""

    PIPELINE = "log pipeline"
    LINE_METRIC = "log-based metric"
    SPAN_METRIC = "span-based metric"
    PERCENTILES = "percentiles"
    DESCRIPTION = "metric description"
    MONITOR = "monitor"
    DASHBOARD = "dashboard"
    RETENTION = "retention filter"


@dataclass(frozen=True, slots=True)
class Definition:
    """The definition of an object.

    Attributes:
        kind: Its kind.
        key: Its key, unique within its kind and the same in all versions of this package.
        title: Its name for users.
        body: Its body for Datadog's API. The mark in it contains no id yet.
        scope: The service and environment that it is limited to, such as ``bot/prod``; empty if it
            is not limited.
    """

    kind: Kind
    key: str
    title: str
    body: Body
    scope: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """An existing object that this command created.

    Attributes:
        kind: Its kind.
        key: The key of its definition.
        title: Its name for users.
        body: Its body, as Datadog returned it.
        id: Its id in Datadog.
        scope: The scope of its definition.
        is_signed: Whether its mark contains its id.
    """

    kind: Kind
    key: str
    title: str
    body: Body
    id: str
    scope: str = ""
    is_signed: bool = True


@dataclass(frozen=True, slots=True)
class Mark:
    """The mark of an object that this command created.

    Attributes:
        key: The key of its definition.
        id: The id that Datadog gave the original; None as long as it is unknown.
        scope: The scope of its definition.
    """

    key: str
    id: str | None = None
    scope: str = ""

    def is_original(self, own_id: str) -> bool:
        """Return whether the object with this mark is the original, rather than a clone.

        Args:
            own_id: The object's own id in Datadog.
        """
        return self.id is None or self.id.lower() == own_id.lower()

    def as_text(self) -> str:
        """Return the mark as text, for a description or name."""
        text = f"{OWNER} pipecat-dd:{self.key}"
        return text if self.id is None else f"{text} pipecat-dd-id:{self.id}"

    def as_tags(self) -> list[str]:
        """Return the mark as tags, in lower case as Datadog stores them."""
        tags = [OWNER, f"pipecat-dd:{self.key}"]
        if self.scope:
            tags.append(f"pipecat-dd-scope:{self.scope}")
        if self.id is not None:
            tags.append(f"pipecat-dd-id:{self.id}")
        return [tag.lower() for tag in tags]


def mark_in_text(text: str | None) -> Mark | None:
    """Return the mark in a description or name; None if there is none."""
    found = _IN_TEXT.search(text or "")
    return Mark(found[1], found[2]) if found else None


def mark_in_tags(tags: Iterable[str] | None) -> Mark | None:
    """Return the mark among an object's tags; None if there is none."""
    tags = list(tags or ())
    by_name = dict(tag.partition(":")[::2] for tag in tags)
    if OWNER not in tags or "pipecat-dd" not in by_name:
        return None
    return Mark(
        by_name["pipecat-dd"], by_name.get("pipecat-dd-id"), by_name.get("pipecat-dd-scope", "")
    )

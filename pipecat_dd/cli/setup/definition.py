"""What is made in an organisation, and how it is known again as ours.

A name says nothing: a team may well have a dashboard called "Pipecat" of its own, or a clone of
ours. So everything bears a mark. Dashboards, monitors and pipelines can be cloned, mark and all;
their mark therefore holds the id that Datadog gave the original, which no clone has.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

Body = dict[str, Any]
"""What Datadog's API takes and gives, as JSON."""

OWNER = "managed-by:pipecat-dd"
"""Stands in every mark."""

_IN_TEXT = re.compile(r"managed-by:pipecat-dd pipecat-dd:([\w/.-]+)(?: pipecat-dd-id:([\w-]+))?")


class Kind(StrEnum):
    """The kinds of what is made, in the order in which they are made."""

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
    """Something that is wanted.

    Attributes:
        kind: What it is.
        key: Which one of its kind; stays the same over versions of this package.
        title: What people call it.
        body: Its definition, as Datadog's API takes it, without the mark that holds an id.
        scope: The service and environment it is for, where it is for one: ``bot/prod``.
    """

    kind: Kind
    key: str
    title: str
    body: Body
    scope: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """Something of ours that is in the organisation.

    Attributes:
        kind: What it is.
        key: Which one of its kind.
        title: What people call it.
        body: Its definition, as Datadog gives it.
        id: Datadog's id of it.
        scope: The service and environment it is for, where it is for one.
        is_signed: Whether its mark is complete.
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
    """What says that something is ours, and which it is.

    Attributes:
        key: Which one of its kind.
        id: Datadog's id of the one that was made; None before it is known.
        scope: The service and environment it is for, where it is for one.
    """

    key: str
    id: str | None = None
    scope: str = ""

    def is_of(self, own_id: str) -> bool:
        """Return whether what bears this mark is what was made, rather than a clone of it.

        Args:
            own_id: Datadog's id of what bears the mark.
        """
        return self.id is None or self.id.lower() == own_id.lower()

    def as_text(self) -> str:
        """Return the mark as it stands in a description."""
        text = f"{OWNER} pipecat-dd:{self.key}"
        return text if self.id is None else f"{text} pipecat-dd-id:{self.id}"

    def as_tags(self) -> list[str]:
        """Return the mark as tags, which Datadog has in lower case."""
        tags = [OWNER, f"pipecat-dd:{self.key}"]
        if self.scope:
            tags.append(f"pipecat-dd-scope:{self.scope}")
        if self.id is not None:
            tags.append(f"pipecat-dd-id:{self.id}")
        return [tag.lower() for tag in tags]


def mark_in_text(text: str | None) -> Mark | None:
    """Return the mark that stands in a description or name.

    Args:
        text: The description.
    """
    found = _IN_TEXT.search(text or "")
    return Mark(found[1], found[2]) if found else None


def mark_in_tags(tags: Iterable[str] | None) -> Mark | None:
    """Return the mark that is made of tags.

    Args:
        tags: All tags of something.
    """
    tags = list(tags or ())
    by_name = dict(tag.partition(":")[::2] for tag in tags)
    if OWNER not in tags or "pipecat-dd" not in by_name:
        return None
    return Mark(
        by_name["pipecat-dd"], by_name.get("pipecat-dd-id"), by_name.get("pipecat-dd-scope", "")
    )

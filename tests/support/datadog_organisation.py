"""What is in an organisation of Datadog's, as the server in ``datadog_api`` holds it."""

import copy
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

API_KEY = "a" * 16 + "0123456789abcdef"
APP_KEY = "b" * 24 + "0123456789abcdef"

Json = dict[str, Any]


@dataclass
class Refusal:
    """An answer instead of the one that was asked for."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    after: bool = False
    """Whether the request is carried out all the same."""


@dataclass
class DatadogApi:
    """What is in the organisation, and what was asked of it."""

    url: str = ""
    dashboards: dict[str, Json] = field(default_factory=dict)
    monitors: dict[str, Json] = field(default_factory=dict)
    pipelines: dict[str, Json] = field(default_factory=dict)
    line_metrics: dict[str, Json] = field(default_factory=dict)
    span_metrics: dict[str, Json] = field(default_factory=dict)
    retention_filters: dict[str, Json] = field(default_factory=dict)
    tag_configurations: dict[str, Json] = field(default_factory=dict)
    descriptions: dict[str, Json] = field(default_factory=dict)
    unknown_metrics: set[str] = field(default_factory=set)
    requests: list[tuple[str, str]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    refusals: dict[int, Refusal] = field(default_factory=dict)
    forbidden: tuple[str, ...] = ()
    read_only: tuple[str, ...] = ()
    answers: dict[str, str] = field(default_factory=dict)
    bad_words: str = "Forbidden"
    ids: Iterator[int] = field(default_factory=lambda: itertools.count(1000))

    def clear(self) -> None:
        """Forget everything."""
        fresh = DatadogApi(url=self.url)
        for name in vars(fresh):
            setattr(self, name, getattr(fresh, name))

    def everything(self) -> Json:
        """Return all that is in the organisation."""
        return copy.deepcopy(
            {
                name: getattr(self, name)
                for name in (
                    "dashboards",
                    "monitors",
                    "pipelines",
                    "line_metrics",
                    "span_metrics",
                    "retention_filters",
                    "tag_configurations",
                    "descriptions",
                )
            }
        )

    def refuse(self, nth: int, status: int, *, after: bool = False, **headers: str) -> None:
        """Refuse the n-th request from now, counted from 1."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.refusals[len(self.requests) + nth] = Refusal(status, named, after)

    def changes(self) -> list[tuple[str, str]]:
        """Return the requests that change something."""
        return [
            (method, path)
            for method, path in self.requests
            if method != "GET" and not path.endswith("/validate")
        ]

    def next_id(self, prefix: str = "") -> str:
        """Return an id as Datadog gives them: of small letters and capitals where it is text."""
        number = next(self.ids)
        return f"{prefix}{number}" if prefix else str(number)

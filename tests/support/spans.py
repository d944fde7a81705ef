"""A session's spans as a tree that a test can compare as a whole."""

import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from pipecat_dd.conversation.model import Kind
from pipecat_dd.names.tags import tags_of


@dataclass
class Span:
    """One span, as it arrived."""

    raw: dict[str, Any]
    children: "list[Span]" = field(default_factory=list)
    parent: "Span | None" = None

    @property
    def id(self) -> int:
        return int(self.raw["span_id"])

    @property
    def parent_id(self) -> int:
        return int(self.raw.get("parent_id") or 0)

    @property
    def name(self) -> str:
        return str(self.raw["name"])

    @property
    def resource(self) -> str:
        return str(self.raw["resource"])

    @property
    def start_ns(self) -> int:
        return int(self.raw["start"])

    @property
    def end_ns(self) -> int:
        return self.start_ns + int(self.raw["duration"])

    @property
    def secs(self) -> float:
        return int(self.raw["duration"]) / 1e9

    @property
    def error(self) -> bool:
        return bool(self.raw.get("error"))

    @property
    def tags(self) -> dict[str, Any]:
        """Tags and metrics."""
        return {**(self.raw.get("meta") or {}), **(self.raw.get("metrics") or {})}

    def __getitem__(self, tag: str) -> Any:
        return self.tags[tag]

    def get(self, tag: str) -> Any:
        return self.tags.get(tag)

    def walk(self) -> "Iterator[Span]":
        yield self
        for child in self.children:
            yield from child.walk()


def _place(span: Span) -> tuple[int, bool, str, int]:
    """What spans are sorted by; what begins with the user's speech comes after it, by name."""
    return (span.start_ns, span.name != "pipecat.user_speech", span.resource, span.end_ns)


class Trace:
    """The spans of one trace id."""

    def __init__(self, raw: Iterable[dict[str, Any]]) -> None:
        self.spans = sorted((Span(span) for span in raw), key=_place)
        self.by_id = {span.id: span for span in self.spans}
        self.roots: list[Span] = []
        for span in self.spans:
            span.parent = self.by_id.get(span.parent_id)
            (span.parent.children if span.parent else self.roots).append(span)

    @property
    def id(self) -> str:
        """The trace id as in log lines: 32 hexadecimal digits."""
        high = next((s.tags["_dd.p.tid"] for s in self.spans if s.get("_dd.p.tid")), "0" * 16)
        return f"{high}{int(self.spans[0].raw['trace_id']):016x}"

    def named(self, name: str, resource: str | None = None) -> list[Span]:
        """Return the spans of a name, in order."""
        return [
            span
            for span in self.spans
            if span.name == name and (resource is None or span.resource == resource)
        ]

    def one(self, name: str, resource: str | None = None) -> Span:
        """Return the only span of a name."""
        found = self.named(name, resource)
        assert len(found) == 1, f"{len(found)} spans {name} {resource or ''} in\n{self.outline()}"
        return found[0]

    def outline(self, keep: Callable[[Span], bool] = lambda _: True) -> str:
        """Return the tree as text, a line a span: name, resource, marks."""
        lines: list[str] = []

        def add(span: Span, depth: int) -> None:
            if keep(span):
                marks = " !" if span.error else ""
                marks += " ~" if span.get("interrupted") == "true" else ""
                lines.append(
                    f"{'  ' * depth}{span.name.removeprefix('pipecat.')} [{span.resource}]{marks}"
                )
                depth += 1
            for child in span.children:
                add(child, depth)

        for root in self.roots:
            add(root, 0)
        return "\n".join(lines)

    def check(self) -> None:
        """Assert what holds of every trace."""
        session = self.one("pipecat.session")
        for span in self.spans:
            assert span.raw["duration"] >= 0, f"{span.name} ends before it starts"
            assert span is session or span.parent is not None, (
                f"{span.name} [{span.resource}] has a parent that is not there"
            )
            if span.name.startswith("pipecat."):
                unknown = set(undocumented(span))
                assert not unknown, f"{span.name} has tags that are not documented: {unknown}"
                assert span.start_ns >= session.start_ns, f"{span.name} starts before its session"
                # ddtrace keeps times as seconds in a float on their way.
                assert span.end_ns <= session.end_ns + 1_000, f"{span.name} ends after its session"
                if span.parent is not None and span.parent.name.startswith("pipecat."):
                    assert span.start_ns >= span.parent.start_ns - 1_000, (
                        f"{span.name} [{span.resource}] starts before its {span.parent.name}"
                    )
        turns = self.named("pipecat.turn")
        for before, after in itertools.pairwise(turns):
            assert before.end_ns <= after.start_ns + 1_000, "turns overlap"


DDTRACES = re.compile(
    r"_dd\.|_sampling_priority|runtime-id$|process_id$|language$|env$|version$|tier$"
)
"""Tags that ddtrace sets, and those that tests do."""


def undocumented(span: Span) -> Iterator[str]:
    """Yield the tags of a span that its documentation does not have."""
    kind = Kind(span.name.removeprefix("pipecat."))
    documented = [
        re.compile(re.sub(r"<.*?>", ".+", re.escape(tag.name)) + "$") for tag in tags_of(kind)
    ]
    for name in span.tags:
        if not DDTRACES.match(name) and not any(tag.match(name) for tag in documented):
            yield name


def trace_of(spans: Iterable[dict[str, Any]], session_id: str) -> Trace | None:
    """Return the trace that a session's spans are in."""
    spans = list(spans)
    ids = {s["trace_id"] for s in spans if (s.get("meta") or {}).get("session_id") == session_id}
    if not ids:
        return None
    assert len(ids) == 1, f"session {session_id} has spans in {len(ids)} traces"
    return Trace(span for span in spans if span["trace_id"] in ids)

"""What was seen of a session: its spans as a tree, and its lines by the span that wrote them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from pipecat_dd.names import fields
from pipecat_dd.names.spans import Kind, span_name

Line = dict[str, Any]
"""A log line, as the JSON object that would have been written."""


@dataclass(eq=False)
class SeenSpan:
    """A span that was finished.

    Attributes:
        name: Its operation, such as ``pipecat.llm``.
        resource: Its resource.
        service: Its service, where one is set.
        span_id: Its id.
        parent_id: Its parent's id; 0 where it has none.
        trace_id: The id of its trace, 128 bits.
        start_ns: When it began, in nanoseconds since the epoch.
        duration_ns: How long it took, in nanoseconds.
        is_error: Whether it failed.
        tags: Its tags, and its metrics as numbers.
        parent: The span it is part of; None for a session's, and where the parent was not
            finished within the block.
        children: The spans that are part of it, in the order of their beginning.
        lines: The log lines that carry its id, in the order they were written.
    """

    name: str
    resource: str
    service: str | None
    span_id: int
    parent_id: int
    trace_id: int
    start_ns: int
    duration_ns: int
    is_error: bool
    tags: dict[str, str | float]
    parent: "SeenSpan | None" = field(default=None, repr=False)
    children: "list[SeenSpan]" = field(default_factory=list, repr=False)
    lines: list[Line] = field(default_factory=list, repr=False)

    @property
    def secs(self) -> float:
        """How long it took, in seconds."""
        return self.duration_ns / 1e9

    @property
    def end_ns(self) -> int:
        """When it ended, in nanoseconds since the epoch."""
        return self.start_ns + self.duration_ns

    def walk(self) -> "Iterator[SeenSpan]":
        """Yield the span, and all that is part of it."""
        yield self
        for child in self.children:
            yield from child.walk()


class SeenSession:
    """One session: its spans and its lines.

    Attributes:
        id: The session's id.
        spans: All its spans, in the order of their beginning: this package's, and those of
            ddtrace's integrations and your own within them.
        lines: All lines that carry its id, in the order they were written.
    """

    def __init__(self, session_id: str, spans: Iterable[SeenSpan], lines: list[Line]) -> None:
        self.id = session_id
        self.lines = lines
        self.spans = _as_tree(spans)
        by_id = {str(span.span_id): span for span in self.spans}
        self._by_id = by_id
        for line in lines:
            span = by_id.get(line.get(fields.DD_SPAN_ID, ""))
            if span is not None:
                span.lines.append(line)

    @property
    def root(self) -> SeenSpan:
        """The session's own span.

        Raises:
            LookupError: It was not finished within the block.
        """
        return self.one(span_name(Kind.SESSION))

    @property
    def errors(self) -> list[SeenSpan]:
        """The spans that failed."""
        return [span for span in self.spans if span.is_error]

    def named(self, name: str, resource: str | None = None) -> list[SeenSpan]:
        """Return the spans of a name, in the order of their beginning.

        Args:
            name: The span's name, such as ``pipecat.turn``.
            resource: Only those of this resource, if given.
        """
        return [
            span
            for span in self.spans
            if span.name == name and (resource is None or span.resource == resource)
        ]

    def one(self, name: str, resource: str | None = None) -> SeenSpan:
        """Return the only span of a name.

        Args:
            name: The span's name.
            resource: Its resource, if there are others of that name.

        Raises:
            LookupError: There is none, or there are several; shows what there is.
        """
        found = self.named(name, resource)
        if len(found) != 1:
            what = name if resource is None else f"{name} [{resource}]"
            raise LookupError(f"{len(found)} spans {what} in session {self.id}:\n{self.outline()}")
        return found[0]

    def saying(self, text: str) -> list[Line]:
        """Return the lines whose message contains a text.

        Args:
            text: The text.
        """
        return [line for line in self.lines if text in line[fields.MESSAGE]]

    def span_of(self, line: Line) -> SeenSpan:
        """Return the span that a line carries the id of.

        Args:
            line: One of the session's lines.

        Raises:
            LookupError: It carries none, or one that was not finished within the block.
        """
        span = self._by_id.get(line.get(fields.DD_SPAN_ID, ""))
        if span is None:
            raise LookupError(f"no finished span has the id on this line: {line}")
        return span

    def outline(self) -> str:
        """Return the tree as text, a span on each line: name, resource, and ``!`` if it failed."""
        lines: list[str] = []

        def add(span: SeenSpan, depth: int) -> None:
            mark = " !" if span.is_error else ""
            lines.append(f"{'  ' * depth}{span.name} [{span.resource}]{mark}")
            for child in span.children:
                add(child, depth + 1)

        for span in self.spans:
            if span.parent is None:
                add(span, 0)
        return "\n".join(lines)


def _as_tree(spans: Iterable[SeenSpan]) -> list[SeenSpan]:
    """Return spans in the order of their beginning, tied to parents and children."""
    ordered = sorted(spans, key=lambda span: (span.start_ns, -span.end_ns))
    by_id = {span.span_id: span for span in ordered}
    for span in ordered:
        span.parent, span.children, span.lines = None, [], []
    for span in ordered:
        parent = by_id.get(span.parent_id)
        if parent is not None and parent is not span:
            span.parent = parent
            parent.children.append(span)
    return ordered

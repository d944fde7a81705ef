"""A captured session: a tree of spans, each with the log lines that it wrote."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from pipecat_dd.names import fields
from pipecat_dd.names.spans import Kind, span_name
from pipecat_dd.settings.checks import require_string, shown

Line = dict[str, Any]
"""A log line, as a JSON object."""


@dataclass(eq=False)
class SeenSpan:
    """A finished span.

    Attributes:
        name: The operation name, such as ``pipecat.llm``.
        resource: The resource.
        service: The service; None if none is set.
        span_id: The span id.
        parent_id: The span id of the parent; 0 if there is none.
        trace_id: The trace id, 128 bits.
        start_ns: The start, in nanoseconds since the epoch.
        duration_ns: The duration, in nanoseconds.
        is_error: Whether the span failed.
        tags: The tags, with numeric values for metrics.
        parent: The parent; None for a session, and if the parent did not finish within the block.
        children: The child spans, ordered by start.
        lines: The log lines with the span's id, in the order they were written.
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
        """The duration, in seconds."""
        return self.duration_ns / 1e9

    @property
    def end_ns(self) -> int:
        """The end, in nanoseconds since the epoch."""
        return self.start_ns + self.duration_ns

    def walk(self) -> "Iterator[SeenSpan]":
        """Yield the span and all its descendants, parents first."""
        yield self
        for child in self.children:
            yield from child.walk()


class SeenSession:
    """The spans and log lines of a session.

    Attributes:
        id: The session's id.
        spans: All spans of its trace, ordered by start. They include spans of ddtrace's
            integrations and your own.
        lines: All log lines with the session's id, in the order they were written.
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
            LookupError: The session did not end within the block.
        """
        return self.one(span_name(Kind.SESSION))

    @property
    def errors(self) -> list[SeenSpan]:
        """All failed spans."""
        return [span for span in self.spans if span.is_error]

    def named(self, name: str, resource: str | None = None) -> list[SeenSpan]:
        """Return the spans with a name, ordered by start.

        Args:
            name: The operation name, such as ``pipecat.turn``.
            resource: The resource; None for any resource.

        Raises:
            TypeError: An argument is not a string.
        """
        require_string("name", name)
        if resource is not None:
            require_string("resource", resource)
        return [
            span
            for span in self.spans
            if span.name == name and (resource is None or span.resource == resource)
        ]

    def one(self, name: str, resource: str | None = None) -> SeenSpan:
        """Return the only span with a name.

        Args:
            name: The operation name, such as ``pipecat.turn``.
            resource: The resource; None for any resource.

        Raises:
            LookupError: There is not exactly one such span. The message shows the whole tree.
        """
        found = self.named(name, resource)
        if len(found) != 1:
            with_resource = "" if resource is None else f", resource={shown(resource)}"
            raise LookupError(
                f"name={shown(name)}{with_resource}: must be exactly one span, and {len(found)} "
                f"are in session {shown(self.id, is_id=True)}:\n{self.outline()}"
            )
        return found[0]

    def saying(self, text: str) -> list[Line]:
        """Return the log lines whose message contains a text.

        Args:
            text: The text; upper and lower case differ.

        Raises:
            TypeError: It is not a string.
        """
        require_string("text", text)
        return [line for line in self.lines if text in line[fields.MESSAGE]]

    def span_of(self, line: Line) -> SeenSpan:
        """Return the span that wrote a log line of the session.

        Args:
            line: One of `lines`.

        Raises:
            LookupError: The line has no span id, or its span did not finish within the block.
            TypeError: It is not a log line.
        """
        if not isinstance(line, dict):
            raise TypeError(f"line={shown(line)}: must be one of the session's lines")
        span = self._by_id.get(line.get(fields.DD_SPAN_ID, ""))
        if span is None:
            raise LookupError(f"line={shown(line)}: must have the id of a span that has finished")
        return span

    def outline(self) -> str:
        """Return the tree as text, one span per line: name, resource, and ``!`` if it failed."""
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
    """Return spans ordered by start, and set their parents and children."""
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

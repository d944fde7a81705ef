"""A trace as text that a test can compare as a whole: names, resources, parents, tags."""

import re
from collections.abc import Callable

from tests.support.spans import Span, Trace
from tests.support.versions import PIPECAT

TOLD = (
    "error.type",
    "error.category",
    "processor.usable",
    "gen_ai.output.type",
    "llm.outcome",
    "tool.outcome",
    "turn.outcome",
)
"""The tags that a line of the tree ends with, where the span has them."""


def matters(span: Span) -> bool:
    """Whether a span is told whatever the machine's speed: startup is only where it failed."""
    if span.name == "pipecat.startup":
        return span.error
    if span.name == "pipecat.blocked":
        return False  # on a busy machine even a small step may take too long
    if span.resource.startswith("QuickOutput "):
        return False  # the tests' own output counts as a processor of the user's
    return span.name.startswith(("pipecat.", "openai."))


def stages(span: Span) -> bool:
    """Whether a span is a stage of the conversation, or a call to a provider in one."""
    return matters(span) and span.name not in ("pipecat.frame", "pipecat.service.event")


def tree(trace: Trace, keep: Callable[[Span], bool] = matters, tags: tuple[str, ...] = TOLD) -> str:
    """Return a trace as text, a line a span: name, resource, error, interruption, tags."""
    lines: list[str] = []

    def add(span: Span, depth: int) -> None:
        if keep(span):
            line = f"{'  ' * depth}{span.name.removeprefix('pipecat.')} [{span.resource}]"
            line += " !" if span.error else ""
            line += " ~" if span.get("interrupted") == "true" else ""
            for tag in tags:
                if tag in span.tags and not (span.name.startswith("openai.") and "error" in tag):
                    line += f" {tag.rpartition('.')[2]}:{span[tag]}"
            lines.append(line)
            depth += 1
        for child in span.children:
            add(child, depth)

    for root in trace.roots:
        add(root, 0)
    return "\n".join(lines)


def as_told_here(expected: str) -> str:
    """Return a tree without what the installed Pipecat does not say of errors."""
    return expected if PIPECAT >= (1, 8) else re.sub(r" (category|usable):\S+", "", expected)

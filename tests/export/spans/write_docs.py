"""Write the tables of docs/spans.md anew: ``python -m tests.export.spans.write_docs``."""

import re
from collections.abc import Iterable
from pathlib import Path

from pipecat_dd.names.spans import SPANS, span_name
from pipecat_dd.names.tags import TAGS, TagDoc

DOCS = Path(__file__).parents[3] / "docs" / "spans.md"

MANY = 4
"""A tag of more spans than this is in one table, instead of one for each of them."""


def written(text: str) -> str:
    """Return the page with the parts that are written from the names.

    Args:
        text: The page, with a comment before and after each of these parts.
    """
    for part, content in (("spans", _span_table()), ("tags", _tag_tables())):
        mark = f"<!-- {part}: written by tests/export/spans/write_docs.py -->"
        end = f"<!-- end of {part} -->"
        before, found, rest = text.partition(mark)
        _, found_end, after = rest.partition(end)
        if not (found and found_end):
            raise ValueError(f"{DOCS.name} has no place for {part}")
        text = f"{before}{mark}\n\n{content}\n\n{end}{after}"
    return text


def _tag_tables() -> str:
    """Return the tables of tags: those of every span, those of many, then those of each span."""
    parts = [
        "## Tags",
        "The unit `tag` stands for text. With any other unit, the tag is a metric of the span: a "
        "number that can be compared. A tag without a value is absent. Long values are cut: "
        "[reliability.md](reliability.md).",
        "### On every span",
        _tag_table(tag for tag in TAGS if not tag.on),
    ]
    shared = [tag for tag in TAGS if len(tag.on) > MANY]
    for kinds in dict.fromkeys(tag.on for tag in shared):
        spans = ", ".join(f"`{span_name(kind)}`" for kind in kinds)
        rows = _tag_table(tag for tag in shared if tag.on == kinds)
        parts += ["### On many spans", f"On {spans}:", rows]
    for span in SPANS:
        on_it = [tag for tag in TAGS if span.kind in tag.on and tag not in shared]
        if on_it:
            parts += [f"### On `{span_name(span.kind)}`", _tag_table(on_it)]
    return "\n\n".join(parts)


def _span_table() -> str:
    rows = ["| span | resource | begins | ends |", "| --- | --- | --- | --- |"]
    rows += [
        f"| `{span_name(span.kind)}` | {span.resource} | {span.opens} | {span.closes} |"
        for span in SPANS
    ]
    return "\n".join(rows)


def _tag_table(tags: Iterable[TagDoc]) -> str:
    rows = ["| name | unit | meaning |", "| --- | --- | --- |"]
    rows += [f"| `{tag.name}` | {tag.unit or 'tag'} | {tag.meaning} |" for tag in tags]
    return "\n".join(rows)


def examples() -> list[str]:
    """Return the page's blocks of Python."""
    return re.findall(r"```python\n(.*?)```", DOCS.read_text("utf8"), re.S)


if __name__ == "__main__":
    DOCS.write_text(written(DOCS.read_text("utf8")), "utf8")

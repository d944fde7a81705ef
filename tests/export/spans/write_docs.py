"""Write the tables of docs/spans.md anew: ``python -m tests.export.spans.write_docs``."""

from pathlib import Path

from pipecat_dd.names.spans import SPANS, Kind, span_name
from pipecat_dd.names.tags import TAGS

DOCS = Path(__file__).parents[3] / "docs" / "spans.md"
MARK = "<!-- written by tests/export/spans/write_docs.py -->"


def tables() -> str:
    """Return the part of ``docs/spans.md`` that is written from the names."""
    parts = ["## Spans", _span_table(), "## On every span", _tag_table(None)]
    for span in SPANS:
        if any(span.kind in tag.on for tag in TAGS):
            parts += [f"## On `{span_name(span.kind)}`", _tag_table(span.kind)]
    return "\n\n".join(parts) + "\n"


def _span_table() -> str:
    rows = ["| span | resource | opens | closes |", "| --- | --- | --- | --- |"]
    rows += [
        f"| `{span_name(span.kind)}` | {span.resource} | {span.opens} | {span.closes} |"
        for span in SPANS
    ]
    return "\n".join(rows)


def _tag_table(kind: Kind | None) -> str:
    rows = ["| name | unit | meaning |", "| --- | --- | --- |"]
    rows += [
        f"| `{tag.name}` | {tag.unit or 'tag'} | {tag.meaning} |"
        for tag in TAGS
        if (kind in tag.on if kind is not None else not tag.on)
    ]
    return "\n".join(rows)


if __name__ == "__main__":
    before = DOCS.read_text(encoding="utf-8").partition(MARK)[0]
    DOCS.write_text(f"{before}{MARK}\n\n{tables()}", encoding="utf-8")

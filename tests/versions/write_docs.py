"""Write the tables of docs/pipecat-coverage.md anew: ``python -m tests.versions.write_docs``."""

from itertools import groupby
from pathlib import Path

from tests.versions.coverage import EVENTS, FRAMES, METRICS, Group, How

DOCS = Path(__file__).parents[2] / "docs" / "pipecat-coverage.md"
MARK = "<!-- written by tests/versions/write_docs.py -->"


def tables() -> str:
    """Return the part of the page that is written from the table."""
    parts = ["## Frames", _table(FRAMES), "## Metrics", _table(METRICS), "## Events"]
    for part, groups in EVENTS.items():
        parts += [f"### Of `pipecat.{part}`", _table(groups)]
    return "\n\n".join(parts) + "\n"


def _table(groups: tuple[Group, ...]) -> str:
    rows = ["| what becomes of them | which |", "| --- | --- |"]
    in_order = sorted(groups, key=lambda group: list(How).index(group[0].how))
    for how, those in groupby(in_order, key=lambda group: group[0].how):
        for fate, names in those:
            listed = ", ".join(f"`{name}`" for name in names.split())
            rows.append(f"| **{how.value}**: {fate.words} | {listed} |")
    return "\n".join(rows)


if __name__ == "__main__":
    before = DOCS.read_text(encoding="utf-8").partition(MARK)[0]
    DOCS.write_text(f"{before}{MARK}\n\n{tables()}", encoding="utf-8")

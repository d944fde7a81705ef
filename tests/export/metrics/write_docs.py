"""Write the table of docs/metrics.md anew: ``python -m tests.export.metrics.write_docs``."""

from pathlib import Path

from pipecat_dd.names.metrics import METRICS

DOCS = Path(__file__).parents[3] / "docs" / "metrics.md"
MARK = "<!-- written by tests/export/metrics/write_docs.py -->"


def tables() -> str:
    """Return the part of ``docs/metrics.md`` that is written from the names."""
    rows = ["| metric | type | unit | tags | meaning |", "| --- | --- | --- | --- | --- |"]
    for metric in METRICS:
        tags = ", ".join(f"`{tag}`" for tag in metric.tags) or "none"
        cells = (f"`{metric.name}`", metric.type, metric.unit, tags, metric.meaning)
        rows.append(f"| {' | '.join(cells)} |")
    return "## Metrics\n\n" + "\n".join(rows) + "\n"


if __name__ == "__main__":
    before = DOCS.read_text(encoding="utf-8").partition(MARK)[0]
    DOCS.write_text(f"{before}{MARK}\n\n{tables()}", encoding="utf-8")

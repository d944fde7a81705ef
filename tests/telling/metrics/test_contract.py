"""What is documented is what is defined."""

from pathlib import Path

from pipecat_dd.telling.metrics import contract
from pipecat_dd.telling.metrics.values import MAX_VALUES

DOCS = Path(__file__).parents[3] / "docs" / "metrics.md"


def test_the_document_has_the_table_of_the_definitions() -> None:
    text = DOCS.read_text(encoding="utf-8")
    assert contract.tables() in text, (
        "docs/metrics.md is behind: python -m tests.telling.metrics.write_docs"
    )


def test_the_document_names_the_limit_of_values() -> None:
    assert f"at most {MAX_VALUES} values" in DOCS.read_text(encoding="utf-8")


def test_no_metric_is_defined_twice() -> None:
    names = [metric.name for metric in contract.METRICS]
    assert len(names) == len(set(names))


def test_no_tag_is_one_that_every_metric_has() -> None:
    for metric in contract.METRICS:
        assert not set(metric.tags) & set(contract.UNIFIED), metric.name

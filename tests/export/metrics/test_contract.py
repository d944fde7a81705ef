"""What is documented is what is defined."""

import re
from pathlib import Path

from pipecat_dd.export.metrics import contract, stages
from pipecat_dd.export.metrics.values import MAX_VALUES
from pipecat_dd.export.spans import contract as spans

DOCS = Path(__file__).parents[3] / "docs" / "metrics.md"


def test_the_document_has_the_table_of_the_definitions() -> None:
    text = DOCS.read_text(encoding="utf-8")
    assert contract.tables() in text, (
        "docs/metrics.md is behind: python -m tests.export.metrics.write_docs"
    )


def test_the_document_names_the_limit_of_values() -> None:
    assert f"at most {MAX_VALUES} values" in DOCS.read_text(encoding="utf-8")


def test_every_kind_of_token_that_spans_have_is_counted_under_a_type_that_is_documented() -> None:
    on_spans = {tag.name for tag in spans.TAGS if tag.name.startswith("gen_ai.usage.")}
    assert set(stages._TOKENS.values()) == on_spans
    (tokens,) = (metric for metric in contract.METRICS if metric.name == "pipecat.tokens")
    assert set(stages._TOKENS) == set(re.findall(r"`(\w+)`", tokens.meaning)) - {"type"}


def test_no_metric_is_defined_twice() -> None:
    names = [metric.name for metric in contract.METRICS]
    assert len(names) == len(set(names))


def test_no_tag_is_one_that_every_metric_has() -> None:
    for metric in contract.METRICS:
        assert not set(metric.tags) & set(contract.UNIFIED), metric.name

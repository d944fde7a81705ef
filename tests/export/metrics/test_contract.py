"""What is documented is what is defined."""

import re

from pipecat_dd.export.metrics import stages
from pipecat_dd.export.metrics.values import MAX_VALUES
from pipecat_dd.names.metric_tags import UNIFIED
from pipecat_dd.names.metrics import METRICS
from pipecat_dd.names.tags import TAGS
from tests.export.metrics.write_docs import DOCS, tables


def test_the_document_has_the_table_of_the_definitions() -> None:
    text = DOCS.read_text(encoding="utf-8")
    assert tables() in text, "docs/metrics.md is behind: python -m tests.write_docs"


def test_the_document_names_the_limit_of_values() -> None:
    assert f"at most {MAX_VALUES} values" in DOCS.read_text(encoding="utf-8")


def test_every_kind_of_token_that_spans_have_is_counted_under_a_type_that_is_documented() -> None:
    on_spans = {tag.name for tag in TAGS if tag.name.startswith("gen_ai.usage.")}
    assert set(stages._TOKENS.values()) == on_spans
    (tokens,) = (metric for metric in METRICS if metric.name == "pipecat.tokens")
    assert set(stages._TOKENS) == set(re.findall(r"`(\w+)`", tokens.meaning)) - {"type"}


def test_no_metric_is_defined_twice() -> None:
    names = [metric.name for metric in METRICS]
    assert len(names) == len(set(names))


def test_no_tag_is_one_that_every_metric_has() -> None:
    for metric in METRICS:
        assert not set(metric.tags) & set(UNIFIED), metric.name

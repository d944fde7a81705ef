"""What is documented is what is defined; what is sent is held against it in ``Trace.check``."""

import re
from pathlib import Path

import pipecat_dd
from pipecat_dd.names.spans import SPANS, Kind, span_name
from pipecat_dd.names.tags import ERROR_TYPE, TAGS
from tests.export.spans.write_docs import DOCS, examples, written


def test_the_document_has_the_tables_of_the_definitions() -> None:
    text = DOCS.read_text(encoding="utf-8")
    assert text == written(text), "docs/spans.md is behind: python -m tests.write_docs"


def test_every_type_of_error_without_an_exception_is_in_the_table() -> None:
    (doc,) = (tag for tag in TAGS if tag.name == ERROR_TYPE)
    found = set()
    for path in Path(pipecat_dd.__file__).parent.rglob("*.py"):
        if "cli" in path.parts:
            continue
        for name in re.findall(
            r"Failure\(\s*\"(\w+)\"|_failure\(error, \"(\w+)\"", path.read_text("utf8")
        ):
            found |= set(filter(None, name))
    assert found == set(re.findall(r"`(\w+)`", doc.meaning))


def test_the_tree_names_every_span() -> None:
    tree = DOCS.read_text(encoding="utf-8").partition("```\n")[2].partition("```")[0]
    assert {span_name(span.kind) for span in SPANS} == set(re.findall(r"pipecat\.[a-z_.]+", tree))


def test_the_examples_run_where_there_is_no_session() -> None:
    for code in examples():
        exec(code, {})


def test_every_kind_of_stage_is_documented() -> None:
    assert {span.kind for span in SPANS} == set(Kind)


def test_no_tag_is_defined_twice() -> None:
    names = [tag.name for tag in TAGS]
    assert len(names) == len(set(names))

"""What is documented is what is defined; what is sent is held against it in ``Trace.check``."""

from pipecat_dd.names.spans import SPANS, Kind
from pipecat_dd.names.tags import TAGS
from tests.export.spans.write_docs import DOCS, tables


def test_the_document_has_the_tables_of_the_definitions() -> None:
    text = DOCS.read_text(encoding="utf-8")
    assert tables() in text, "docs/spans.md is behind: python -m tests.export.spans.write_docs"


def test_every_kind_of_stage_is_documented() -> None:
    assert {span.kind for span in SPANS} == set(Kind)


def test_no_tag_is_defined_twice() -> None:
    names = [tag.name for tag in TAGS]
    assert len(names) == len(set(names))

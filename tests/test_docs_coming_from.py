"""What the guides for newcomers say to write instead parses, and names what is sent."""

import re
from pathlib import Path

import pytest
from loguru import logger

from pipecat_dd.cli.setup.definitions import wanted
from pipecat_dd.cli.setup.options import Options
from pipecat_dd.export.notices import REPLACED
from tests.cli.setup.naming import Checker
from tests.support import queries

DOCS = Path(__file__).parent.parent / "docs"
TEXT = (DOCS / "coming-from.md").read_text("utf8")
OLD_FIELDS = (
    *("timestamp", "levelname", "name", "function", "line", "message", "session_id"),
    *("dd.trace_id", "dd.span_id"),
)


def instead(heading: str) -> list[str]:
    """Return what stands in the last cell of each row below a heading."""
    section = TEXT.partition(heading)[2].partition("\n#")[0]
    rows = [row.strip("|").split(" | ") for row in section.splitlines() if row.startswith("| ")]
    return [code for row in rows[2:] for code in re.findall(r"`([^`]+)`", row[-1])]


@pytest.mark.parametrize("query", instead("### Queries"))
def test_a_query_of_lines_to_write_instead_names_what_is_sent(query: str) -> None:
    checker = Checker()
    for use in queries.search(query):
        if use.name != "trace_id":
            checker.field("guide", "lines", use.name, values=use.values)
    assert checker.wrong == []
    assert "@dd." not in query


@pytest.mark.parametrize(
    "query", [one for one in instead("| your query in the Trace") if ":" in one] or ["none"]
)
def test_a_query_of_spans_to_write_instead_names_what_is_sent(query: str) -> None:
    checker = Checker()
    uses = queries.search(query)
    kinds = {value for use in uses if use.name == "operation_name" for value in use.values}
    for use in uses:
        values = () if use.name == "@session_id" else use.values
        checker.field("guide", "spans", use.name, kinds, values, use.is_number)
    assert checker.wrong == []


def test_every_field_of_an_older_guide_is_told_of() -> None:
    for field in OLD_FIELDS:
        assert f"`{field}`" in TEXT, field
    for name in REPLACED:
        assert f"`{name}" in TEXT, name


def test_the_monitors_that_are_named_are_made() -> None:
    made = {thing.key for thing in wanted(Options())}
    named = [one for one in instead("### Alerts") if "-" in one and " " not in one]
    assert len(named) >= 5
    assert set(named) <= made


def test_a_format_that_returns_none_raises_as_it_says(capfd: pytest.CaptureFixture[str]) -> None:
    handler = logger.add(lambda message: None, format=lambda record: None)  # type: ignore[arg-type,return-value]
    try:
        logger.info("a secret that nobody was to see")
    finally:
        logger.remove(handler)
    said = capfd.readouterr().err
    assert "a secret that nobody was to see" in said
    assert "TypeError" in said

"""The queries of docs/on-call.md, and of other pages, name only what is sent."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipecat_dd.cli.doctor.command import doctor
from pipecat_dd.cli.setup.definitions.queries import FREE, TRACE_TAGS
from pipecat_dd.conversation.model import Kind
from pipecat_dd.names.metric_tags import UNIFIED
from pipecat_dd.names.metrics import METRICS, Type
from pipecat_dd.names.spans import SPANS
from pipecat_dd.names.tags import TAGS, WAIT_PARTS, tags_of

DOCS = Path(__file__).parent.parent / "docs"
ON_CALL = (DOCS / "on-call.md").read_text("utf8")
DOCTOR = (DOCS / "doctor.md").read_text("utf8")
LINES_FIELDS = set(re.findall(r"`@?([a-z_.]+)[:`]", (DOCS / "logs.md").read_text("utf8")))

RESERVED = {"operation_name", "resource_name", "service", "env", "status", "version"}
"""What is searched without ``@``, among spans and among lines."""


@dataclass(frozen=True)
class Query:
    where: str
    text: str

    @property
    def attributes(self) -> dict[str, str]:
        return dict(re.findall(r"@([\w.]+):(\([^)]*\)|\S+)", self.text))

    @property
    def kinds(self) -> list[Kind]:
        named = re.findall(r"operation_name:(\([^)]*\)|\S+)", self.text)
        return [
            Kind(name.removeprefix("pipecat."))
            for group in named
            for name in group.strip("()").split(" OR ")
        ]


def queries() -> Iterator[Query]:
    for row in re.findall(r"^\|(.*)\|$", ON_CALL, re.M):
        cells = [cell.strip() for cell in row.split(" | ")]
        if len(cells) == 3 and cells[1].partition(",")[0] in ("Traces", "Logs", "Metrics"):
            for code in re.findall(r"`([^`]+)`", cells[2]):
                if ":" in code:
                    yield Query(cells[1].partition(",")[0], code)


def test_there_are_queries_of_each_kind() -> None:
    assert {query.where for query in queries()} == {"Traces", "Logs", "Metrics"}
    assert len(list(queries())) > 25


@pytest.mark.parametrize("query", [q for q in queries() if q.where != "Metrics"], ids=str)
def test_a_query_names_what_is_sent(query: Query) -> None:
    bare = re.findall(r"(?<![@\w.{,])([a-z_]+):", query.text)
    assert set(bare) <= RESERVED
    for name, value in query.attributes.items():
        if query.where == "Logs":
            assert name in LINES_FIELDS, name
            continue
        for kind in query.kinds or [span.kind for span in SPANS if _may_carry(span.kind, name)]:
            assert _may_carry(kind, name), f"{name} on pipecat.{kind}"
        (tag,) = (tag for tag in TAGS if tag.name == name)
        if value.startswith((">", "<")):
            assert tag.unit, f"{name} is no number"
        elif tag.meaning.count("`") > 2:
            for one in value.strip("()").split(" OR "):
                assert f"`{one}`" in tag.meaning, f"{name} is never {one}"


def _may_carry(kind: Kind, name: str) -> bool:
    return any(tag.name == name for tag in tags_of(kind))


@pytest.mark.parametrize("query", [q for q in queries() if q.where == "Metrics"], ids=str)
def test_a_metric_query_names_what_is_sent(query: Query) -> None:
    match = re.fullmatch(
        r"(sum|avg|p95):([\w.]+)\{([^}]*)\}(?: by \{([\w,]+)\})?(\.as_count\(\))?", query.text
    )
    assert match is not None
    how, name, scope, by, as_count = match.groups()
    if name.startswith("trace."):
        kind, what = re.fullmatch(r"trace\.pipecat\.(\w+?)(\.hits|\.errors)?", name).groups()
        assert Kind(kind) in FREE
        assert set(re.findall(r"(\w+):", scope)) | set((by or "").split(",")) - {""} <= {
            *TRACE_TAGS
        }
        assert (how, bool(as_count)) == (("sum", True) if what else ("p95", False))
        return
    (metric,) = (one for one in METRICS if one.name == name)
    tags = {*metric.tags, *UNIFIED}
    assert set(re.findall(r"(\w+):", scope)) <= tags
    assert set(by.split(",") if by else []) <= tags
    assert bool(as_count) == (metric.type is Type.COUNT)
    assert how == "sum" if metric.type is Type.COUNT else metric.type is Type.DISTRIBUTION


@pytest.mark.parametrize("path", sorted(DOCS.rglob("*.md")), ids=lambda p: p.name)
def test_no_query_asks_for_what_datadog_takes_off_lines(path: Path) -> None:
    explained = {"troubleshooting.md", "coming-from.md"}
    text = path.read_text("utf8")
    for number, line in enumerate(text.splitlines(), 1):
        if "@dd." in line:
            assert path.name in explained, (number, line)


def test_whatever_else_the_walks_name_is_sent() -> None:
    roots = {tag.name.partition(".")[0] for tag in TAGS if "." in tag.name} - {"span", "pipecat"}
    names = {tag.name for tag in TAGS} | LINES_FIELDS
    named = set(re.findall(r"`@?([a-z_]+\.[\w.<>]+)`", ON_CALL))
    for name in named:
        if name.endswith((".md", ".py")):
            continue
        if name.startswith("pipecat.") and name not in LINES_FIELDS:
            assert name.removeprefix("pipecat.") in {str(span.kind) for span in SPANS}, name
        elif name.partition(".")[0] in roots:
            assert name in names, name
    assert "turn.outcome" in named


def test_each_part_of_the_wait_says_where_to_look() -> None:
    for name, _ in WAIT_PARTS:
        assert f"| `turn.wait.{name}_seconds` |" in ON_CALL


def test_doctor_md_has_all_of_its_options() -> None:
    options = {name for param in doctor.params for name in param.opts if name.startswith("--")}
    assert all(f"`{option}" in DOCTOR or f" {option}" in DOCTOR for option in options)

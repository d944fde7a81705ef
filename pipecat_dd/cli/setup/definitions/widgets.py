"""Widgets of a dashboard, as Datadog's API takes them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipecat_dd.cli.setup.definition import Body


@dataclass(frozen=True, slots=True)
class Ask:
    """Something to draw: queries, and what is computed of them.

    Attributes:
        queries: Queries by their name in the formula.
        formula: What to draw.
        label: What it is called.
        unit: Datadog's name of its unit; empty for none.
    """

    queries: dict[str, Body]
    formula: str
    label: str = ""
    unit: str = ""


def of_metric(query: str, label: str = "", unit: str = "") -> Ask:
    """Draw a query of a metric.

    Args:
        query: The query.
        label: What it is called.
        unit: Its unit.
    """
    return Ask({"a": {"data_source": "metrics", "query": query}}, "a", label, unit)


def of_metrics(formula: str, label: str = "", unit: str = "", **queries: str) -> Ask:
    """Draw what is computed of several metrics.

    Args:
        formula: What to draw, in the queries' names.
        label: What it is called.
        unit: Its unit.
        **queries: The queries, by name.
    """
    sources = {name: {"data_source": "metrics", "query": query} for name, query in queries.items()}
    return Ask(sources, formula, label, unit)


def events(
    source: str, query: str, *, by: str = "", unique: str = "", limit: int = 10
) -> dict[str, Any]:
    """Return a query that counts lines or spans.

    Args:
        source: ``logs`` or ``spans``.
        query: Which ones.
        by: The field to split by.
        unique: The field of which to count the values, rather than lines or spans.
        limit: The most groups there are.
    """
    compute = {"aggregation": "cardinality", "metric": unique} if unique else _COUNT
    grouped = [{"facet": by, "limit": limit, "sort": {**compute, "order": "desc"}}] if by else []
    return {
        "data_source": source,
        "search": {"query": query},
        "indexes": ["*"],
        "compute": compute,
        "group_by": grouped,
    }


_COUNT = {"aggregation": "count"}


def over_time(title: str, *asks: Ask, display: str = "line") -> Body:
    """Return a graph over time.

    Args:
        title: What stands above it.
        *asks: What is drawn in it.
        display: ``line``, ``bars`` or ``area``.
    """
    requests = [
        {
            "response_format": "timeseries",
            "display_type": display,
            "queries": _queries(ask),
            "formulas": [_formula(ask)],
        }
        for ask in asks
    ]
    return _widget(title, "timeseries", requests=requests, show_legend=True)


def number(title: str, ask: Ask, aggregator: str = "sum", precision: int = 0) -> Body:
    """Return one number over the whole of the time that is shown.

    Args:
        title: What stands above it.
        ask: What it is.
        aggregator: How points of a metric are put together.
        precision: Digits after the point.
    """
    return _widget(
        title,
        "query_value",
        requests=[
            {
                "response_format": "scalar",
                "queries": _queries(ask, aggregator),
                "formulas": [_formula(ask)],
            }
        ],
        autoscale=True,
        precision=precision,
    )


def ranking(title: str, ask: Ask, aggregator: str = "sum", count: int = 10) -> Body:
    """Return a list of the highest.

    Args:
        title: What stands above it.
        ask: What is ranked.
        aggregator: How points of a metric are put together.
        count: How many are shown.
    """
    formula = {**_formula(ask), "limit": {"count": count, "order": "desc"}}
    return _widget(
        title,
        "toplist",
        requests=[
            {
                "response_format": "scalar",
                "queries": _queries(ask, aggregator),
                "formulas": [formula],
            }
        ],
    )


def patterns(title: str, query: str) -> Body:
    """Return the most frequent patterns of lines.

    Args:
        title: What stands above it.
        query: Which lines.
    """
    return _stream(
        title,
        {
            "data_source": "logs_pattern_stream",
            "query_string": query,
            "clustering_pattern_field_path": "message",
            "group_by": [{"facet": "service"}],
        },
        ("status_line", "matches", "volume", "message"),
    )


def traces(title: str, query: str, columns: Sequence[str]) -> Body:
    """Return a list of spans that are kept.

    Args:
        title: What stands above it.
        query: Which ones.
        columns: The fields that are shown.
    """
    return _stream(title, {"data_source": "trace_stream", "query_string": query}, columns)


def monitor_summary(title: str, query: str) -> Body:
    """Return the monitors and what state they are in, those in alert first.

    Args:
        title: What stands above it.
        query: Which monitors.
    """
    return _widget(
        title,
        "manage_status",
        summary_type="monitors",
        display_format="countsAndList",
        color_preference="text",
        hide_zero_counts=True,
        show_last_triggered=True,
        query=query,
        sort="status,asc",
        count=50,
        start=0,
    )


def note(text: str) -> Body:
    """Return a note.

    Args:
        text: What it says, as Markdown.
    """
    return {
        "definition": {
            "type": "note",
            "content": text,
            "background_color": "white",
            "font_size": "14",
            "text_align": "left",
            "show_tick": False,
        }
    }


def group(title: str, *widgets: Body) -> Body:
    """Return a group of widgets.

    Args:
        title: What stands above it.
        *widgets: What is in it.
    """
    return _widget(title, "group", layout_type="ordered", widgets=list(widgets))


def _stream(title: str, query: Body, columns: Sequence[str]) -> Body:
    request = {
        "response_format": "event_list",
        "query": query,
        "columns": [{"field": field, "width": "auto"} for field in columns],
    }
    return _widget(title, "list_stream", requests=[request])


def _widget(title: str, kind: str, **definition: Any) -> Body:
    return {"definition": {"type": kind, "title": title, **definition}}


def _queries(ask: Ask, aggregator: str = "") -> list[Body]:
    return [
        {
            "name": name,
            **query,
            **({"aggregator": aggregator} if _is_scalar(query, aggregator) else {}),
        }
        for name, query in ask.queries.items()
    ]


def _is_scalar(query: Body, aggregator: str) -> bool:
    return bool(aggregator) and query["data_source"] == "metrics"


def _formula(ask: Ask) -> Body:
    formula: Body = {"formula": ask.formula}
    if ask.label:
        formula["alias"] = ask.label
    if ask.unit:
        formula["number_format"] = {"unit": {"type": "canonical_unit", "unit_name": ask.unit}}
    return formula

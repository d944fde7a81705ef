"""Widgets of a dashboard, in the format of Datadog's API."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipecat_dd.cli.setup.definition import Body


@dataclass(frozen=True, slots=True)
class Plot:
    """The data of a graph: queries and a formula.

    Attributes:
        queries: The queries, by their names in the formula.
        formula: The formula of the values to show.
        label: The name in the legend; empty for Datadog's default.
        unit: Datadog's name of the unit; empty for none.
    """

    queries: dict[str, Body]
    formula: str
    label: str = ""
    unit: str = ""


def of_metric(query: str, label: str = "", unit: str = "") -> Plot:
    """Return the data of a single metric query."""
    return Plot({"a": {"data_source": "metrics", "query": query}}, "a", label, unit)


def of_metrics(formula: str, label: str = "", unit: str = "", **queries: str) -> Plot:
    """Return the data of a formula over several metrics.

    Args:
        formula: The formula, which refers to the queries by name.
        label: The name in the legend; empty for Datadog's default.
        unit: Datadog's name of the unit; empty for none.
        **queries: The queries, by name.
    """
    sources = {name: {"data_source": "metrics", "query": query} for name, query in queries.items()}
    return Plot(sources, formula, label, unit)


def events(
    source: str, query: str, *, by: str = "", unique: str = "", limit: int = 10
) -> dict[str, Any]:
    """Return a query that counts log lines or spans.

    Args:
        source: ``logs`` or ``spans``.
        query: The search for the lines or spans.
        by: The field to group by; empty for no groups.
        unique: The field whose distinct values to count; empty to count lines or spans.
        limit: The maximum number of groups.
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


def over_time(title: str, *plots: Plot, display: str = "line") -> Body:
    """Return a graph over time.

    Args:
        title: The title of the widget.
        *plots: The data of the graph.
        display: ``line``, ``bars`` or ``area``.
    """
    requests = [
        {
            "response_format": "timeseries",
            "display_type": display,
            "queries": _queries(plot),
            "formulas": [_formula(plot)],
        }
        for plot in plots
    ]
    return _widget(title, "timeseries", requests=requests, show_legend=True)


def number(title: str, plot: Plot, aggregator: str = "sum", precision: int = 0) -> Body:
    """Return a single number for the period that the dashboard shows.

    Args:
        title: The title of the widget.
        plot: The data of the number.
        aggregator: The aggregation of a metric's points.
        precision: The number of decimal places.
    """
    return _widget(
        title,
        "query_value",
        requests=[
            {
                "response_format": "scalar",
                "queries": _queries(plot, aggregator),
                "formulas": [_formula(plot)],
            }
        ],
        autoscale=True,
        precision=precision,
    )


def ranking(title: str, plot: Plot, aggregator: str = "sum", count: int = 10) -> Body:
    """Return a list of the highest values.

    Args:
        title: The title of the widget.
        plot: The data to rank.
        aggregator: The aggregation of a metric's points.
        count: The number of entries.
    """
    formula = {**_formula(plot), "limit": {"count": count, "order": "desc"}}
    return _widget(
        title,
        "toplist",
        requests=[
            {
                "response_format": "scalar",
                "queries": _queries(plot, aggregator),
                "formulas": [formula],
            }
        ],
    )


def patterns(title: str, query: str) -> Body:
    """Return a list of the most frequent patterns among the log lines of a search."""
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
    """Return a list of retained spans.

    Args:
        title: The title of the widget.
        query: The search for the spans.
        columns: The fields to show.
    """
    return _stream(title, {"data_source": "trace_stream", "query_string": query}, columns)


def monitor_summary(title: str, query: str) -> Body:
    """Return a list of the monitors of a search with their states, alerts first."""
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
    """Return a note with a text in Markdown."""
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
    """Return a group of widgets."""
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


def _queries(plot: Plot, aggregator: str = "") -> list[Body]:
    return [
        {
            "name": name,
            **query,
            **({"aggregator": aggregator} if _is_scalar(query, aggregator) else {}),
        }
        for name, query in plot.queries.items()
    ]


def _is_scalar(query: Body, aggregator: str) -> bool:
    return bool(aggregator) and query["data_source"] == "metrics"


def _formula(plot: Plot) -> Body:
    formula: Body = {"formula": plot.formula}
    if plot.label:
        formula["alias"] = plot.label
    if plot.unit:
        formula["number_format"] = {"unit": {"type": "canonical_unit", "unit_name": plot.unit}}
    return formula

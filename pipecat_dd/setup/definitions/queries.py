"""Queries, in the words of Datadog's three grammars: metrics, lines and spans.

They are put together from the contracts of what is sent, so that a metric that is not sent cannot
be asked for, and a filter by transport stands only where there is that tag.
"""

from collections.abc import Sequence

from pipecat_dd.knowing.stage import Kind
from pipecat_dd.telling.metrics.contract import METRICS, UNIFIED, Type

VARIABLES = (*UNIFIED, "transport")
"""The dashboard's template variables, each the name of a tag."""

TRACED_ERRORS = "@levelname:ERROR @dd.trace_id:*"
"""Error lines that have a trace."""

OUT_OF_CONTEXT = "-@dd.trace_id:* @session_id:*"
"""Lines of a session that have no trace."""

_METRICS = {metric.name: metric for metric in METRICS}


def metric(
    aggregation: str,
    name: str,
    *,
    by: Sequence[str] = (),
    where: Sequence[str] = (),
    scope: Sequence[str] | None = None,
) -> str:
    """Return a query of a metric that is sent.

    Args:
        aggregation: How points are put together: ``sum``, ``avg``, ``p95`` ….
        name: The metric.
        by: The tags it is split by.
        where: What holds of it, besides the scope.
        scope: Of which bots; the dashboard's template variables where not given.
    """
    doc = _METRICS[name]
    if scope is None:
        scope = [f"${tag}" for tag in VARIABLES if tag in (*UNIFIED, *doc.tags)]
    counted = doc.type is Type.COUNT or aggregation == "count"
    return "".join(
        (
            f"{aggregation}:{name}{{{_and([*scope, *where])}}}",
            f" by {{{','.join(by)}}}" if by else "",
            ".as_count()" if counted else "",
        )
    )


def made_metric(aggregation: str, name: str, *, by: Sequence[str] = (), count: bool = False) -> str:
    """Return a query of a metric that Datadog makes of spans or lines.

    Args:
        aggregation: How points are put together.
        name: The metric.
        by: The tags it is split by.
        count: Whether it counts.
    """
    split = f" by {{{','.join(by)}}}" if by else ""
    return f"{aggregation}:{name}{{$service,$env}}{split}{'.as_count()' if count else ''}"


def lines(query: str = "") -> str:
    """Return a search of lines, within the dashboard's template variables.

    Args:
        query: What to look for.
    """
    return f"$service $env $version {query}".rstrip()


def spans(kind: Kind, query: str = "") -> str:
    """Return a search of spans.

    Args:
        kind: Which spans.
        query: What holds of them.
    """
    return f"operation_name:pipecat.{kind} {query}".rstrip()


def _and(filters: list[str]) -> str:
    # Datadog takes no commas beside words such as IN.
    if any(" IN " in one for one in filters):
        return " AND ".join(filters)
    return ",".join(filters) or "*"

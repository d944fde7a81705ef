"""Queries in Datadog's three query languages: for metrics, log lines and spans.

They are built from the contracts of what bots send, so they cannot name a metric that no bot
sends, and they filter by transport only where a metric has that tag.

Queries for lines use ``pipecat.*``, never ``dd.*``: Datadog removes ``dd.trace_id`` from the lines
that it links to a trace, so a query for it finds nothing, or everything if it is negated.
"""

from collections.abc import Sequence

from pipecat_dd.conversation.stage import Kind
from pipecat_dd.export.metrics.contract import METRICS, UNIFIED, Type
from pipecat_dd.export.spans.tree import MEASURED

VARIABLES = (*UNIFIED, "transport")
"""The dashboard's template variables, which are names of tags."""

OURS = "@pipecat.version:*"
"""All lines of this package. Other software also uses fields like ``levelname``."""

OF_SESSIONS = f"{OURS} @session_id:*"
"""Lines of sessions."""

TRACED = f"{OURS} @pipecat.trace_id:*"
"""Lines with a trace."""

TRACED_ERRORS = f"{OURS} @levelname:(ERROR OR CRITICAL) @pipecat.trace_id:*"
"""Error lines with a trace."""

OUT_OF_CONTEXT = f"{OF_SESSIONS} -@pipecat.trace_id:*"
"""Lines of sessions without a trace."""

TRACE_TAGS = (*UNIFIED, "resource_name")
"""Our tags by which Datadog's free span metrics can be grouped."""

FREE = (Kind.SESSION, *sorted(MEASURED))
"""The spans for which Datadog generates free metrics: entry spans and measured spans."""

_METRICS = {metric.name: metric for metric in METRICS}


def metric(
    aggregation: str,
    name: str,
    *,
    by: Sequence[str] = (),
    where: Sequence[str] = (),
    scope: Sequence[str] | None = None,
) -> str:
    """Return a query of a metric that bots send.

    Args:
        aggregation: The aggregation of points: ``sum``, ``avg``, ``p95`` ….
        name: The name of the metric.
        by: The tags to group by.
        where: Further filters.
        scope: The tags of the bots; None for the dashboard's template variables.
    """
    doc = _METRICS[name]
    if scope is None:
        scope = [f"${tag}" for tag in VARIABLES if tag in (*UNIFIED, *doc.tags)]
    counted = doc.type is Type.COUNT or aggregation == "count"
    return _query(aggregation, name, [*scope, *where], by, counted)


def hits(kind: Kind, *, by: Sequence[str] = (), scope: Sequence[str] | None = None) -> str:
    """Return a query of the number of spans, which Datadog counts for free.

    Args:
        kind: The kind of spans.
        by: The tags to group by.
        scope: The tags of the bots; None for the dashboard's template variables.
    """
    return _query("sum", f"{_traced(kind)}.hits", _traced_scope(scope), by, counted=True)


def errors(kind: Kind, *, by: Sequence[str] = (), scope: Sequence[str] | None = None) -> str:
    """Return a query of the number of failed spans, which Datadog counts for free.

    Args:
        kind: The kind of spans.
        by: The tags to group by.
        scope: The tags of the bots; None for the dashboard's template variables.
    """
    return _query("sum", f"{_traced(kind)}.errors", _traced_scope(scope), by, counted=True)


def took(share: int, kind: Kind, *, by: Sequence[str] = ()) -> str:
    """Return a query of the duration of spans in seconds, which Datadog measures for free.

    Args:
        share: The percentile, such as 95.
        kind: The kind of spans.
        by: The tags to group by.
    """
    return _query(f"p{share}", _traced(kind), _traced_scope(None), by, counted=False)


def made_metric(
    aggregation: str,
    name: str,
    *,
    by: Sequence[str] = (),
    count: bool = False,
    scope: Sequence[str] = ("$service", "$env"),
) -> str:
    """Return a query of a log-based or span-based metric.

    Args:
        aggregation: The aggregation of points.
        name: The name of the metric.
        by: The tags to group by.
        count: Whether the metric is a count.
        scope: The tags of the bots.
    """
    return _query(aggregation, name, list(scope), by, count)


def lines(query: str = OURS) -> str:
    """Return a search for lines that is filtered by the dashboard's template variables."""
    return f"$service $env $version {query}"


def spans(kind: Kind, query: str = "") -> str:
    """Return a search for spans.

    Args:
        kind: The kind of spans.
        query: Further terms of the search.
    """
    return f"operation_name:pipecat.{kind} {query}".rstrip()


def _traced(kind: Kind) -> str:
    if kind not in FREE:
        raise ValueError(f"Datadog generates no metrics from pipecat.{kind} spans")
    return f"trace.pipecat.{kind}"


def _traced_scope(scope: Sequence[str] | None) -> list[str]:
    return [f"${tag}" for tag in UNIFIED] if scope is None else list(scope)


def _query(
    aggregation: str, name: str, filters: list[str], by: Sequence[str], counted: bool
) -> str:
    split = f" by {{{','.join(by)}}}" if by else ""
    return f"{aggregation}:{name}{{{_and(filters)}}}{split}{'.as_count()' if counted else ''}"


def _and(filters: list[str]) -> str:
    # Datadog does not accept commas together with operators such as IN.
    if any(" IN " in one for one in filters):
        return " AND ".join(filters)
    return ",".join(filters) or "*"

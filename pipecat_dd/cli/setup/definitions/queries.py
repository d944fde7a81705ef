"""Queries in Datadog's three query languages: for metrics, log lines and spans.

They are built from the contracts of what bots send, so they cannot name a metric that no bot
sends, and they filter by transport only where a metric has that tag.

Queries for lines use ``pipecat.*``, never ``dd.*``: Datadog removes ``dd.trace_id`` from the lines
that it links to a trace, so a query for it finds nothing, or everything if it is negated.
"""

from collections.abc import Sequence

from pipecat_dd.conversation.model import Kind
from pipecat_dd.export.spans.tree import MEASURED
from pipecat_dd.names import fields, metric_tags
from pipecat_dd.names.metric_tags import UNIFIED
from pipecat_dd.names.metrics import METRICS, Type
from pipecat_dd.names.spans import span_name

VARIABLES = (*UNIFIED, metric_tags.TRANSPORT)
"""The dashboard's template variables, which are names of tags."""

OURS = f"@{fields.PIPECAT_VERSION}:*"
"""All lines of this package. Other software also uses fields like ``levelname``."""

OF_SESSIONS = f"{OURS} @{fields.SESSION_ID}:*"
"""Lines of sessions."""

TRACED = f"{OURS} @{fields.PIPECAT_TRACE_ID}:*"
"""Lines with a trace."""

TRACED_ERRORS = f"{OURS} @{fields.LEVELNAME}:(ERROR OR CRITICAL) @{fields.PIPECAT_TRACE_ID}:*"
"""Error lines with a trace."""

BAD_LINES = f"{OF_SESSIONS} status:(warn OR error OR critical)"
"""Warnings and errors of sessions."""

OUT_OF_CONTEXT = f"{OF_SESSIONS} -@{fields.PIPECAT_TRACE_ID}:*"
"""Lines of sessions without a trace."""

TRACE_TAGS = (*UNIFIED, metric_tags.RESOURCE_NAME)
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
    return f"operation_name:{span_name(kind)} {query}".rstrip()


def _traced(kind: Kind) -> str:
    if kind not in FREE:
        raise ValueError(f"Datadog generates no metrics from {span_name(kind)} spans")
    return f"trace.{span_name(kind)}"


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

"""Queries, in the words of Datadog's three grammars: metrics, lines and spans.

They are put together from the contracts of what is sent, so that a metric that is not sent cannot
be asked for, and a filter by transport stands only where there is that tag.

Lines are asked for by ``pipecat.*``, never by ``dd.*``: Datadog takes ``dd.trace_id`` off a line
that it links to its trace, so a query of it finds nothing, or everything where it is negated.
"""

from collections.abc import Sequence

from pipecat_dd.conversation.model import Kind
from pipecat_dd.export.spans.tree import MEASURED
from pipecat_dd.names import fields, metric_tags
from pipecat_dd.names.metric_tags import UNIFIED
from pipecat_dd.names.metrics import METRICS, Type
from pipecat_dd.names.spans import span_name

VARIABLES = (*UNIFIED, metric_tags.TRANSPORT)
"""The dashboard's template variables, each the name of a tag."""

OURS = f"@{fields.PIPECAT_VERSION}:*"
"""Lines that this package wrote. ``levelname`` and ``session_id`` are other people's fields too."""

OF_SESSIONS = f"{OURS} @{fields.SESSION_ID}:*"
"""Lines of sessions."""

TRACED = f"{OURS} @{fields.PIPECAT_TRACE_ID}:*"
"""Lines that have a trace."""

TRACED_ERRORS = f"{OURS} @{fields.LEVELNAME}:(ERROR OR CRITICAL) @{fields.PIPECAT_TRACE_ID}:*"
"""Error lines that have a trace."""

OUT_OF_CONTEXT = f"{OF_SESSIONS} -@{fields.PIPECAT_TRACE_ID}:*"
"""Lines of a session that have no trace."""

TRACE_TAGS = (*UNIFIED, metric_tags.RESOURCE_NAME)
"""The tags of ours by which Datadog splits the metrics that it makes of spans for free."""

FREE = (Kind.SESSION, *sorted(MEASURED))
"""The spans that Datadog makes such metrics of: entry spans, and those that are measured."""

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
    return _query(aggregation, name, [*scope, *where], by, counted)


def hits(kind: Kind, *, by: Sequence[str] = (), scope: Sequence[str] | None = None) -> str:
    """Return a query of how many spans there were. Datadog counts them for free.

    Args:
        kind: The spans.
        by: The tags they are split by.
        scope: Of which bots; the dashboard's template variables where not given.
    """
    return _query("sum", f"{_traced(kind)}.hits", _traced_scope(scope), by, counted=True)


def errors(kind: Kind, *, by: Sequence[str] = (), scope: Sequence[str] | None = None) -> str:
    """Return a query of how many spans failed. Datadog counts them for free.

    Args:
        kind: The spans.
        by: The tags they are split by.
        scope: Of which bots; the dashboard's template variables where not given.
    """
    return _query("sum", f"{_traced(kind)}.errors", _traced_scope(scope), by, counted=True)


def took(share: int, kind: Kind, *, by: Sequence[str] = ()) -> str:
    """Return a query of how long spans took, in seconds. Datadog computes that for free.

    Args:
        share: The percentile: 50, 95.
        kind: The spans.
        by: The tags they are split by.
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
    """Return a query of a metric that Datadog makes of spans or lines, as it was told to.

    Args:
        aggregation: How points are put together.
        name: The metric.
        by: The tags it is split by.
        count: Whether it counts.
        scope: Of which bots.
    """
    return _query(aggregation, name, list(scope), by, count)


def lines(query: str = OURS) -> str:
    """Return a search of lines, within the dashboard's template variables.

    Args:
        query: What to look for.
    """
    return f"$service $env $version {query}"


def spans(kind: Kind, query: str = "") -> str:
    """Return a search of spans.

    Args:
        kind: Which spans.
        query: What holds of them.
    """
    return f"operation_name:{span_name(kind)} {query}".rstrip()


def _traced(kind: Kind) -> str:
    if kind not in FREE:
        raise ValueError(f"Datadog makes no metrics of {span_name(kind)}")
    return f"trace.{span_name(kind)}"


def _traced_scope(scope: Sequence[str] | None) -> list[str]:
    return [f"${tag}" for tag in UNIFIED] if scope is None else list(scope)


def _query(
    aggregation: str, name: str, filters: list[str], by: Sequence[str], counted: bool
) -> str:
    split = f" by {{{','.join(by)}}}" if by else ""
    return f"{aggregation}:{name}{{{_and(filters)}}}{split}{'.as_count()' if counted else ''}"


def _and(filters: list[str]) -> str:
    # Datadog takes no commas beside words such as IN.
    if any(" IN " in one for one in filters):
        return " AND ".join(filters)
    return ",".join(filters) or "*"

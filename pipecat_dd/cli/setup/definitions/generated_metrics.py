"""Metrics that Datadog generates from log lines and spans.

They are kept longer than the lines and spans, and need no DogStatsD, which bots without an Agent
do not have. Log-based metrics count only the lines of this package. Span-based metrics count only
spans that were sent: with sampling they are too low, so no monitor uses them. Datadog bills them,
so they do not repeat what the free ``trace.pipecat.*`` metrics report.

A generated metric has no description and no tags. Its mark is a term in its query that excludes a
tag which no line or span has, so the term does not change the result.
"""

from collections.abc import Iterator

from pipecat_dd.cli.setup.definition import OWNER, Body, Definition, Kind
from pipecat_dd.cli.setup.definitions.queries import (
    OF_SESSIONS,
    OUT_OF_CONTEXT,
    TRACED_ERRORS,
    spans,
)
from pipecat_dd.conversation.model import Kind as Stage
from pipecat_dd.names import fields, made_metrics, metric_tags, tags

MARK = f"-{OWNER}"
"""The term in a query that marks a metric as created by this command."""

_SERVICE = (metric_tags.SERVICE, metric_tags.ENV)


def line_metrics() -> Iterator[Definition]:
    """Yield the log-based metrics."""
    yield _counts(
        Kind.LINE_METRIC,
        made_metrics.LINES,
        OF_SESSIONS,
        {metric_tags.LEVELNAME: f"@{fields.LEVELNAME}"},
    )
    yield _counts(
        Kind.LINE_METRIC,
        made_metrics.LINES_TRACED_ERRORS,
        TRACED_ERRORS,
        {metric_tags.ERROR_KIND: f"@{fields.ERROR_KIND}"},
    )
    yield _counts(
        Kind.LINE_METRIC,
        made_metrics.LINES_OUT_OF_CONTEXT,
        OUT_OF_CONTEXT,
        {},
    )
    yield _measures(
        Kind.LINE_METRIC,
        made_metrics.OPERATION_DURATION_MS,
        f"{OF_SESSIONS} @{fields.DURATION_MS}:*",
        f"@{fields.DURATION_MS}",
        {metric_tags.OPERATION: f"@{fields.OPERATION}"},
    )


def span_metrics() -> Iterator[Definition]:
    """Yield the span-based metrics."""
    yield _counts(
        Kind.SPAN_METRIC,
        made_metrics.SPANS_SESSIONS,
        spans(Stage.SESSION),
        {
            metric_tags.TRANSPORT: f"@{tags.TRANSPORT}",
            metric_tags.END_REASON: f"@{tags.SESSION_END_REASON}",
        },
    )
    yield _counts(
        Kind.SPAN_METRIC,
        made_metrics.SPANS_TURNS,
        spans(Stage.TURN),
        {metric_tags.OUTCOME: f"@{tags.TURN_OUTCOME}"},
    )
    yield _measures(
        Kind.SPAN_METRIC,
        made_metrics.SPANS_USER_BOT_LATENCY_SECONDS,
        spans(Stage.TURN),
        f"@{tags.TURN_USER_BOT_LATENCY_SECONDS}",
        {},
    )
    yield _counts(
        Kind.SPAN_METRIC,
        made_metrics.SPANS_ERRORS,
        f"@{tags.COMPONENT}:pipecat status:error",
        {
            metric_tags.OPERATION_NAME: "operation_name",
            metric_tags.CATEGORY: f"@{tags.ERROR_CATEGORY}",
        },
    )


def _counts(kind: Kind, name: str, query: str, by: dict[str, str]) -> Definition:
    return _metric(kind, name, query, {"aggregation_type": "count"}, by)


def _measures(kind: Kind, name: str, query: str, path: str, by: dict[str, str]) -> Definition:
    compute = {"aggregation_type": "distribution", "path": path, "include_percentiles": True}
    return _metric(kind, name, query, compute, by)


def _metric(kind: Kind, name: str, query: str, compute: Body, by: dict[str, str]) -> Definition:
    paths = {**{tag: tag for tag in _SERVICE}, **by}
    return Definition(
        kind,
        name,
        name,
        {
            "compute": compute,
            "filter": {"query": f"{query} {MARK}"},
            "group_by": [{"path": path, "tag_name": tag} for tag, path in paths.items()],
        },
    )

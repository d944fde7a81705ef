"""Metrics that Datadog makes of lines and spans.

They outlive the lines and spans they were made of, and need no DogStatsD, which a bot without an
Agent does not have. Those of lines count this package's lines only. Those of spans see only spans
that were sent: with sampling they are short by what was left out, which is why nothing alerts on
them; and they are billed, so what ``trace.pipecat.*`` says for free is not among them.

Such a metric has no description and no tags. Its mark is a term of its query: that it should not
bear a tag which nothing bears, which changes nothing about what is counted.
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
"""The term that marks a query as ours."""

_SERVICE = (metric_tags.SERVICE, metric_tags.ENV)


def line_metrics() -> Iterator[Definition]:
    """Yield the metrics that are made of lines."""
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
    """Yield the metrics that are made of spans."""
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

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
from pipecat_dd.conversation.stage import Kind as Stage

MARK = f"-{OWNER}"
"""The term in a query that marks a metric as created by this command."""

_SERVICE = ("service", "env")


def line_metrics() -> Iterator[Definition]:
    """Yield the log-based metrics."""
    yield _counts(
        Kind.LINE_METRIC,
        "lines",
        OF_SESSIONS,
        {"levelname": "@levelname"},
    )
    yield _counts(
        Kind.LINE_METRIC,
        "lines.traced_errors",
        TRACED_ERRORS,
        {"error_kind": "@error.kind"},
    )
    yield _counts(
        Kind.LINE_METRIC,
        "lines.out_of_context",
        OUT_OF_CONTEXT,
        {},
    )
    yield _measures(
        Kind.LINE_METRIC,
        "operation.duration_ms",
        f"{OF_SESSIONS} @duration_ms:*",
        "@duration_ms",
        {"operation": "@operation"},
    )


def span_metrics() -> Iterator[Definition]:
    """Yield the span-based metrics."""
    yield _counts(
        Kind.SPAN_METRIC,
        "spans.sessions",
        spans(Stage.SESSION),
        {"transport": "@transport", "end_reason": "@session.end_reason"},
    )
    yield _counts(
        Kind.SPAN_METRIC,
        "spans.turns",
        spans(Stage.TURN),
        {"outcome": "@turn.outcome"},
    )
    yield _measures(
        Kind.SPAN_METRIC,
        "spans.user_bot_latency_seconds",
        spans(Stage.TURN),
        "@turn.user_bot_latency_seconds",
        {},
    )
    yield _counts(
        Kind.SPAN_METRIC,
        "spans.errors",
        "@component:pipecat status:error",
        {"operation_name": "operation_name", "category": "@error.category"},
    )


def _counts(kind: Kind, key: str, query: str, tags: dict[str, str]) -> Definition:
    return _metric(kind, key, query, {"aggregation_type": "count"}, tags)


def _measures(kind: Kind, key: str, query: str, path: str, tags: dict[str, str]) -> Definition:
    compute = {"aggregation_type": "distribution", "path": path, "include_percentiles": True}
    return _metric(kind, key, query, compute, tags)


def _metric(kind: Kind, key: str, query: str, compute: Body, tags: dict[str, str]) -> Definition:
    by = {**{tag: tag for tag in _SERVICE}, **tags}
    return Definition(
        kind,
        f"pipecat_dd.{key}",
        f"pipecat_dd.{key}",
        {
            "compute": compute,
            "filter": {"query": f"{query} {MARK}"},
            "group_by": [{"path": path, "tag_name": tag} for tag, path in by.items()],
        },
    )

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

MARK = f"-{OWNER}"
"""The term that marks a query as ours."""

_SERVICE = ("service", "env")


def line_metrics() -> Iterator[Definition]:
    """Yield the metrics that are made of lines."""
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
    """Yield the metrics that are made of spans."""
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

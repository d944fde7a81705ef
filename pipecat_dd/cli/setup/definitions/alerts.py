"""The parts of a monitor: queries of percentages, thresholds, options, tags.

With few events, a percentage means little: one failed turn of two is 50 %, but not an outage. So
each query adds a fixed number to the total. With 20 turns added, 10 % is exceeded by three failed
turns of seven, five of 20, 13 of 100, or 103 of 1,000. (Datadog sums each count over the window
before it divides, so the number is added once. A clamp would apply to each point of the window.)
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pipecat_dd.cli.setup.definition import Body, Definition, Kind, Mark
from pipecat_dd.cli.setup.definitions.messages import AlertText, Evidence, message
from pipecat_dd.cli.setup.options import Options
from pipecat_dd.export.metrics.values import BEYOND, WITHIN_SECS, within
from pipecat_dd.names import metric_tags, tags

SUMMARY_TAG = f"{tags.COMPONENT}:pipecat"
"""A tag of every monitor, also of exported ones, by which the dashboard lists the monitors. Every
span has the same tag."""

WARNING_SHARE = 0.5
"""A monitor warns at this share of its threshold."""

RECOVERY_SHARE = 0.8
"""A monitor recovers below this share of the value at which it alerts or warns, to avoid flaps."""

NEW_GROUP_DELAY_SECS = 300
"""For how long after a new service appears its monitors do not alert."""

QUIET_HOURS_TO_RESOLVE = 4
"""An alert resolves if the service sends no data for so long, since bots have no calls at night."""


@dataclass(frozen=True, slots=True)
class Alert:
    """The properties that differ from monitor to monitor.

    Attributes:
        key: The key of the monitor's definition.
        title: The subject of its notifications.
        query: The query, without the comparison.
        threshold: The value that is compared with; the monitor alerts if the comparison is true.
        text: The text of its notifications.
        evidence: The traces and log lines to link to.
        priority: Datadog's priority, from 1 (highest) to 5.
        has_warning: Whether it warns before it alerts.
        options: Additional options in Datadog's format.
        compare: The operator of the comparison.
    """

    key: str
    title: str
    query: str
    threshold: float
    text: AlertText
    evidence: Evidence
    priority: int = 3
    has_warning: bool = True
    options: dict[str, Any] = field(default_factory=dict)
    compare: str = ">"


def scope(options: Options) -> list[str]:
    """Return the tags of the bots to watch; empty for all bots."""
    named = ((metric_tags.SERVICE, options.service), (metric_tags.ENV, options.env))
    return [f"{tag}:{value}" for tag, value in named if value]


def share(
    window: str, part: str, whole: str, least: int, *, whole_may_be_missing: bool = False
) -> str:
    """Return a query of a percentage of metrics.

    Args:
        window: The period, such as ``30m``.
        part: A query that counts the events in question. If there are none, bots send no points,
            so missing points count as zero.
        whole: A query that counts all events.
        least: The number that is added to the total.
        whole_may_be_missing: Whether there can be events in question without any in ``whole``.
    """
    if whole_may_be_missing:
        whole = f"default_zero({whole})"
    return f"sum(last_{window}):100 * default_zero({part}) / ({whole} + {least})"


def longer_than(secs: float) -> str:
    """Return the values of a tag like ``within`` that mean longer than this, for a filter.

    Args:
        secs: One of the seconds that the tag knows.
    """
    longer = [within(more) for more in WITHIN_SECS if more > secs]
    return f"({','.join([*longer, BEYOND])})"


def line_share(
    window: str, part: str, whole: str, least: int, options: Options
) -> tuple[str, list[Body]]:
    """Return a query of a percentage of log lines, and the definitions of its two counts.

    Args:
        window: The period, such as ``15m``.
        part: A search for the lines in question.
        whole: A search for all lines.
        least: The number that is added to the total.
        options: The options with the service and environment to watch.
    """
    counts = [
        _line_count(name, " ".join([*scope(options), query]))
        for name, query in (("part", part), ("whole", whole))
    ]
    return f'formula("100 * part / (whole + {least})").last("{window}")', counts


def monitor(alert: Alert, options: Options) -> Definition:
    """Return the definition of a monitor."""
    of_lines = alert.query.startswith("formula(")
    where = f" ({options.scope})" if options.is_scoped else ""
    return Definition(
        Kind.MONITOR,
        alert.key,
        alert.title + where,
        {
            "name": f"[Pipecat] {alert.title} in {{{{service.name}}}}{where}",
            "type": "log alert" if of_lines else "query alert",
            "query": f"{alert.query} {alert.compare} {alert.threshold:g}",
            "message": message(alert.text, alert.evidence, options),
            "tags": [
                *Mark(alert.key, scope=options.scope).as_tags(),
                SUMMARY_TAG,
                *scope(options),
            ],
            "priority": alert.priority,
            "options": {
                "thresholds": _thresholds(alert.threshold)
                if alert.has_warning
                else _only(alert.threshold),
                "include_tags": True,
                "new_group_delay": NEW_GROUP_DELAY_SECS,
                "timeout_h": QUIET_HOURS_TO_RESOLVE,
                **({} if of_lines else {"require_full_window": False, "notify_no_data": False}),
                **alert.options,
            },
        },
        options.scope,
    )


def _only(threshold: float) -> Body:
    return {"critical": float(threshold)}


def _thresholds(threshold: float) -> Body:
    warning = _rounded(threshold * WARNING_SHARE)
    return {
        "critical": float(threshold),
        "critical_recovery": _rounded(threshold * RECOVERY_SHARE),
        "warning": warning,
        "warning_recovery": _rounded(warning * RECOVERY_SHARE),
    }


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


def _line_count(name: str, query: str, by: Sequence[str] = (metric_tags.SERVICE,)) -> Body:
    count: Body = {"aggregation": "count"}
    return {
        "name": name,
        "data_source": "logs",
        "search": {"query": query},
        "indexes": ["*"],
        "compute": count,
        "group_by": [
            {"facet": facet, "limit": 100, "sort": {**count, "order": "desc"}} for facet in by
        ],
    }

"""How a monitor is made: a share with its least number, thresholds, options, tags.

A share of few is no rate: one failed turn of two is half of them, and no outage. So a number of
good ones is added to those there were. With 20 turns added, 10 % are three failed turns of seven,
or five of 20, or 13 of 100, or 103 of 1,000. (Datadog sums each count over the window before it
divides, so the number is added once. A clamp would be applied to each of the window's points.)
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pipecat_dd.cli.setup.definition import Body, Definition, Kind, Mark
from pipecat_dd.cli.setup.definitions.messages import Evidence, Words, message
from pipecat_dd.cli.setup.options import Options
from pipecat_dd.names import metric_tags, tags

SUMMARY_TAG = f"{tags.COMPONENT}:pipecat"
"""On every monitor, exported ones too: by this the dashboard's summary lists them. The same as on
every span."""

WARNING_SHARE = 0.5
"""A monitor warns from this share of its threshold on."""

RECOVERY_SHARE = 0.8
"""It has recovered below this share of what it alerted or warned at, so that it does not flap."""

NEW_GROUP_DELAY_SECS = 300
"""For how long a service that is new is not judged."""

QUIET_HOURS_TO_RESOLVE = 4
"""A service without any data for so long is no longer called ill: nobody talks at night."""


@dataclass(frozen=True, slots=True)
class Alert:
    """What differs from monitor to monitor.

    Attributes:
        key: Which one it is.
        title: What stands in the notification's subject.
        query: The query, without its comparison.
        over: The value above which it alerts.
        words: What it says.
        evidence: Where to see it.
        priority: Datadog's, from 1 (highest) to 5.
        has_warning: Whether it warns before it alerts.
        options: Options of this monitor's own.
        compare: How the value is compared.
    """

    key: str
    title: str
    query: str
    over: float
    words: Words
    evidence: Evidence
    priority: int = 3
    has_warning: bool = True
    options: dict[str, Any] = field(default_factory=dict)
    compare: str = ">"


def scope(options: Options) -> list[str]:
    """Return of which bots, as tags.

    Args:
        options: What the user chose.
    """
    named = ((metric_tags.SERVICE, options.service), (metric_tags.ENV, options.env))
    return [f"{tag}:{value}" for tag, value in named if value]


def share(window: str, part: str, whole: str, least: int, *, whole_may_lack: bool = False) -> str:
    """Return a query of how many of 100 there were.

    Args:
        window: Over which time: ``30m``.
        part: Counts those that are meant. What did not happen is not sent: without points there
            are none of them, not an unknown number.
        whole: Counts all of them.
        least: How many are added to all of them.
        whole_may_lack: Whether the part can be there without any of the whole.
    """
    if whole_may_lack:
        whole = f"default_zero({whole})"
    return f"sum(last_{window}):100 * default_zero({part}) / ({whole} + {least})"


def line_share(
    window: str, part: str, whole: str, least: int, options: Options
) -> tuple[str, list[Body]]:
    """Return a query of how many of 100 lines are of a kind, and the counts it is made of.

    Args:
        window: Over which time: ``15m``.
        part: The search for those that are meant.
        whole: The search for all of them.
        least: How many are added to all of them.
        options: What is watched.
    """
    counts = [
        _line_count(name, " ".join([*scope(options), query]))
        for name, query in (("part", part), ("whole", whole))
    ]
    return f'formula("100 * part / (whole + {least})").last("{window}")', counts


def monitor(alert: Alert, options: Options) -> Definition:
    """Return a monitor.

    Args:
        alert: What differs from the others.
        options: When they alert, whom they tell, and what they watch.
    """
    of_lines = alert.query.startswith("formula(")
    where = f" ({options.scope})" if options.is_scoped else ""
    return Definition(
        Kind.MONITOR,
        alert.key,
        alert.title + where,
        {
            "name": f"[Pipecat] {alert.title} in {{{{service.name}}}}{where}",
            "type": "log alert" if of_lines else "query alert",
            "query": f"{alert.query} {alert.compare} {alert.over:g}",
            "message": message(alert.words, alert.evidence, options),
            "tags": [
                *Mark(alert.key, scope=options.scope).as_tags(),
                SUMMARY_TAG,
                *scope(options),
            ],
            "priority": alert.priority,
            "options": {
                "thresholds": _thresholds(alert.over) if alert.has_warning else _only(alert.over),
                "include_tags": True,
                "new_group_delay": NEW_GROUP_DELAY_SECS,
                "timeout_h": QUIET_HOURS_TO_RESOLVE,
                **({} if of_lines else {"require_full_window": False, "notify_no_data": False}),
                **alert.options,
            },
        },
        options.scope,
    )


def _only(over: float) -> Body:
    return {"critical": float(over)}


def _thresholds(over: float) -> Body:
    warning = _rounded(over * WARNING_SHARE)
    return {
        "critical": float(over),
        "critical_recovery": _rounded(over * RECOVERY_SHARE),
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

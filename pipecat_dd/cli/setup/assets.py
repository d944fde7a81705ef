"""Definitions in the form of Datadog's own integrations: what a tile in its catalogue is made of.

Written from the same contracts as all else: ``metadata.csv`` describes each metric, and each
monitor stands in a file of its own as a template that a user is offered. What Datadog's validator
wants of them (``ddev validate metadata``, ``ddev validate monitors``) is held by tests.
"""

import csv
import io
import re
from collections.abc import Iterable
from pathlib import Path

from pipecat_dd.cli.setup.definition import Body, Definition, Kind
from pipecat_dd.cli.setup.definitions.descriptions import datadog_unit
from pipecat_dd.names import metrics
from pipecat_dd.names.metrics import METRICS, Type

INTEGRATION = "pipecat_dd"
"""What it would be called there."""

COLUMNS = (
    "metric_name",
    "metric_type",
    "interval",
    "unit_name",
    "per_unit_name",
    "description",
    "orientation",
    "integration",
    "short_name",
    "curated_metric",
    "sample_tags",
)

MONITORS = Path("assets") / "monitors"

_AS_OF = "2026-11-29"
"""When the monitors took this form: a date that does not change from run to run."""

_MOST_CHARS = 300
"""How long a monitor's description may be."""

# The catalogue knows no distributions: Datadog's own integrations list theirs as gauges.
_TYPES = {Type.DISTRIBUTION: "gauge", Type.COUNT: "count", Type.GAUGE: "gauge"}

_WORSE_IF_MORE = frozenset(
    {
        metrics.ERRORS,
        metrics.EVENT_LOOP_LAG_SECONDS,
        metrics.LOGS_DROPPED,
        metrics.OBSERVER_FAILURES,
        metrics.OBSERVER_PARTS_OFF,
        metrics.OBSERVER_SHED,
        metrics.TURN_USER_BOT_LATENCY_SECONDS,
    }
)


def metadata_csv() -> str:
    """Return what describes each metric that bots send."""
    text = io.StringIO()
    rows = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    rows.writeheader()
    for metric in METRICS:
        rows.writerow(
            {
                "metric_name": metric.name,
                "metric_type": _TYPES[metric.type],
                "unit_name": datadog_unit(metric),
                "description": metric.meaning,
                "orientation": "-1" if metric.name in _WORSE_IF_MORE else "0",
                "integration": INTEGRATION,
                "short_name": metric.name.removeprefix(metrics.PREFIX).replace(".", " "),
                "sample_tags": ",".join(metric.tags),
            }
        )
    return text.getvalue()


def monitor_templates(things: Iterable[Definition]) -> dict[Path, Body]:
    """Return each monitor in the catalogue's form, by the file it stands in.

    Args:
        things: What is wanted, without marks.
    """
    templates: dict[Path, Body] = {}
    for thing in things:
        if thing.kind is not Kind.MONITOR:
            continue
        definition = thing.body
        templates[MONITORS / f"{thing.key.replace('-', '_')}.json"] = {
            "version": 2,
            "created_at": _AS_OF,
            "last_updated_at": _AS_OF,
            "title": thing.title,
            "tags": [f"integration:{INTEGRATION}"],
            "description": _description(definition["message"]),
            "definition": definition,
        }
    return templates


def _description(message: str) -> str:
    """Return what happened, and what to look at first, as far as there is room."""
    block = message.split("}}\n", 1)[1].partition("{{/")[0]
    plain = block.partition("\n\n- [")[0]
    plain = plain.replace("{{value}} %", "too large a share").replace("{{value}}", "too many")
    plain = plain[:1].upper() + plain[1:]
    sentences = re.split(r"(?<=[.?)]) ", " ".join(plain.split()))
    text = sentences[0]
    for sentence in sentences[1:]:
        if len(text) + 1 + len(sentence) > _MOST_CHARS:
            break
        text = f"{text} {sentence}"
    return text

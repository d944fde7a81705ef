"""Definitions in the format of Datadog's own integrations, the assets of a tile in its catalogue.

They are generated from the same contracts as everything else: ``metadata.csv`` describes each
metric, and each monitor is a template in a file of its own. Tests check what Datadog's validator
requires (``ddev validate metadata``, ``ddev validate monitors``).
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
"""The name of the integration in the catalogue."""

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
"""When the monitors last changed. The date is fixed, so that every export is the same."""

_MOST_CHARS = 300
"""The maximum length of a monitor's description."""

# The catalogue has no distributions: Datadog's own integrations list them as gauges.
_TYPES = {Type.DISTRIBUTION: "gauge", Type.COUNT: "count", Type.GAUGE: "gauge"}

_WORSE_IF_MORE = frozenset(
    {
        metrics.ERRORS,
        metrics.EVENT_LOOP_BLOCKED_SECONDS,
        metrics.EVENT_LOOP_LAG_SECONDS,
        metrics.LOGS_DROPPED,
        metrics.OBSERVER_FAILURES,
        metrics.OBSERVER_PARTS_OFF,
        metrics.OBSERVER_SHED,
        metrics.SERVICE_RECONNECT_SECONDS,
        metrics.SESSION_FIRST_SPEECH_SECONDS,
        metrics.SESSION_LONGEST_BOT_SILENCE_SECONDS,
        metrics.SESSION_LONGEST_SILENCE_SECONDS,
        metrics.TURN_USER_BOT_LATENCY_SECONDS,
        metrics.USER_AUDIO_GAPS,
        metrics.USER_AUDIO_GAP_SECONDS,
        metrics.USER_AUDIO_MISSING,
        metrics.VOICE_GAPS,
        metrics.VOICE_GAP_SECONDS,
    }
)


def metadata_csv() -> str:
    """Return ``metadata.csv``, which describes each metric that bots send."""
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


def monitor_templates(definitions: Iterable[Definition]) -> dict[Path, Body]:
    """Return each monitor in the catalogue's format, by its file.

    Args:
        definitions: The definitions of all kinds, without marks.
    """
    templates: dict[Path, Body] = {}
    for definition in definitions:
        if definition.kind is not Kind.MONITOR:
            continue
        body = definition.body
        templates[MONITORS / f"{definition.key.replace('-', '_')}.json"] = {
            "version": 2,
            "created_at": _AS_OF,
            "last_updated_at": _AS_OF,
            "title": definition.title,
            "tags": [f"integration:{INTEGRATION}"],
            "description": _description(body["message"]),
            "definition": body,
        }
    return templates


def _description(message: str) -> str:
    """Return the beginning of a monitor's message, as many sentences as fit."""
    block = message.split("}}\n", 1)[1].partition("{{/")[0]
    plain = block.partition("\n\n- [")[0]
    for value, words in (
        ("{{value}} %", "too large a share"),
        ("{{value}} seconds", "too high"),
        ("{{value}}", "too many"),
    ):
        plain = plain.replace(value, words)
    plain = plain[:1].upper() + plain[1:]
    sentences = re.split(r"(?<=[.?)]) ", " ".join(plain.split()))
    text = sentences[0]
    for sentence in sentences[1:]:
        if len(text) + 1 + len(sentence) > _MOST_CHARS:
            break
        text = f"{text} {sentence}"
    return text

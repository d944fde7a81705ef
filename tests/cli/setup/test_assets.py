"""What stands beside the export, in the form of Datadog's catalogue of integrations."""

import csv
import io
import json
import re

import pytest

from pipecat_dd.cli.setup.assets import COLUMNS, metadata_csv, monitor_templates
from pipecat_dd.cli.setup.definition import OWNER, Kind
from pipecat_dd.cli.setup.definitions import wanted
from pipecat_dd.cli.setup.exporting import unmarked
from pipecat_dd.cli.setup.options import Options
from pipecat_dd.names.metrics import METRICS

ROWS = {row["metric_name"]: row for row in csv.DictReader(io.StringIO(metadata_csv()))}
TEMPLATES = monitor_templates([unmarked(thing) for thing in wanted(Options())])

UNITS = {
    *("second", "session", "error", "token", "user", "event", "occurrence", "item", "record"),
    "unit",
}
"""Those of ours among the names that ``ddev validate metadata`` knows."""


def test_each_metric_that_is_sent_has_its_row_and_nothing_else_has():
    assert list(ROWS) == [metric.name for metric in METRICS]
    assert tuple(next(iter(ROWS.values()))) == COLUMNS


@pytest.mark.parametrize("metric", METRICS, ids=lambda one: one.name)
def test_a_row_is_what_datadogs_validator_takes(metric):
    row = ROWS[metric.name]
    assert row["metric_type"] in ("count", "gauge", "rate")
    assert row["unit_name"] in UNITS
    assert row["orientation"] in ("-1", "0", "1")
    assert row["integration"] == "pipecat_dd"
    assert 0 < len(row["description"]) <= 400
    assert "|" not in row["description"]
    assert not re.search(r"[^\x00-\x7f]", "".join(row.values()))


def test_each_monitor_has_its_template():
    monitors = [thing for thing in wanted(Options()) if thing.kind is Kind.MONITOR]
    assert [path.stem.replace("_", "-") for path in TEMPLATES] == [one.key for one in monitors]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_a_template_is_what_datadogs_validator_takes(path):
    template = TEMPLATES[path]
    assert set(template) == {
        "version",
        "created_at",
        "last_updated_at",
        "title",
        "tags",
        "description",
        "definition",
    }
    assert template["version"] == 2
    assert 0 < len(template["title"]) <= 60
    assert 0 < len(template["description"]) <= 300
    assert "{{" not in template["description"]
    assert template["tags"] == ["integration:pipecat_dd"]
    assert {"name", "type", "query", "message", "tags", "options"} <= set(template["definition"])
    assert OWNER not in json.dumps(template)


def test_they_stand_beside_the_export(setup, tmp_path):
    setup("--export", str(tmp_path))
    assert (tmp_path / "metadata.csv").read_text("utf8") == metadata_csv()
    for path, template in TEMPLATES.items():
        assert json.loads((tmp_path / path).read_text("utf8")) == template

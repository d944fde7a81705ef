"""docs/deploy/agentless.md shows what runs, and names all that can be set and counted."""

import json
import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

from pipecat_dd.export.shipping import Reason, Shipping
from pipecat_dd.settings import table
from pipecat_dd.settings.setting import Setting, Taker
from tests.support.intake import KEY, Intake

TEXT = (Path(__file__).parents[3] / "docs" / "deploy" / "agentless.md").read_text("utf8")
EXAMPLES = re.findall(r"```python\n(.*?)```", TEXT, re.S)


def test_the_examples_run(tmp_path: Path, intake: Intake) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(EXAMPLES)],
        cwd=tmp_path,
        env={
            **os.environ,
            "DD_API_KEY": KEY,
            "PIPECAT_DD_SHIP_URL": intake.url,
            "PYTHONPATH": os.pathsep.join(sys.path),
        },
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert intake.messages == ["This line goes to standard output, and to Datadog"]
    line, counted = done.stdout.splitlines()
    assert intake.messages[0] in line
    assert json.loads(counted) == {"shipped": 1, "dropped": 0}


def test_every_setting_and_its_variable_is_in_the_table() -> None:
    of_shipping = table.taken_by(Taker.SHIPPING)
    assert [setting.argument for setting in of_shipping] == [one.name for one in fields(Shipping)]
    for setting in of_shipping:
        row = rf"^\| `{setting.argument}`.*\| `{setting.variable}`"
        assert re.search(row, TEXT, re.M), setting.argument
    assert str(table.SHIP.variable) in TEXT


def test_every_reason_is_in_the_table() -> None:
    for reason in Reason:
        assert re.search(rf"^\|.*`{reason}`", TEXT, re.M), reason


def test_the_defaults_are_those_of_the_code() -> None:
    shown: tuple[tuple[Setting[object], str], ...] = (
        (table.SITE, "`datadoghq.com`"),
        (table.SOURCE, "`python`"),
        (table.FLUSH_INTERVAL_SECS, "2"),
        (table.TIMEOUT_SECS, "10"),
        (table.MAX_MEMORY_BYTES, "32 MiB"),
        (table.MAX_SPOOL_BYTES, "256 MiB"),
    )
    for setting, default in shown:
        number, _, unit = default.strip("`").partition(" ")
        if number.isdigit():
            assert setting.default == int(number) * (2**20 if unit else 1)
        else:
            assert setting.default == number
        row = rf"^\| `{setting.argument}`.*\| {default} \|$"
        assert re.search(row, TEXT, re.M), setting.argument

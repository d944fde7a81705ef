"""docs/agentless.md shows what runs, and names all that can be set and counted."""

import json
import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

from pipecat_dd.export.shipping import Reason, Shipping, settings
from tests.support.intake import KEY, Intake

TEXT = (Path(__file__).parents[3] / "docs" / "agentless.md").read_text("utf8")
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
    own = {"api_key": "DD_API_KEY", "site": "DD_SITE", "hostname": "DD_HOSTNAME"}
    for setting in fields(Shipping):
        variable = own.get(setting.name, settings.ENV_PREFIX + setting.name.upper())
        assert re.search(rf"^\| `{setting.name}`.*\| `{variable}`", TEXT, re.M), setting.name
    assert settings.SWITCH in TEXT


def test_every_reason_is_in_the_table() -> None:
    for reason in Reason:
        assert re.search(rf"^\|.*`{reason}`", TEXT, re.M), reason


def test_the_defaults_are_those_of_the_code() -> None:
    for name, shown in (
        ("flush_interval_secs", "2"),
        ("timeout_secs", "10"),
        ("max_memory_bytes", "32 MiB"),
        ("max_spool_bytes", "256 MiB"),
    ):
        default = getattr(settings, f"DEFAULT_{name.upper()}")
        number, _, unit = shown.partition(" ")
        assert default == int(number) * (2**20 if unit else 1)
        assert re.search(rf"^\| `{name}`.*\| {shown} \|$", TEXT, re.M), name

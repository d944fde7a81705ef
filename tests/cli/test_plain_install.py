"""What the plain install has, without any extra."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]

# Runs the commands as they are where no extra is installed.
WITHOUT = """
import sys
for name in ("datadog", "datadog_api_client", "ddapm_test_agent", "soundfile"):
    sys.modules[name] = None
from click.testing import CliRunner
from pipecat_dd.cli.main import main
for words in (["--help"], ["view", "--help"], ["report", "--help"], ["doctor", "--help"],
              ["setup-file"], ["report", "--from", sys.argv[1]]):
    done = CliRunner().invoke(main, words)
    print(done.exit_code, done.output.splitlines()[-1])
heavy = [name for name in ("pipecat", "ddtrace") if name in sys.modules]
print("imported", heavy)
"""


def test_view_report_doctor_and_help_need_no_extra(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, str(tmp_path)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    *commands, nothing, imported = done.stdout.splitlines()
    assert [line[0] for line in commands] == ["0"] * 5
    assert nothing.startswith("1 Error: ")
    assert "contains nothing" in nothing
    # They start at once.
    assert imported == "imported []"


def test_what_the_commands_import_is_in_the_plain_install() -> None:
    plain = {re.split(r"[<>=\[;]", one)[0] for one in PROJECT["dependencies"]}
    assert {"aiohttp", "click", "msgpack", "packaging", "python-dotenv", "rich"} <= plain
    # The names of the extras are in use in people's requirements.
    assert PROJECT["optional-dependencies"].keys() == {"daily", "demo", "metrics", "setup"}

"""The command line where its extra is not installed."""

import os
import subprocess
import sys

import pytest

# Runs the command line as it is where a package is not installed.
WITHOUT = """
import sys
sys.modules[{module!r}] = None
sys.argv = ["pipecat-dd", "setup", *{options!r}]
from pipecat_dd.cli.main import main
main()
"""


def run(module: str, *options: str) -> "subprocess.CompletedProcess[str]":
    env = {name: value for name, value in os.environ.items() if not name.startswith("DD_")}
    return subprocess.run(
        [sys.executable, "-c", WITHOUT.format(module=module, options=options)],
        capture_output=True,
        text=True,
        env={**env, "LOGURU_LEVEL": "CRITICAL"},
    )


@pytest.mark.parametrize("module", ["click", "datadog_api_client"])
def test_a_missing_extra_is_one_sentence_that_says_what_to_install(module):
    done = run(module)
    assert done.returncode == 1
    assert done.stdout == ""
    (sentence,) = done.stderr.splitlines()
    assert module in sentence
    assert "pip install 'pipecat-dd[setup]'" in sentence


def test_exporting_needs_no_client_of_datadogs(tmp_path):
    done = run("datadog_api_client", "--export", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "requests.json").exists()

import os
import subprocess
import sys

import pytest
from click.testing import CliRunner
from loguru import logger

import pipecat_dd.cli.demo.show
from pipecat_dd.cli.main import main

# Runs the command line as it is where a package is not installed.
WITHOUT = """
import sys
sys.modules[{module!r}] = None
sys.argv = ["pipecat-dd", "demo"]
from pipecat_dd.cli.main import main
main()
"""


@pytest.mark.parametrize("module", ["click", "rich", "aiohttp", "soundfile"])
def test_a_missing_extra_is_one_sentence_that_says_what_to_install(module):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT.format(module=module)],
        capture_output=True,
        text=True,
        env={**os.environ, "LOGURU_LEVEL": "CRITICAL"},
    )
    assert done.returncode == 1
    assert done.stdout == ""
    (sentence,) = done.stderr.splitlines()
    assert module in sentence
    assert "pip install 'pipecat-dd[demo]'" in sentence


def test_help_names_the_commands():
    done = CliRunner().invoke(main, ["--help"])
    assert done.exit_code == 0
    assert "demo" in done.output


def test_an_unknown_option_is_refused():
    done = CliRunner().invoke(main, ["demo", "--nonsense"])
    assert done.exit_code == 2
    assert "--nonsense" in done.output


def test_out_must_not_be_a_file(tmp_path):
    file = tmp_path / "file"
    file.touch()
    done = CliRunner().invoke(main, ["demo", "--out", str(file)])
    assert done.exit_code == 2


@pytest.mark.parametrize("exit_code", [0, 1])
def test_the_exit_code_is_that_of_the_demo(monkeypatch, tmp_path, exit_code):
    asked = {}

    def run_demo(console, out, *, all_lines, has_page):
        asked.update(out=out, all_lines=all_lines, colour=console.color_system, page=has_page)
        return exit_code

    monkeypatch.setattr(pipecat_dd.cli.demo.show, "run_demo", run_demo)
    done = CliRunner().invoke(main, ["demo", "--out", str(tmp_path), "--all-lines", "--plain"])
    assert done.exit_code == exit_code
    assert asked == {"out": tmp_path, "all_lines": True, "colour": None, "page": False}


@pytest.mark.skipif(os.name != "posix", reason="needs a file that nobody can write under")
def test_an_out_directory_that_cannot_be_made_is_said_without_a_traceback():
    done = CliRunner().invoke(main, ["demo", "--out", "/dev/null/demo"])
    assert done.exit_code == 1
    assert "/dev/null/demo" in done.output
    assert done.exception is None or isinstance(done.exception, SystemExit)


def test_pipecats_lines_are_held_back_in_the_command_and_nowhere_else(monkeypatch, tmp_path):
    lines = []

    def pipecat_says(text):
        exec(f"logger.info({text!r})", {"__name__": "pipecat.pipeline", "logger": logger})

    def run_demo(console, out, *, all_lines, has_page):
        pipecat_says("during")
        return 0

    monkeypatch.setattr(pipecat_dd.cli.demo.show, "run_demo", run_demo)
    handler = logger.add(lambda message: lines.append(message.record["message"]))
    try:
        assert CliRunner().invoke(main, ["demo", "--out", str(tmp_path)]).exit_code == 0
        pipecat_says("afterwards")
    finally:
        logger.remove(handler)
    assert lines == ["afterwards"]

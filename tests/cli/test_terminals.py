"""The commands' output where there is ASCII alone, few columns, no colours, or a pipe."""

import os
import resource
import subprocess
import sys
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest
from rich.console import Console

from pipecat_dd.cli.demo.environment import quiet_environment
from pipecat_dd.cli.demo.received import receive
from pipecat_dd.cli.demo.tree import draw
from tests.cli.demo.sample import conversation, write_lines
from tests.cli.report.test_report import call, keep

ROOT = Path(__file__).parents[2]
POOR = {
    "LANG": "C",
    "LC_ALL": "C",
    "PYTHONUTF8": "0",
    "PYTHONCOERCECLOCALE": "0",
    "PYTHONIOENCODING": "ascii",
    "COLUMNS": "40",
    "NO_COLOR": "1",
}
ENCODINGS = {"ascii": "ascii", "latin": "latin-1", "utf": "utf-8"}


def run(*arguments: str, cwd: Path, **variables: str) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [sys.executable, "-m", "pipecat_dd.cli", *arguments],
        env={**quiet_environment(), "PYTHONPATH": str(ROOT), **POOR, **variables},
        cwd=cwd,
        capture_output=True,
        timeout=60,
    )


COMMANDS = {
    "doctor": (["doctor"], (0, 1)),
    "doctor --json": (["doctor", "--json"], (0, 1)),
    "setup without keys": (["setup"], (3,)),
    "setup --export": (["setup", "--export", "assets"], (0,)),
    "report --text": (["report", "--from", "kept", "--text"], (0,)),
    "report of nothing": (["report", "--from", "empty", "--text"], (1,)),
    "setup-file": (["setup-file"], (0,)),
    "an unknown command": (["überblick"], (2,)),
}


@pytest.mark.parametrize("encoding", ENCODINGS.values(), ids=ENCODINGS)
@pytest.mark.parametrize(("arguments", "codes"), COMMANDS.values(), ids=COMMANDS)
def test_each_commands_output_is_readable_on_a_poor_terminal(
    arguments: list[str], codes: tuple[int, ...], encoding: str, tmp_path: Path
) -> None:
    keep(tmp_path / "kept", call())
    (tmp_path / "empty").mkdir()
    done = run(*arguments, cwd=tmp_path, PYTHONIOENCODING=encoding)
    out, err = done.stdout.decode(encoding), done.stderr.decode(encoding)
    assert done.returncode in codes, err
    assert out or err
    for text in (out, err):
        assert "Traceback" not in text
        assert "\x1b" not in text
        assert "Pipecat 1" not in text or arguments[0] == "doctor", "Pipecat's greeting"
    if arguments == ["doctor"]:
        assert max(map(len, out.splitlines())) <= 40
        # What is right, what is a note and what is a problem are told apart.
        marks = {line[2] for line in out.splitlines() if line[:2] == "  " and line[3:4] == " "}
        assert {"+", "*"} <= marks if encoding != "utf-8" else {"✓", "•"} <= marks
        assert "?" not in marks


def test_the_demos_tree_fits_40_columns_of_ascii(tmp_path: Path) -> None:
    chunks, lines = conversation()
    received = receive(chunks, write_lines(tmp_path / "lines", lines))
    written = BytesIO()
    stream = TextIOWrapper(written, encoding="ascii", errors="pipecat_dd.plain")
    console = Console(file=stream, width=40, color_system=None)
    console.print(draw(received, all_lines=True))
    stream.flush()
    rows = written.getvalue().decode("ascii").splitlines()
    assert len(rows) > 5
    assert max(map(len, rows)) <= 40
    assert "?" not in "".join(rows)


HELP = [
    "--help",
    "--version",
    *(f"{one} --help" for one in ("demo", "doctor", "report", "setup", "view")),
]


@pytest.mark.parametrize("words", HELP)
def test_help_is_quick_and_needs_nothing_beside_a_plain_install(words: str, tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "for name in ('datadog', 'datadog_api_client', 'ddapm_test_agent', 'soundfile', 'openai',"
        " 'pipecat', 'ddtrace'):\n"
        "    sys.modules[name] = None\n"
        "from pipecat_dd.cli.main import main\n"
        f"sys.argv = ['pipecat-dd', *{words.split()!r}]\n"
        "main()\n"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": str(ROOT)} | POOR,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(("Usage: pipecat-dd", "pipecat-dd "))
    assert not done.stderr
    assert (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime) < 0.5

"""Each command on each page is one that its program takes, and is run where it can be here."""

import re
import shutil
import subprocess
import tomllib
from collections.abc import Sequence
from pathlib import Path

import click
import pytest
from packaging.requirements import Requirement

from pipecat_dd.cli.main import main
from tests.support.docs import PAGES, ROOT, Block, Command, all_blocks, commands, name_of, prose
from tests.support.programs import run_python
from tests.test_docs_blocks import assert_known

SHELL = ("sh",)

OF_OTHERS = {
    "bash",
    "cat",
    "docker",
    "export",
    "helm",
    "install",
    "kubectl",
    "mkdir",
    "nox",
    "systemctl",
    "useradd",
    "usermod",
}
"""Programs of others: their commands were tried or read in their documentation, by hand."""

AGENT = {"agent", "datadog-agent"}
PYTHON = {"python", "python3"}
OF_PIPECAT = {("cloud", "secrets", "set"), ("cloud", "deploy")}
OF_UV = {"add", "lock", "sync", "run"}


def in_blocks() -> list[Command]:
    return [one for block in all_blocks(*SHELL) for one in commands(block.text, block.name)]


def in_prose(program: str) -> list[Command]:
    """The commands of a program that stand within sentences."""
    found = []
    for page in PAGES:
        for code in re.findall(r"`([^`\n]+)`", prose(page)):
            words = code.split()
            at = next((i for i, word in enumerate(words) if Path(word).name == program), None)
            # Before it there may be variables, or what starts it.
            if at is not None and not any(word.startswith("--") for word in words[:at]):
                found += commands(" ".join(words[at:]), name_of(page))
    return [one for one in found if one.program == program]


def named(command: Command) -> str:
    return f"{command.where} {' '.join(command.words)[:60]}"


def of(*programs: str) -> list[Command]:
    return [one for one in in_blocks() if one.program in programs]


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs a shell to ask")
@pytest.mark.parametrize("block", all_blocks(*SHELL), ids=lambda block: block.name)
def test_a_shell_takes_it(block: Block) -> None:
    done = subprocess.run(
        ["bash", "-n"], input=block.text, capture_output=True, text=True, timeout=10
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", in_blocks(), ids=named)
def test_its_program_and_its_variables_are_known(command: Command) -> None:
    known = {"pipecat-dd", "ddtrace-run", "pip", "pipecat", "uv", *AGENT, *PYTHON, *OF_OTHERS}
    assert command.program in known
    assert_known(name for name, _ in command.variables)
    if command.program == "docker":
        given = [re.sub("=.*", "", word) for word in command.words]
        assert_known(given[at + 1] for at, word in enumerate(given[:-1]) if word == "-e")


@pytest.mark.parametrize("command", [*of("pipecat-dd"), *in_prose("pipecat-dd")], ids=named)
def test_our_command_takes_these_options(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    parse(arguments(command, tmp_path))


def arguments(command: Command, folder: Path) -> list[str]:
    """Return a command's arguments, with the files that it names made in a folder."""
    # A line of usage names what may be given, in brackets.
    words = [word for word in command.words[1:] if not re.fullmatch(r"\[[A-Z]+\](\.\.\.)?", word)]
    for at, word in enumerate(words):
        name = Path(word).name
        if word.startswith("/"):
            words[at] = name
        if re.fullmatch(r"[\w./-]*(\.env|\.jsonl|\.py)", word):
            (folder / name).write_text("", "utf8")
        if word == "DIR":
            (folder / word).mkdir()
        # What a sentence leaves open.
        words[at] = words[at].replace("…", "x")
    return words


def parse(words: Sequence[str]) -> None:
    """Parse what is given to ``pipecat-dd``, by the command itself; nothing is run."""
    if not words:
        return
    context = click.Context(main)
    if words[0].startswith("-"):
        options = {name for param in main.get_params(context) for name in param.opts}
        assert set(words) <= options
        return
    _, command, rest = main.resolve_command(context, list(words))
    assert command is not None
    command.make_context(words[0], rest, parent=context)


def test_what_our_command_does_not_take_is_refused(tmp_path: Path) -> None:
    for words in (["doctor", "--sent"], ["docter"], ["view", "--port", "http"], ["--versions"]):
        with pytest.raises((click.UsageError, AssertionError)):
            parse(words)


OFFLINE = {"doctor": (0, 1), "setup-file": (0,)}
"""Which of our commands need nothing here, and how they may end: doctor finds no Agent."""


def to_run() -> list[Command]:
    """Each of those once, however many pages show it."""
    found = {
        one.words[1:]: one for one in of("pipecat-dd") if one.words[1:2] and one.words[1] in OFFLINE
    }
    return [one for one in found.values() if "--send" not in one.words]


@pytest.mark.parametrize("command", to_run(), ids=named)
def test_our_command_runs(command: Command, tmp_path: Path) -> None:
    words = arguments(command, tmp_path)
    (tmp_path / "bot.py").write_text("import ddtrace.auto\n", "utf8")
    done = run_python(
        *("-m", "pipecat_dd.cli", *words),
        cwd=tmp_path,
        variables={**dict(command.variables), "DD_TRACE_AGENT_URL": "http://127.0.0.1:9"},
        timeout_secs=90,
    )
    assert done.returncode in OFFLINE[words[0]], done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout


@pytest.mark.parametrize("command", [*of("pip"), *in_prose("pip")], ids=named)
def test_pip_takes_it_and_the_extras_exist(command: Command) -> None:
    from pip._internal.commands import create_command

    name, *rest = command.words[1:]
    options, what = create_command(name).parse_args(rest)
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf8"))["project"]
    for one in [*what, *(editable for editable in options.editables)]:
        if one.startswith("."):
            one = f"pipecat-dd{one.removeprefix('.')}"
        if one.startswith("pipecat-dd"):
            asked = Requirement(one)
            assert asked.name == "pipecat-dd"
            assert asked.extras <= set(extras["optional-dependencies"])


@pytest.mark.parametrize("command", [*of("uv"), *in_prose("uv")], ids=named)
def test_uv_takes_it(command: Command) -> None:
    assert command.words[1] in OF_UV


@pytest.mark.parametrize("command", of("ddtrace-run", *PYTHON), ids=named)
def test_what_is_started_is_the_bot_or_is_there(command: Command) -> None:
    words = list(command.words)
    if command.program == "ddtrace-run":
        assert Path(words.pop(1)).name in {"python", "pipecat-dd"}
        if Path(command.words[1]).name == "pipecat-dd":
            parse(command.words[2:])
            return
    if words[1] == "-m":
        module = words[2].replace(".", "/")
        known = {"venv", "pytest"}
        assert words[2] in known or (ROOT / module).is_dir() or (ROOT / f"{module}.py").exists()
        return
    assert Path(words[1]).name == "bot.py" or (ROOT / words[1]).exists()


@pytest.mark.parametrize("command", [*of(*AGENT), *in_prose("datadog-agent")], ids=named)
def test_the_agent_is_asked_for_its_status_only(command: Command) -> None:
    assert command.words[1:] == ("status",)


@pytest.mark.parametrize("command", of("pipecat"), ids=named)
def test_pipecat_s_command_is_one_that_was_tried(command: Command) -> None:
    """Its command line is not installed here: these were held against version 1.3 by hand.

    It takes secrets from a file or as ``KEY=value``.
    """
    words = command.words[1:]
    (known,) = (one for one in OF_PIPECAT if words[: len(one)] == one)
    rest = list(words[len(known) :])
    if known[-1] == "set":
        rest.pop(0)
        assert rest[:1] == ["--file"] or all("=" in word for word in rest)

"""How the bot is started is read from its command and source, and neither is run."""

from pathlib import Path

import pytest

from pipecat_dd.cli.doctor.start import Start


@pytest.fixture
def bot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "bot.py"
    path.write_text("raise SystemExit('it was run')")
    return path


@pytest.mark.parametrize(
    "command",
    [
        "ddtrace-run python bot.py",
        "uv run ddtrace-run python -m bot",
        "/opt/venv/bin/ddtrace-run uvicorn bot:app --port 80",
    ],
)
def test_ddtrace_run_is_seen(bot: Path, command: str) -> None:
    start = Start.read(command)
    assert start.auto
    assert start.source is not None
    assert start.source.resolve() == bot


@pytest.mark.parametrize(
    ("source", "by"),
    [
        ("import ddtrace.auto", "ddtrace-run or ddtrace.auto"),
        ("from ddtrace import auto", "ddtrace-run or ddtrace.auto"),
        ("from ddtrace import patch_all\npatch_all()", "patch_all()"),
        ("import ddtrace\nddtrace.patch_all(loguru=False)", "patch_all()"),
        ("import ddtrace\nddtrace.patch(openai=True, raise_errors=False)", "patch()"),
        ("import ddtrace", ""),
        ("from unittest.mock import patch\npatch('x')", ""),
        ("this is not Python", ""),
    ],
)
def test_what_the_source_patches_is_seen(bot: Path, source: str, by: str) -> None:
    bot.write_text(source)
    assert Start.read("python bot.py").by == by


def test_arguments_of_patch_all_are_seen(bot: Path) -> None:
    bot.write_text("from ddtrace import patch_all\npatch_all(loguru=False, openai=flag())")
    assert Start.read("python bot.py").patch_all == {"loguru": False}


def test_arguments_of_patch_are_seen(bot: Path) -> None:
    bot.write_text("import ddtrace\nddtrace.patch(openai=True, httpx=False, raise_errors=True)")
    assert Start.read("python bot.py").patch == {"openai": True, "httpx": False}


def test_variables_before_the_command_are_seen(bot: Path) -> None:
    start = Start.read("env DD_SERVICE=bot DD_ENV='my env' python bot.py --x=1")
    assert start.variables == {"DD_SERVICE": "bot", "DD_ENV": "my env"}


@pytest.mark.parametrize(
    ("source", "when"),
    [
        ("import ddtrace.auto\nfrom dotenv import load_dotenv\nload_dotenv()", "late"),
        ("from dotenv import load_dotenv\nload_dotenv()\nimport ddtrace.auto", "early"),
        ("from dotenv import load_dotenv\nload_dotenv()", "early"),
        ("import ddtrace.auto", ""),
    ],
)
def test_when_a_file_of_variables_is_loaded_is_seen(bot: Path, source: str, when: str) -> None:
    bot.write_text(source)
    assert Start.read("python bot.py").loads_env == when
    assert Start.read("ddtrace-run python bot.py").loads_env == ("late" if when else "")


@pytest.mark.parametrize("command", ["", "  ", "DD_SERVICE=bot", "python 'bot.py"])
def test_what_is_no_command_is_refused(command: str) -> None:
    with pytest.raises(ValueError, match=r"must be the command|quotation"):
        Start.read(command)


def test_a_command_that_leads_to_no_file_is_told_apart_from_none() -> None:
    start = Start.read("ddtrace-run gunicorn elsewhere:app")
    assert (start.is_given, start.auto, start.source) == (True, True, None)
    assert not Start().is_given

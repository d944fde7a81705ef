"""What the bot's own file says, and the files that it imports from beside it."""

from pathlib import Path

import pytest

from pipecat_dd.cli.doctor import source
from pipecat_dd.cli.doctor.finding import Finding, Level
from pipecat_dd.cli.doctor.start import Start
from tests.cli.doctor.running import found

WHOLE = """
from pipecat_dd import DatadogObserver, configure_logging
configure_logging()
PipelineTask(pipeline, observers=[DatadogObserver(metrics=True)])
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def judged(command: str = "python bot.py", **environ: str) -> dict[str, Finding]:
    start = Start.read(command)
    findings: dict[str, Finding] = {}
    for check in source.CHECKS:
        findings |= found(check, environ, start=start)
    return findings


def test_a_bot_with_all_is_told_so(here: Path) -> None:
    (here / "bot.py").write_text(WHOLE)
    findings = judged()
    assert {one.level for one in findings.values()} == {Level.OK}
    assert set(findings) == {"source.observer", "source.logging"}
    assert Start.read("python bot.py").metrics


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        (WHOLE.replace("DatadogObserver", "Other"), ["source.observer"]),
        (WHOLE.replace("configure_logging", "other"), ["source.logging"]),
        ("import pipecat", ["source.observer", "source.logging"]),
    ],
)
def test_what_it_lacks_is_a_problem(here: Path, text: str, missing: list[str]) -> None:
    (here / "bot.py").write_text(text)
    findings = judged()
    assert [key for key, one in findings.items() if one.level is Level.PROBLEM] == missing
    for check in missing:
        assert "bot.py" in findings[check].says


def test_those_who_format_lines_themselves_lack_nothing(here: Path) -> None:
    (here / "bot.py").write_text(WHOLE.replace("configure_logging", "datadog_format"))
    assert judged()["source.logging"].level is Level.OK


@pytest.mark.parametrize(
    ("imports", "path"),
    [
        ("import telling", "telling.py"),
        ("from telling import observers", "telling.py"),
        ("from app.telling import observers", "app/telling.py"),
        ("from app import telling", "app/telling.py"),
        ("import app.telling", "app/telling.py"),
        ("import first", "telling.py"),
    ],
)
def test_what_a_file_beside_it_does_counts(here: Path, imports: str, path: str) -> None:
    (here / "bot.py").write_text(f"{imports}\n")
    (here / "first.py").write_text("import bot\nimport telling\n")
    (here / path).parent.mkdir(exist_ok=True)
    (here / path).write_text(WHOLE)
    findings = judged()
    assert {one.level for one in findings.values()} == {Level.OK}
    assert Start.read("python bot.py").metrics


def test_relative_imports_of_a_package_are_followed(here: Path) -> None:
    (here / "app").mkdir()
    (here / "app" / "__main__.py").write_text("from .telling import observers\n")
    (here / "app" / "telling.py").write_text("from . import more\n")
    (here / "app" / "more.py").write_text(WHOLE)
    assert judged("python -m app")["source.observer"].level is Level.OK


def test_what_is_installed_is_not_read(here: Path) -> None:
    (here / "bot.py").write_text("import pipecat_dd\nimport os.path\nfrom . import nothing\n")
    assert Start.read("python bot.py").files_beside == ()
    assert judged()["source.observer"].level is Level.PROBLEM


@pytest.mark.parametrize("text", ["this is not Python", ""])
def test_what_cannot_be_read_is_not_judged(here: Path, text: str) -> None:
    (here / "bot.py").write_text(text)
    assert judged() == {}
    assert judged("python elsewhere.py") == {}


@pytest.mark.parametrize("otel", ["", "true"])
def test_pipecats_own_tracing_beside_ours_is_told(here: Path, otel: str) -> None:
    (here / "bot.py").write_text(WHOLE + "PipelineTask(pipeline, enable_tracing=True)\n")
    finding = judged(DD_TRACE_OTEL_ENABLED=otel)["source.pipecat_tracing"]
    assert finding.level is Level.NOTE
    assert ("billed" in finding.says) is bool(otel)
    (here / "bot.py").write_text(WHOLE + "PipelineTask(pipeline, enable_tracing=False)\n")
    assert "source.pipecat_tracing" not in judged()

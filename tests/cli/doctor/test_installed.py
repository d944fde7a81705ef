"""What is installed is named, and what does not go together is told."""

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from pipecat_dd.cli.doctor import installed
from pipecat_dd.cli.doctor.finding import Level
from tests.cli.doctor.running import found

PROJECT = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text("utf8"))["project"]


def test_what_is_installed_here_is_fine() -> None:
    findings = {**found(installed.python), **found(installed.packages), **found(installed.extras)}
    assert {finding.level for finding in findings.values()} == {Level.OK}
    assert findings["installed.ddtrace"].facts["version"]
    assert "demo" in findings["installed.extras"].says


def test_what_is_supported_is_what_the_package_requires() -> None:
    # What a bot imports; the rest is for the command, which has begun if this is asked.
    assert list(installed.NEEDED) == PROJECT["dependencies"][: len(installed.NEEDED)]
    oldest = "{}.{}".format(*installed.OLDEST_PYTHON)
    newest = "{}.{}".format(*installed.NEWEST_TESTED_PYTHON)
    assert PROJECT["requires-python"] == f">={oldest}"
    pythons = [one for one in PROJECT["classifiers"] if "Python :: 3." in one]
    assert (pythons[0][-4:], pythons[-1][-4:]) == (oldest, newest)


@pytest.mark.parametrize(
    ("version", "level"),
    [((3, 10), Level.PROBLEM), ((3, 11), Level.OK), ((3, 13), Level.OK), ((3, 14), Level.NOTE)],
)
def test_a_python_that_is_not_supported_is_told(version: tuple[int, int], level: Level) -> None:
    assert installed.judge_python(version, "3.x").level is level


@pytest.mark.parametrize(
    ("needed", "version", "level", "words"),
    [
        ("ddtrace>=4,<5", None, Level.PROBLEM, "pip install 'ddtrace<5,>=4'"),
        ("ddtrace>=4,<5", "3.18.1", Level.PROBLEM, "pip install 'ddtrace<5,>=4'"),
        ("ddtrace>=4,<5", "4.0.0rc1", Level.PROBLEM, "pip install"),
        ("ddtrace>=4,<5", "4.1.0rc1", Level.OK, ""),
        ("pipecat-ai>=1.0,<2", "0.0.86", Level.PROBLEM, "pip install"),
        ("pipecat-ai>=1.0,<2", "1.7.1", Level.NOTE, "versions.md"),
        ("pipecat-ai>=1.0,<2", "1.8.0", Level.OK, ""),
        ("pipecat-ai>=1.0,<2", "1.14.0", Level.OK, ""),
    ],
)
def test_a_version_that_is_not_supported_is_told_with_what_to_install(
    needed: str, version: str | None, level: Level, words: str
) -> None:
    finding = installed.judge_package(Requirement(needed), version)
    assert finding.level is level
    assert words in finding.do


def test_an_extra_that_is_not_whole_says_what_it_lacks() -> None:
    lacking = installed.missing_by_extra(
        [
            "loguru>=0.7",
            'click>=8.1; extra == "cli"',
            'click>=999; extra == "later"',
            'no-such-package>=1; extra == "demo"',
            'no-such-package>=1; python_version < "3" and extra == "old"',
            'pytest>=8; extra == "dev"',
        ]
    )
    assert lacking == {"cli": [], "later": ["click"], "demo": ["no-such-package"]}


def test_an_extra_lacks_what_the_extras_of_its_packages_lack(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    of_pipecat = [
        "loguru>=0.7",
        'pipecat-ai[websocket]; extra == "voices"',
        'no-such-voice>=1; extra == "voices"',
        'no-such-socket>=1; extra == "websocket"',
        'no-such-other>=1; extra == "other"',
    ]
    monkeypatch.setattr(installed.metadata, "requires", lambda name: of_pipecat)
    lacking = installed.missing_by_extra(['pipecat-ai[voices]>=1.0,<2; extra == "daily"'])
    assert lacking == {"daily": ["no-such-socket", "no-such-voice"]}


def test_a_package_that_cannot_be_imported_is_told_with_what_it_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_one.py").write_text("raise OSError('libfoo.so.1 is missing')")
    monkeypatch.syspath_prepend(tmp_path)
    finding = installed.check_import("broken-one", "broken_one")
    assert finding is not None
    assert finding.level is Level.PROBLEM
    assert "libfoo.so.1 is missing" in finding.says
    assert installed.check_import("loguru", "loguru") is None

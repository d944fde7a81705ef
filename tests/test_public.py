"""The public face: its names, and nothing else."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.version import Version

import pipecat_dd
import pipecat_dd.testing
from pipecat_dd.cli.main import main

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("module", [pipecat_dd, pipecat_dd.testing])
def test_dir_shows_what_is_public(module: object) -> None:
    names = dir(module)
    assert names == sorted(module.__all__)  # type: ignore[attr-defined]
    for name in names:
        assert getattr(module, name) is not None


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'pipecat_dd' has no attribute 'Observer'"):
        _ = pipecat_dd.Observer  # type: ignore[attr-defined]


def test_a_type_checker_knows_the_public_names_and_no_others(tmp_path: Path) -> None:
    (tmp_path / "user.py").write_text(
        "import pipecat_dd\n"
        "reveal_type(pipecat_dd.__version__)\n"
        "reveal_type(pipecat_dd.DatadogObserver().session_id)\n"
        "pipecat_dd.Observer\n"
    )
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--follow-imports=silent",
            "--cache-dir",
            str(ROOT / ".mypy_cache"),
            str(tmp_path),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.stdout.count('Revealed type is "str"') == 2
    assert 'Module has no attribute "Observer"' in done.stdout
    assert "Found 1 error" in done.stdout


def test_the_version_is_that_of_the_package_and_needs_no_import_of_pipecat() -> None:
    assert pipecat_dd.__version__ == importlib.metadata.version("pipecat-dd")
    assert Version(pipecat_dd.__version__)
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, pipecat_dd; print(pipecat_dd.__version__);"
            "print([one for one in ('pipecat', 'ddtrace', 'loguru') if one in sys.modules])",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.split("\n")[:2] == [pipecat_dd.__version__, "[]"]


def test_a_copy_that_was_not_installed_has_an_unknown_version_and_all_names(
    tmp_path: Path,
) -> None:
    archive = shutil.make_archive(str(tmp_path / "bot"), "zip", ROOT, "pipecat_dd")
    program = (
        "import importlib.metadata as metadata, sys\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "real = metadata.distribution\n"
        "def without_ours(name):\n"  # the tests' environment has it installed
        "    if name == 'pipecat-dd': raise metadata.PackageNotFoundError(name)\n"
        "    return real(name)\n"
        "metadata.distribution = without_ours\n"
        "import pipecat_dd\n"
        "from pipecat_dd import *\n"
        "print(pipecat_dd.__file__)\n"
        "print(DatadogObserver.__name__, __version__, pipecat_dd.__version__)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, archive],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": ""},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.split() == [
        str(Path(archive) / "pipecat_dd" / "__init__.py"),
        *("DatadogObserver", "unknown", "unknown"),
    ], done.stderr


def test_the_changelog_begins_with_the_version_of_the_package() -> None:
    text = (ROOT / "CHANGELOG.md").read_text("utf8")
    project = (ROOT / "pyproject.toml").read_text("utf8")
    version = re.search(r'^version = "(.+)"$', project, re.MULTILINE)
    assert version is not None
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    assert re.fullmatch(rf"\[{re.escape(version[1])}\] - \d{{4}}-\d\d-\d\d", headings[1])
    for name in re.findall(r"^## \[(.+?)\]", text, re.MULTILINE):
        assert f"\n[{name}]: https://" in text


def test_no_line_to_copy_uses_a_deprecated_name_of_pipecat() -> None:
    """`PipelineTask` is deprecated since Pipecat 1.3: it may only be named as the older name."""
    sources = [*ROOT.glob("*.md"), *(ROOT / "pipecat_dd").rglob("*.py"), ROOT / "examples"]
    files = [
        one
        for source in sources
        for one in ([source] if source.is_file() else source.rglob("*.py"))
    ]
    for file in files:
        assert "PipelineTask(" not in file.read_text("utf8"), file


def test_the_command_has_the_version() -> None:
    from click.testing import CliRunner

    done = CliRunner().invoke(main, ["--version"])
    assert done.output.strip().endswith(f" {importlib.metadata.version('pipecat-dd')}")


_EXTRA = re.compile(r"""(?:pipecat-dd|["'\s]\.)\[([\w,-]+)\]""")


def test_no_command_names_an_extra_that_does_not_exist() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf8"))["project"]
    extras = set(project["optional-dependencies"])
    folders = ("pipecat_dd", "docs", "examples", "benchmarks")
    files = [*ROOT.glob("*.md"), *ROOT.glob("*.py"), *(one for f in folders for one in _texts(f))]
    for file in files:
        for named in _EXTRA.findall(file.read_text("utf8")):
            assert set(named.split(",")) <= extras, (file, named)


def _texts(folder: str) -> list[Path]:
    return [one for one in (ROOT / folder).rglob("*") if one.suffix in (".md", ".py", ".yml")]

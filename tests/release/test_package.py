"""The built package: what the registry shows, what pip reads, what is in it."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
from html.parser import HTMLParser
from pathlib import Path
from zipfile import ZipFile

import pytest
import readme_renderer.markdown

from tests.release.building import ROOT, Built

REPOSITORY = "https://github.com/pipecat-dd/pipecat-dd"
RAW = "https://raw.githubusercontent.com/pipecat-dd/pipecat-dd"


class _Links(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attributes if name in ("href", "src") and value]


def test_twine_has_no_objection(built: Built) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "twine", "check", "--strict", str(built.sdist), str(built.wheel)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_readme_renders_and_each_link_is_absolute_and_leads_somewhere(built: Built) -> None:
    version = built.metadata["Version"]
    text = built.metadata.get_payload()
    rendered = readme_renderer.markdown.render(text)
    assert rendered
    links = _Links(rendered).found
    assert len(links) > 10
    for link in links:
        assert link.startswith(("https://", "#")), link
        for start in (f"{REPOSITORY}/blob/v{version}/", f"{RAW}/v{version}/"):
            if link.startswith(start):
                path = link.removeprefix(start).partition("#")[0]
                assert (ROOT / path).exists(), path
    assert f"{REPOSITORY}/blob/v{version}/docs/settings.md" in links


def test_images_are_of_the_host_that_serves_their_bytes(built: Built) -> None:
    for link in _Links(readme_renderer.markdown.render(built.metadata.get_payload()) or "").found:
        if re.search(r"\.(png|svg|gif|jpe?g|webp)$", link) and "shields.io" not in link:
            assert link.startswith(f"{RAW}/v{built.metadata['Version']}/"), link


def test_the_metadata_are_of_a_version_that_uploads_take(built: Built) -> None:
    """The action that uploads a release reads them with packaging 25, which ends at 2.4."""
    assert built.metadata["Metadata-Version"] == "2.4"


def test_users_get_the_extras_for_users_and_nothing_for_development(built: Built) -> None:
    metadata = built.metadata
    assert metadata.get_all("Provides-Extra") == ["daily", "demo", "metrics", "setup"]
    needed = {
        re.split(r"[\[<>=; ]", one)[0].lower() for one in metadata.get_all("Requires-Dist") or []
    }
    assert not needed & {"pytest", "ruff", "mypy", "nox", "hypothesis", "twine", "build"}
    assert {"Homepage", "Documentation", "Source", "Issues", "Changelog"} == {
        one.partition(",")[0] for one in metadata.get_all("Project-URL") or []
    }


def test_the_wheel_holds_the_package_alone_and_all_of_it(built: Built) -> None:
    with ZipFile(built.wheel) as archive:
        names = set(archive.namelist())
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"pipecat_dd"}
    for needed in ("py.typed", "_setup_file.py", "cli/view/page/index.html"):
        assert f"pipecat_dd/{needed}" in names
    assert any(name.endswith("cli/demo/recordings/user-1.ogg") for name in names)


def _of_sdist(built: Built) -> set[str]:
    with tarfile.open(built.sdist) as archive:
        return {one.name.partition("/")[2] for one in archive.getmembers() if one.isfile()}


def test_the_sdist_holds_all_that_the_repository_does(built: Built) -> None:
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not a repository")
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30
    )
    tracked = {name for name in listed.stdout.splitlines() if (ROOT / name).exists()}
    assert tracked - _of_sdist(built) == set()


def _own_environment() -> dict[str, str]:
    """Return the environment without what this run of the tests has set."""
    ours = ("DD_", "PIPECAT_DD_", "PYTEST_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


QUICK = ("tests/test_map.py", "tests/test_names.py", "tests/test_settings_table.py")


def test_the_sdist_runs_its_tests(built: Built, tmp_path: Path) -> None:
    with tarfile.open(built.sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (root,) = tmp_path.iterdir()
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *QUICK),
            "tests/test_conversation.py::test_a_tool_call_is_part_of_the_response_that_asked_for_it",
        ],
        cwd=root,
        env={**_own_environment(), "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-1000:]

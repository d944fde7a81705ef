"""Links lead somewhere: between the files of a checkout, on the site, and in our own messages."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.docs import DOCS, PAGES, ROOT, anchors, name_of, prose

MARKDOWN = [*PAGES, *sorted(ROOT.glob("*.md")), *sorted((ROOT / "examples").rglob("*.md"))]
ABSOLUTE = re.compile(r"[a-z]+:")


@pytest.mark.parametrize("page", sorted(set(MARKDOWN)), ids=name_of)
def test_a_link_leads_to_a_file_and_to_a_heading(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)", prose(page)):
        if ABSOLUTE.match(target):
            continue
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), target
        assert path.is_relative_to(ROOT), target
        if anchor:
            assert anchor in anchors(path), f"{target}#{anchor}"


def test_pages_are_named_as_they_are_called_in_code() -> None:
    """Messages and docstrings name pages: ``docs/doctor.md``, ``docs/on-call.md#an-error``."""
    found = 0
    for path in sorted((ROOT / "pipecat_dd").rglob("*.py")):
        for name, anchor in re.findall(
            r"\b(docs/[\w/-]+\.md)(?:#([\w-]+))?", path.read_text("utf8")
        ):
            assert (ROOT / name).exists(), f"{path.relative_to(ROOT)}: {name}"
            assert not anchor or anchor in anchors(ROOT / name)
            found += 1
    assert found > 10


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    """No page is left out of its navigation, no link and no anchor of it is dead."""
    pytest.importorskip("material", reason="needs the dependency group docs")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    pages = {path.parent.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("index.html")}
    assert {p.relative_to(DOCS).with_suffix("").as_posix() for p in DOCS.rglob("*.md")} - pages == {
        "index"
    }


def test_the_site_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    pytest.importorskip("material", reason="needs the dependency group docs")
    subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        check=False,
        timeout=100,
    )
    page = (tmp_path / "quickstart" / "index.html").read_text("utf8")
    loaded = re.findall(r'<(?:script|img|iframe)[^>]* src="([^"]+)"', page)
    loaded += re.findall(r'<link [^>]*rel="(?:stylesheet|preconnect|icon)"[^>]*>', page)
    assert loaded
    assert not [one for one in loaded if "://" in one]
    # The theme would ask the repository's host for its stars.
    assert 'data-md-component="source"' not in page
    link = re.findall(r'href="([^"]+)"[^>]*>examples/daily_bot.py<', page)
    assert link == ["https://github.com/pipecat-dd/pipecat-dd/blob/main/examples/daily_bot.py"]

"""What a version cannot do is said at the first session, and stands in the documents."""

import re
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from pipecat_dd import DatadogObserver, _pipecat
from pipecat_dd.export import notices
from tests.support.lines import Lines, written_lines
from tests.support.versions import PIPECAT

ROOT = Path(__file__).parents[2]


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lines]:
    monkeypatch.setattr(notices, "_are_written", False)
    with written_lines() as written:
        yield written


def test_the_first_session_says_once_what_this_pipecat_cannot_do(lines: Lines) -> None:
    DatadogObserver()
    DatadogObserver()
    said = lines.saying("does not have")
    if PIPECAT >= (1, 14):
        assert not said, "the newest can do everything"
        return
    (line,) = said
    assert line["message"].startswith(
        f"pipecat_dd: pipecat-ai {version('pipecat-ai')} does not have"
    )
    for came in _pipecat.CAME:
        assert (f"{came.what} ({came.since})" in line["message"]) is (came.version > PIPECAT)


def test_what_an_older_one_cannot_do_is_said_of_it(
    lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_pipecat, "pipecat_version", lambda: "1.8.1")
    DatadogObserver()
    message = lines.one("does not have")["message"]
    assert (
        "pipecat-ai 1.8.1 does not have: inference before the user has finished (1.9), " in message
    )
    assert "startup" not in message


def test_what_has_been_moved_is_said(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipecat.utils.base_object import BaseObject

    monkeypatch.delattr(BaseObject, "_run_handler")
    DatadogObserver()
    line = lines.one("has moved private parts that pipecat_dd uses")
    assert line["status"] == "warning"
    assert "errors in event handlers are not recorded" in line["message"]


@pytest.mark.parametrize("odd", ["unknown", "", "2", "main.dev"])
def test_a_version_that_cannot_be_read_is_taken_for_the_newest(odd: str) -> None:
    assert _pipecat.not_yet(odd) == []


def test_the_table_in_the_document_is_the_one_in_the_code() -> None:
    text = (ROOT / "docs" / "versions.md").read_text("utf8")
    rows = re.findall(r"^\| (\d+\.\d+) \| (.*?) \| (.*?) \|$", text, re.M)
    assert rows == [(came.since, came.what, came.before) for came in _pipecat.CAME]


def test_the_versions_that_the_documents_promise_are_those_of_the_package() -> None:
    wanted = (ROOT / "pyproject.toml").read_text("utf8")
    assert '"pipecat-ai>=1.0,<2"' in wanted
    assert '"ddtrace>=4,<5"' in wanted
    assert 'requires-python = ">=3.11"' in wanted
    for document in ("docs/versions.md", "README.md"):
        text = " ".join((ROOT / document).read_text("utf8").split())
        assert re.search(r"Pipecat 1\.0 (and|or) later", text), document
        assert re.search(r"Python 3\.11 (and|or) later", text), document
        assert "ddtrace 4" in text, document

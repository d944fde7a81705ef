"""The page as text: one file, nothing from elsewhere, and whatever it is given stays text."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

import pipecat_dd.cli.view.page as page_package
from pipecat_dd.cli.view.page import PLAIN_SIZE, SCRIPTS, data_in, page_html
from pipecat_dd.names import tags
from tests.cli.view.calls import as_data, bad_call, good_call, hostile_call, large_call

FOLDER = Path(page_package.__file__).parent


def read(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def test_nothing_is_loaded_from_elsewhere() -> None:
    html = page_html(None, "abc")
    assert not re.search(r"""(?:src|href)\s*=\s*["']?(?:https?:)?//""", html)
    assert not re.search(r"@import|url\(", read("style.css"))
    own = "".join(read(f"{name}.js") for name in SCRIPTS)
    assert not re.search(r"https?://", own)


def test_each_script_and_style_has_the_nonce_and_nothing_else_may_run() -> None:
    html = page_html(None, "abc-123")
    for element in re.findall(r"<(?:script|style)\b[^>]*>", html):
        assert 'nonce="abc-123"' in element or 'type="application/json"' in element
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)
    assert policy is not None
    assert "unsafe" not in policy[1]
    assert "default-src 'none'" in policy[1]
    assert not re.search(r"<[^>]*\s(?:on\w+|style)=", html.partition("<script")[0])


def test_a_report_may_ask_nobody() -> None:
    assert "connect-src 'none'" in page_html({"sessions": [], "calls": {}}, "abc")
    assert "connect-src 'self'" in page_html(None, "abc")


@pytest.mark.parametrize("nonce", ["", 'a"b', "a b", "a'b", "ä"])
def test_a_nonce_that_could_break_out_is_refused(nonce: str) -> None:
    with pytest.raises(ValueError, match="nonce"):
        page_html(None, nonce)


def test_no_text_of_a_report_can_end_its_element() -> None:
    html = page_html(as_data(hostile_call()), "abc")
    assert html.count("<script") == page_html({"sessions": [], "calls": {}}, "abc").count("<script")
    assert "</script><script>window.hacked" not in html
    assert data_in(html) == as_data(hostile_call())


def test_text_that_looks_like_a_place_in_the_page_is_text() -> None:
    data: dict[str, Any] = {"sessions": [{"id": "{{script}}"}], "calls": {}}
    assert '"{{script}}"' in page_html(data, "abc")


def test_a_large_report_is_packed_and_comes_out_whole() -> None:
    data = as_data(large_call(spans=800, lines=3000))
    html = page_html(data, "abc")
    assert len(json.dumps(data)) > 5 * PLAIN_SIZE
    assert len(html) < len(page_html(None, "abc")) + len(json.dumps(data)) / 5
    assert data_in(html) == data


def test_the_same_report_is_the_same_text() -> None:
    data = as_data(large_call(spans=400, lines=1000))
    assert page_html(data, "abc") == page_html(data, "abc")


def test_a_live_page_has_no_conversation() -> None:
    assert data_in(page_html(None, "abc")) is None


def test_the_page_is_small() -> None:
    assert len(page_html(None, "abc")) < 230_000
    assert len(page_html(as_data(good_call(), bad_call()), "abc")) < 330_000


def test_each_script_is_in_the_page_and_comes_behind_what_it_imports() -> None:
    assert {path.stem for path in FOLDER.glob("*.js")} == set(SCRIPTS)
    for at, name in enumerate(SCRIPTS):
        for other in re.findall(r'from "\./(\w+)\.js"', read(f"{name}.js")):
            assert other in SCRIPTS[:at], f"{name} imports {other}, which comes later"


def test_what_a_script_imports_is_there_and_is_used() -> None:
    for name in SCRIPTS:
        text = read(f"{name}.js")
        for words, other in re.findall(r'import \{([^}]*)\} from "\./(\w+)\.js"', text):
            for word in words.replace(" ", "").split(","):
                exported = (
                    rf"export (?:async )?(?:const|class|function) (?:{word}\b|\{{[^}}]*\b{word}\b)"
                )
                assert re.search(exported, read(f"{other}.js")), f"{name}: {word} of {other}"
                assert len(re.findall(rf"\b{word}\b", text)) > 1, f"{name} does not use {word}"


def test_the_page_knows_tags_by_their_constants() -> None:
    for name in SCRIPTS:
        for constant in re.findall(r"\bN\.(\w+)", read(f"{name}.js")):
            assert isinstance(getattr(tags, constant, None), str), f"{name}: N.{constant}"


def test_no_script_spells_a_tag_out() -> None:
    dotted = {tag.name for tag in tags.TAGS if "." in tag.name and "<" not in tag.name}
    for name in SCRIPTS:
        found = set(re.findall(r"""["'`]([\w.]+)["'`]""", read(f"{name}.js"))) & dotted
        assert not found, name


def test_nothing_of_a_bot_is_set_as_markup() -> None:
    for name in SCRIPTS:
        text = read(f"{name}.js")
        assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b", text)
        assert "dangerouslySetInnerHTML" not in text

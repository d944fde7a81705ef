"""A line stays within Datadog's limits; what was cut is marked, and its ids never are."""

import json
from typing import Any

import pytest
from loguru import logger

from pipecat_dd.telling.logs import Redactor
from pipecat_dd.telling.logs.fitting import MAX_LINE_BYTES
from pipecat_dd.telling.logs.plain import (
    LEAST_CHARS,
    MAX_ATTRIBUTES,
    MAX_BOUND_CHARS,
    MAX_TEXT_CHARS,
    Plainer,
)
from tests.telling.logs.conftest import KNOWN, Lines

IDS = ("session_id", "participant_id", "dd.trace_id", "dd.span_id", "service")


def attributes(value: Any) -> int:
    if isinstance(value, dict):
        return sum(1 + attributes(member) for member in value.values())
    if isinstance(value, list):
        return sum(attributes(member) for member in value)
    return 0


def depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth, value), default=0)
    return 0


def keys(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [k for key, member in value.items() for k in (key, *keys(member))]
    if isinstance(value, list):
        return [k for member in value for k in keys(member)]
    return []


def nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {"end": 1}
    for _ in range(levels):
        value = {"in": value, "list": [value] if levels < 12 else []}
    return value


def write(message: str = "hello", **bound: Any) -> None:
    logger.bind(**bound).info(message)


@pytest.mark.parametrize(
    "bound",
    [
        {"text": "x" * 200_000},
        {"text": "é漢🎉" * 50_000},
        {"text": "\x00" * 30_000},
        {f"text_{i}": "x" * 3000 for i in range(200)},
        {f"key_{i}": i for i in range(1000)},
        {"mapping": {f"key_{i}": {"a": i} for i in range(1000)}},
        {"items": list(range(100_000))},
        {"grid": [[0] * 1000 for _ in range(1000)]},
        {"objects": [{"a": 1, "b": 2} for _ in range(1000)]},
        {"k" * 300: 1},
        {"deep": nested(100)},
        {"deep": nested(10)},
        {"bind" * 30: "x", "status": nested(9)},
        {"session_id": "s" * 150, "text": "x" * 100_000},
    ],
    ids=lambda bound: next(iter(bound))[:12],
)
def test_whatever_is_bound_the_line_fits_and_says_it_was_cut(
    lines: Lines, known: Any, bound: dict[str, Any]
) -> None:
    write(**bound)
    line = lines.one
    assert len(lines.text.encode()) <= MAX_LINE_BYTES + 1
    assert attributes(line) < 256
    assert depth(line) < 10
    assert max(map(len, keys(line))) < 50
    assert line["truncated"] is True
    for name in IDS:
        assert line[name]
    assert line["dd.trace_id"] == KNOWN.trace_id
    assert line["message"] == "hello"


def test_a_line_that_fits_is_not_marked(lines: Lines, known: Any) -> None:
    write("x" * 20_000)
    assert "truncated" not in lines.one
    assert len(lines.one["message"]) == 20_000


def test_a_long_message_keeps_its_start_and_its_ids(lines: Lines, known: Any) -> None:
    write("start " + "x" * 500_000)
    line = lines.one
    assert line["message"].startswith("start xxx")
    assert line["truncated"] is True
    assert len(lines.text) <= MAX_LINE_BYTES + 1


def test_a_secret_at_the_place_of_the_cut_does_not_show_its_half(lines: Lines) -> None:
    for padding in range(49_950, 50_010, 7):
        write("x " * (padding // 2) + "sk-" + "a1" * 40)
    assert "a1a1" not in lines.text


def test_many_secrets_that_shrink_do_not_bring_the_cut_into_view(lines: Lines) -> None:
    secret = "Bearer " + "a1b2" * 12
    write((secret + " ") * 2000)
    assert "a1b2" not in lines.text


def test_max_message_chars_cuts_messages(configured: Any) -> None:
    lines = configured(max_message_chars=10)
    logger.info("0123456789")
    logger.info("0123456789abc")
    short, long = lines.all
    assert short["message"] == "0123456789"
    assert "truncated" not in short
    assert long["message"] == "0123456789…"
    assert long["truncated"] is True


DOCUMENT = "The quick brown fox. " * 2500


@pytest.mark.parametrize(
    "bound",
    [
        {"list": [DOCUMENT] * 500},
        {"lists": [[DOCUMENT] * 500 for _ in range(10)]},
        {"mapping": {f"key_{i}": DOCUMENT for i in range(200)}},
        {"objects": [{"a": DOCUMENT, "b": [DOCUMENT]} for _ in range(200)]},
        {"errors": [ValueError(DOCUMENT)] * 500},
        {"keys": {DOCUMENT + str(i): i for i in range(200)}},
        {f"key_{i}": DOCUMENT for i in range(200)},
    ],
    ids=lambda bound: next(iter(bound)),
)
def test_only_so_much_of_what_is_bound_is_looked_at(configured: Any, bound: dict[str, Any]) -> None:
    looked_at = 0

    def count(name: str | None, text: str) -> str:
        nonlocal looked_at
        looked_at += len(text)
        return text

    lines = configured(redact=Redactor(callback=count))
    write(**bound)
    assert looked_at < MAX_BOUND_CHARS + MAX_TEXT_CHARS + MAX_ATTRIBUTES * LEAST_CHARS * 2
    assert lines.one["truncated"] is True


def test_a_long_value_does_not_empty_those_bound_after_it(lines: Lines) -> None:
    write(documents=[DOCUMENT] * 10, user="maria", state={"step": "paying", "text": DOCUMENT})
    line = lines.one
    assert line["user"] == "maria"
    assert line["state"]["step"] == "paying"
    assert line["state"]["text"].startswith("The quick")
    assert line["state"]["text"].endswith("…")


def test_what_fits_on_a_line_is_not_cut(lines: Lines) -> None:
    bound = {"list": ["word " * 40] * 50, "mapping": {"text": "x" * 10_000}}
    write(**bound)
    assert {name: lines.one[name] for name in bound} == bound
    assert "truncated" not in lines.one


@pytest.mark.parametrize(
    ("secret", "half"),
    [
        ("https://maria:hunter2hunter2@example.com/", "hunter"),
        ("+1 415 555 0123", "415"),
        ("+1 (415) 555-0123", "415"),
        ("sk-" + "a1" * 40, "a1a1"),
    ],
)
def test_no_half_of_a_secret_shows_where_bound_values_are_cut(secret: str, half: str) -> None:
    whole = ["x " * 24_000] * 2
    left = MAX_BOUND_CHARS - sum(map(len, whole))
    for before in range(left - len(secret) - 1, left + 2):
        plain = Plainer(Redactor())
        *_, last = plain.value([*whole, "x " + "y" * (before - 3) + " " + secret + " z" * 50])
        assert plain.cut
        assert half not in last


def test_a_stream_that_is_not_utf8_gets_escapes(configured: Any) -> None:
    from pipecat_dd.telling.logs import configure_logging

    class Latin(Lines):
        encoding = "latin-1"

    sink = Latin()
    configure_logging(sink)
    logger.info("漢")
    assert sink.text.isascii()
    assert json.loads(sink.text)["message"] == "漢"

"""Lines beside the bot's own: each once, and nothing of the bot's is changed."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from loguru import logger

from pipecat_dd import Redactor, configure_logging, unconfigure_logging
from pipecat_dd.export.logs.beside import LinesBeside

DEBUG = 10


@pytest.fixture
def lines() -> Iterator[list[dict[str, Any]]]:
    found: list[dict[str, Any]] = []
    beside = LinesBeside(lambda line: found.append(json.loads(line)), DEBUG)
    beside.begin()
    yield found
    beside.end()
    count = len(found)
    logger.warning("nothing more")
    logging.getLogger("some.library").warning("nothing more")
    assert len(found) == count


def texts(lines: list[dict[str, Any]]) -> list[str]:
    return [line["message"] for line in lines]


def test_loggings_handlers_levels_and_last_resort_are_as_before(
    lines: list[dict[str, Any]], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    library = logging.getLogger("beside.library")
    monkeypatch.setattr(library, "propagate", False)  # pytest has handlers on the root logger
    library.warning("last resort %s", "here")
    library.info("below its level")
    assert texts(lines) == ["last resort here"]
    assert capsys.readouterr().err == "last resort here\n"
    assert (library.handlers, library.level) == ([], logging.NOTSET)


def test_a_record_of_logging_has_what_its_line_would_have_by_configure_logging(
    lines: list[dict[str, Any]],
) -> None:
    try:
        raise ValueError("no such room")
    except ValueError:
        logging.getLogger("beside").exception("failed", extra={"attempt": 3, "api_key": "x" * 20})
    (line,) = lines
    assert (line["levelname"], line["status"], line["name"]) == ("ERROR", "error", "beside")
    assert (
        line["function"]
        == "test_a_record_of_logging_has_what_its_line_would_have_by_configure_logging"
    )
    assert line["error"]["kind"] == "ValueError"
    assert line["attempt"] == 3
    assert line["api_key"] == "[redacted]"


def test_each_line_once_also_where_logging_goes_to_loguru(lines: list[dict[str, Any]]) -> None:
    configured: list[str] = []
    configure_logging(configured.append)
    try:
        logging.getLogger("beside").warning("of logging")
        logger.warning("of Loguru")
    finally:
        unconfigure_logging()
    assert texts(lines) == ["of logging", "of Loguru"]
    assert len(configured) == 2


def test_packages_that_log_every_packet_do_so_from_info_on(lines: list[dict[str, Any]]) -> None:
    quiet = logging.getLogger("websockets.client")
    quiet.setLevel(logging.DEBUG)
    try:
        quiet.debug("> TEXT")
        quiet.info("connection open")
    finally:
        quiet.setLevel(logging.NOTSET)
    assert texts(lines) == ["connection open"]


def test_the_bots_own_rules_of_redaction_hold_for_these_lines_too() -> None:
    found: list[str] = []
    configure_logging(lambda line: None, redact=Redactor(patterns=["room-[0-9]+"]))
    beside = LinesBeside(found.append, DEBUG)
    try:
        beside.begin()
        logger.info("in room-17")
    finally:
        beside.end()
        unconfigure_logging()
    assert "room-17" not in found[0]


def test_after_the_bot_has_removed_all_handlers_it_begins_again() -> None:
    found: list[str] = []
    beside = LinesBeside(found.append, DEBUG)
    beside.begin()
    try:
        beside.begin()
        logger.info("once")
        assert len(found) == 1
        logger.remove(beside.handler_id)
        logger.info("lost")
        beside.begin()
        logger.info("there")
        assert len(found) == 2
    finally:
        beside.end()

"""Console lines are for people: who, where, what, and what was bound."""

import re
from typing import Any

from loguru import logger

from pipecat_dd.export.correlation import NOTHING
from tests.export.logs.conftest import Lines


def test_a_line_shows_session_participant_and_a_short_span(configured: Any, known: Any) -> None:
    lines = configured(format="console")
    logger.bind(duration_ms=3, model="x").warning("hello {} <red>", "{world}")
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d\.\d{3} WARNING  \[abc123 manager …654321\] "
        r"tests\.export\.logs\.test_console:test_a_line_shows\w+:\d+ "
        r"hello \{world\} <red> duration_ms=3 model=x\n",
        lines.text,
    ), lines.text


def test_nothing_known_shows_nothing(configured: Any, known: Any) -> None:
    known(NOTHING)
    lines = configured(format="console")
    logger.info("hello")
    assert "[" not in lines.text


def test_it_is_redacted_like_any_line(configured: Any, known: Any) -> None:
    lines = configured(format="console")
    try:
        raise OverflowError("sk-abcdefghijklmnop")
    except OverflowError:
        logger.bind(password="hunter2").exception("Bearer abcdef123")
    assert "abcdef" not in lines.text
    assert "hunter2" not in lines.text
    assert "Traceback" in lines.text
    assert lines.text.count("OverflowError: [redacted]") == 1


def test_it_is_coloured_on_a_terminal(known: Any) -> None:
    from pipecat_dd.export.logs import configure_logging

    class Terminal(Lines):
        def isatty(self) -> bool:
            return True

    sink = Terminal()
    configure_logging(sink, format="console")
    logger.info("hello")
    assert "\x1b[" in sink.text


def test_an_error_while_it_is_made_does_not_reach_the_bot(configured: Any) -> None:
    lines = configured(format="console")
    logger.patch(lambda record: record.update(extra=None)).info("hello")
    assert "TypeError while this line was made" in lines.text

"""What users test their own bots with: it sees what would be seen, and leaves no trace."""

import asyncio
import logging
import re
from pathlib import Path
from typing import Any

import pytest
from ddtrace.trace import Span, TraceFilter, tracer
from loguru import logger

from pipecat_dd import DatadogObserver, Redactor
from pipecat_dd.testing import capture
from tests.support.agent import TestAgent
from tests.support.bot import Bot

DOCS = Path(__file__).parent.parent.parent / "docs"


async def talk(session_id: str) -> None:
    observer = DatadogObserver(session_id=session_id)
    async with Bot(observer) as bot:
        await bot.ask("How are you?")
        logger.info(f"{session_id} has answered")
        await bot.end()


async def test_a_session_is_seen_as_a_tree_with_its_lines() -> None:
    with capture() as seen:
        await talk("one")
    session = seen.session()
    assert session.id == "one"
    turn = session.one("pipecat.turn")
    assert turn.parent is session.root
    llm = session.one("pipecat.llm")
    assert llm in turn.children
    assert llm.tags["gen_ai.request.model"] == "gpt-4.1"
    assert isinstance(llm.tags["gen_ai.usage.output_tokens"], float | int)
    assert [child.name for child in llm.children] == ["openai.request"]
    assert llm.start_ns >= turn.start_ns
    assert 0 < llm.secs < turn.secs
    assert llm.end_ns <= turn.end_ns
    (line,) = session.saying("has answered")
    assert session.span_of(line) in session.spans
    assert line in session.span_of(line).lines
    assert {span.name for span in session.root.walk()} == {span.name for span in session.spans}
    assert "  pipecat.turn [user]" in session.outline()
    assert session.errors == []


async def test_sessions_are_told_apart() -> None:
    with capture() as seen:
        await asyncio.gather(asyncio.create_task(talk("one")), asyncio.create_task(talk("two")))
    assert sorted(seen.session_ids) == ["one", "two"]
    with pytest.raises(LookupError, match=r"^session_id=None: 2 sessions were seen"):
        seen.session()
    with pytest.raises(LookupError, match="'three'"):
        seen.session("three")
    for session_id in ("one", "two"):
        session = seen.session(session_id)
        assert {span.tags.get("session_id", session_id) for span in session.spans} == {session_id}
        assert len(session.saying("has answered")) == 1


async def test_nothing_is_sent(agent: TestAgent) -> None:
    with capture():
        await talk("never-sent")
    await talk("sent")
    agent.session("sent")
    assert not [s for s in agent.spans() if s["meta"].get("session_id") == "never-sent"]


def test_what_is_not_there_is_an_error_that_shows_what_is() -> None:
    with capture() as seen:
        observer = DatadogObserver(session_id="one")
        with tracer.trace("mine"):
            logger.info("hello")
    session = seen.session("one")
    with pytest.raises(
        LookupError,
        match=r"^name=.pipecat\.turn.: must be exactly one span, and 0 are in session .one.:",
    ):
        session.one("pipecat.turn")
    with pytest.raises(LookupError, match=r"^line=.*must have the id of a span"):
        session.span_of({"message": "hello"})
    with pytest.raises(LookupError, match=r"^name=.pipecat\.session.: must"):
        _ = session.root
    assert [span.name for span in seen.spans] == ["mine"]
    del observer


def test_everything_is_as_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    class Theirs(TraceFilter):
        seen = 0

        def process_trace(self, trace: list[Span]) -> list[Span] | None:
            Theirs.seen += len(trace)
            return None

    root = logging.getLogger()
    before = (repr(logger), list(root.handlers), root.level, tracer.enabled)
    tracer.configure(trace_processors=[Theirs()])
    tracer.enabled = False
    try:
        with capture() as seen:
            with tracer.trace("inside"):
                pass
            assert Theirs.seen == 1, "the user's own filters go on"
            logger.remove()
            logger.add(lambda _: None)
        assert tracer.enabled is False
        tracer.enabled = True
        with tracer.trace("afterwards"):
            pass
        assert Theirs.seen == 2
        assert seen.spans == []
    finally:
        tracer.configure(trace_processors=[])
        tracer.enabled = before[3]
        logger.remove()
    assert (list(root.handlers), root.level) == before[1:3]


def test_lines_of_the_standard_library_are_captured_once() -> None:
    with capture() as seen:
        logging.getLogger("some.library").debug("hello")
        logging.getLogger("some.library").warning("careful")
    assert [line["message"] for line in seen.lines] == ["hello", "careful"]


def test_logging_can_be_configured_within(capsys: pytest.CaptureFixture[str]) -> None:
    from pipecat_dd import configure_logging, unconfigure_logging

    try:
        with capture() as seen:
            configure_logging()
            logging.getLogger("some.library").warning("within")
        logging.getLogger("some.library").warning("afterwards")
    finally:
        unconfigure_logging()
    assert [line["message"] for line in seen.lines] == ["within"]
    out = capsys.readouterr().out
    for message in ("within", "afterwards"):
        assert out.count(f'"message":"{message}"') == 1


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ({}, "card [redacted] and ORD-123456"),
        ({"redact": False}, "card password=hunter2 and ORD-123456"),
        ({"redact": Redactor(patterns=[r"ORD-\d+"])}, "card [redacted] and [redacted]"),
    ],
)
def test_redaction_can_be_tested(options: dict[str, Any], shown: str) -> None:
    with capture(**options) as seen:
        logger.info("card password=hunter2 and ORD-123456")
    assert seen.lines[0]["message"].replace("password=[", "[") == shown


@pytest.mark.parametrize(("level", "count"), [("DEBUG", 2), ("INFO", 1), (50, 0)])
def test_the_level_decides_what_is_captured(level: str | int, count: int) -> None:
    with capture(level=level) as seen:
        logger.debug("one")
        logger.info("two")
    assert len(seen.lines) == count


def test_a_wrong_argument_changes_nothing() -> None:
    before = repr(logger)
    for wrong in ({"level": "LOUD"}, {"redact": "yes"}):
        with pytest.raises((TypeError, ValueError)), capture(**wrong):  # type: ignore[arg-type]
            pass
    assert repr(logger) == before


def test_the_example_in_the_docs_runs() -> None:
    pytest.importorskip("pipecat.pipeline.worker")
    example = re.findall(r"```python\n(.*?)```", (DOCS / "testing.md").read_text(), re.S)[0]
    namespace: dict[str, Any] = {"__name__": "example"}
    exec(compile(example, "docs/testing.md", "exec"), namespace)
    namespace["test_the_greeting_is_logged"]()


def test_the_standard_librarys_levels_are_as_they_were_after_logging_is_configured_within() -> None:
    from pipecat_dd import configure_logging, unconfigure_logging

    root, quiet = logging.getLogger(), logging.getLogger("httpx")
    before = root.level, quiet.level
    try:
        with capture():
            configure_logging(level="INFO", levels={"httpx": "ERROR"})
        assert (root.level, quiet.level) == (logging.INFO, logging.ERROR)
    finally:
        unconfigure_logging()
    assert (root.level, quiet.level) == before

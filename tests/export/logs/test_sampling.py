"""A share of a level's lines is kept, by whole sessions, as ddtrace keeps their traces."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loguru import logger

from pipecat_dd import _guard
from pipecat_dd.export.correlation import NOTHING, Correlation
from pipecat_dd.export.logs.sampling import keeps_trace


@given(st.integers(0, 2**128 - 1), st.floats(0, 1))
def test_a_trace_is_kept_exactly_when_ddtrace_keeps_it(trace_id: int, rate: float) -> None:
    from ddtrace._trace.sampler import RateSampler
    from ddtrace.trace import Span

    span = Span("x", trace_id=trace_id)
    assert keeps_trace(trace_id, rate) == RateSampler(rate).sample(span)


def sessions(count: int) -> list[Correlation]:
    made = random.Random(7)
    return [
        Correlation(session_id=f"s{n}", session_trace_id=made.getrandbits(128))
        for n in range(count)
    ]


def test_a_session_keeps_all_its_lines_or_none(configured: Any, known: Any) -> None:
    lines = configured(level="DEBUG", sample={"DEBUG": 0.3})
    for session in sessions(300):
        known(session)
        for _ in range(3):
            logger.debug("hello")
    counts: dict[str, int] = {}
    for line in lines.all:
        counts[line["session_id"]] = counts.get(line["session_id"], 0) + 1
    assert set(counts.values()) == {3}
    assert 60 < len(counts) < 120


def test_what_is_kept_at_a_rate_is_kept_at_any_higher_one(configured: Any, known: Any) -> None:
    for session in sessions(100):
        trace_id = session.session_trace_id
        assert trace_id is not None
        kept = [keeps_trace(trace_id, rate / 10) for rate in range(11)]
        assert kept == sorted(kept)
        assert kept[-1]


def test_a_kept_line_of_a_sampled_level_carries_its_rate(configured: Any, known: Any) -> None:
    lines = configured(level="DEBUG", sample={"debug": 1, 25: 0.5, "ERROR": 1.0})
    logger.debug("a")
    logger.info("b")
    logger.error("c")
    assert [line.get("sample_rate") for line in lines.all] == [1.0, None, 1.0]


def test_levels_not_named_are_kept_whole(configured: Any, known: Any) -> None:
    lines = configured(level="DEBUG", sample={"DEBUG": 0})
    for session in sessions(20):
        known(session)
        logger.debug("not kept")
        logger.info("kept")
    assert [line["message"] for line in lines.all] == ["kept"] * 20


@pytest.mark.parametrize("by", ["record", "session"])
def test_lines_of_no_session_are_decided_for_themselves(
    configured: Any, known: Any, by: str
) -> None:
    random.seed(7)
    known(NOTHING)
    lines = configured(level="DEBUG", sample={"DEBUG": 0.5}, sample_by=by)
    for _ in range(400):
        logger.debug("hello")
    assert 140 < len(lines.all) < 260


def test_by_record_a_session_keeps_some(configured: Any, known: Any) -> None:
    random.seed(7)
    lines = configured(level="DEBUG", sample={"DEBUG": 0.5}, sample_by="record")
    for _ in range(400):
        logger.debug("hello")
    assert 140 < len(lines.all) < 260


def test_a_question_that_fails_drops_nothing_else(
    configured: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipecat_dd.export import correlation

    def fail() -> Correlation:
        logger.debug("while asking")
        raise RuntimeError("no")

    lines = configured(level="DEBUG", sample={"DEBUG": 1})
    monkeypatch.setattr(_guard, "lines", _guard.Part("a test's"))
    monkeypatch.setattr(correlation, "_correlate", fail)
    logger.debug("hello")
    assert "hello" in [line["message"] for line in lines.all]
    assert len(lines.all) <= 4

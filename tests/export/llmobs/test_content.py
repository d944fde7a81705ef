"""Content on spans that somebody else opened: whoever they belong to, whatever is in them."""

import json
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import pytest
from ddtrace.llmobs import LLMObsSpan
from hypothesis import given
from hypothesis import strategies as st

from pipecat_dd.conversation.context import WorkContext, current
from pipecat_dd.conversation.model import Kind, Phase, Session, Stage
from pipecat_dd.export.llmobs import content
from pipecat_dd.export.llmobs.content import knows, process
from pipecat_dd.export.llmobs.facts import messages_of
from pipecat_dd.export.llmobs.spans import LLMObsSpans
from pipecat_dd.export.spans.tree import SpanTree

WORD = "XCANARYX"
TEXTS = st.text(max_size=8).map(lambda text: f"{text}{WORD}")
VALUES = st.recursive(
    TEXTS | st.integers() | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"content": TEXTS}, optional={"role": st.just("user"), "tool_calls": VALUES}
    )
    | VALUES,
    max_size=4,
)
METADATA = st.dictionaries(st.sampled_from(["stop", "user", "seed"]), VALUES) | VALUES.filter(
    lambda value: not isinstance(value, dict)
)

HAS_METADATA = "metadata" in {field.name for field in fields(LLMObsSpan)}
"""Whether a span processor is shown the metadata: not before ddtrace 4.16, where it is emptied
with the rest."""


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    kept = list(content._sessions)
    content._sessions.clear()
    yield
    content._sessions.clear()
    for session in kept:
        content._sessions.add(session)


def a_session(session_id: str, *, captures: bool, phase: Phase = Phase.RUNNING) -> Session:
    session = Session(session_id, "bot", capture_content=captures, phase=phase)
    knows(session)
    return session


def a_span(session_id: str | None = None) -> LLMObsSpan:
    return LLMObsSpan(
        input=[{"role": "user", "content": f"{WORD} my number is +14155550123"}],
        output=[{"role": "assistant", "content": WORD}],
        _tags={} if session_id is None else {"session_id": session_id},
        **_metadata({"temperature": 0.5, "user": WORD}),
    )


def _metadata(metadata: Any) -> dict[str, Any]:
    return {"metadata": metadata} if HAS_METADATA else {}


def passed(span: LLMObsSpan) -> LLMObsSpan:
    process(span)
    return span


def says(span: LLMObsSpan) -> str:
    return str((span.input, span.output, getattr(span, "metadata", None)))


@given(MESSAGES, MESSAGES, METADATA)
def test_nothing_is_left_whatever_a_span_holds(asked: Any, replied: Any, metadata: Any) -> None:
    session = a_session("s", captures=False)
    span = LLMObsSpan(asked, replied, {"session_id": session.id}, **_metadata(metadata))
    assert process(span) is True
    assert WORD not in says(span)
    # ddtrace keeps what it had where it is given none.
    assert len(span.input) >= min(1, len(asked))
    assert len(span.output) >= min(1, len(replied))


def test_roles_and_figures_stay() -> None:
    a_session("s", captures=False)
    span = passed(a_span("s"))
    assert span.input == [{"role": "user", "content": ""}]
    assert span.metadata == ({"temperature": 0.5} if HAS_METADATA else {})


def test_what_is_captured_is_redacted() -> None:
    a_session("s", captures=True)
    span = passed(a_span("s"))
    assert WORD in says(span)
    assert "4155550123" not in says(span)


def test_a_span_without_a_session_is_judged_by_the_work_it_was_opened_in() -> None:
    shut = a_session("shut", captures=False)
    a_session("open", captures=True)
    token = current.set(WorkContext(shut))
    try:
        assert WORD not in says(passed(a_span()))
    finally:
        current.reset(token)


def test_a_span_that_may_be_a_shut_sessions_is_emptied() -> None:
    kept = [a_session("open", captures=True), a_session("shut", captures=False)]
    assert WORD not in says(passed(a_span()))
    kept.pop().phase = Phase.ENDED
    assert WORD in says(passed(a_span()))


def test_what_belongs_to_no_call_is_left_alone() -> None:
    span = a_span("a web request's")
    assert says(passed(span)) == says(a_span())


@given(
    st.lists(
        st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant"]), "content": TEXTS}),
        max_size=5,
    ),
    st.integers(0, 400),
)
def test_messages_are_read_as_far_as_they_were_kept(
    messages: list[dict[str, str]], kept: int
) -> None:
    text = json.dumps(messages, ensure_ascii=False)[:kept]
    found = messages_of(text, lambda text: text)
    assert found == messages[: len(found)] or found == [{"role": "", "content": text}]
    if kept >= len(json.dumps(messages, ensure_ascii=False)) and messages:
        assert found == messages


def test_a_turns_reply_is_what_was_heard_of_it_and_no_summary() -> None:
    session = Session("s-1", "bot", capture_content=True)
    spans = LLMObsSpans(session, SpanTree(session))
    turn = Stage(Kind.TURN, session, session.root, "user", 1)
    for text, facts in (
        ("dropped", {"llm.outcome": "discarded"}),
        ("summed up", {"llm.outcome": "completed", "llm.purpose": "inference"}),
        ("heard", {"llm.outcome": "completed"}),
    ):
        answer = Stage(Kind.LLM, session, turn, "LLM", 1, attributes=dict(facts))
        answer.add_content("gen_ai.output.messages", text)
        spans._collect_content(answer)
    assert spans._content_of(turn) == ("", "heard")

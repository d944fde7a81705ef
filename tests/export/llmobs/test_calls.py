"""What LLM Observability shows of calls, read back from what the test agent received."""

from typing import Any

import pytest

from tests.export.llmobs.calls import REMOTE_SPAN_ID, REMOTE_TRACE_ID
from tests.export.llmobs.conftest import Calls
from tests.export.llmobs.received import Event
from tests.support.versions import needs_ddtrace

knows_more = needs_ddtrace("4.16", "LLM Observability knows less of a span: docs/versions.md")

LOOKED_UP = ("retrieval Knowledge", "retrieval knowledge base")
TOOL = ("tool get_weather", "task look up")
REQUEST = "llm OpenAI.createChatCompletion"
SERVICE = "OpenAILLMService"

ASKED = (f"workflow {SERVICE}", REQUEST)
TOLD_BY_INTEGRATION: tuple[Any, ...] = (
    ("workflow turn", LOOKED_UP, (*ASKED, TOOL), ASKED),
    *[("workflow turn", LOOKED_UP, ASKED)] * 3,
)
TOLD_BY_US: tuple[Any, ...] = (
    ("workflow turn", LOOKED_UP, (f"llm {SERVICE}", TOOL), f"llm {SERVICE}"),
    *[("workflow turn", LOOKED_UP, f"llm {SERVICE}")] * 3,
)


def apm_ancestors(calls: Calls, event: Event) -> list[str]:
    by_id = {span["span_id"]: span for span in calls.received.spans}
    found, span = [], event.span
    while (span := by_id.get(span.get("parent_id", 0))) is not None:
        found.append(str(span["span_id"]))
    return found


@knows_more
@pytest.mark.parametrize("session_id", ["shut", "open"])
def test_a_call_is_an_agent_with_its_turns_and_each_request_nests_once(
    patched: Calls, session_id: str
) -> None:
    agent = patched.received.one(session_id, kind="agent")
    assert agent.shape() == (f"agent bot {session_id}", *TOLD_BY_INTEGRATION)


@knows_more
@pytest.mark.parametrize("session_id", ["shut", "open", "remote"])
def test_a_response_that_no_integration_tells_of_is_the_llm_span(
    unpatched: Calls, session_id: str
) -> None:
    agent = unpatched.received.one(session_id, kind="agent")
    assert agent.shape() == (f"agent bot {session_id}", *TOLD_BY_US)


@pytest.mark.parametrize("way", ["patched", "unpatched"])
def test_both_products_know_a_span_by_one_id_and_place_it_alike(
    both: dict[str, Calls], way: str
) -> None:
    calls = both[way]
    for session_id in ("shut", "open"):
        agent = calls.received.one(session_id, kind="agent")
        for event in calls.received.of(session_id):
            high = event.span["meta"].get("_dd.p.tid")
            assert event.trace_id == agent.trace_id
            assert int(event.trace_id, 16) & ((1 << 64) - 1) == event.span["trace_id"]
            assert high is None or event.trace_id.startswith(high)
            if event is not agent:
                assert event.parent_id in apm_ancestors(calls, event), event.name
        assert agent.parent_id == "undefined"


@knows_more
@pytest.mark.parametrize("way", ["patched", "unpatched"])
def test_tokens_are_counted_once(both: dict[str, Calls], way: str) -> None:
    received = both[way].received
    for session_id in ("shut", "open"):
        counted = [event.metrics for event in received.of(session_id) if event.kind == "llm"]
        spans = [
            span["metrics"]
            for span in received.spans
            if span["name"] == "pipecat.llm" and span["meta"]["session_id"] == session_id
        ]
        for side in ("input", "output"):
            # What was cut off has no usage of the provider's: an integration may estimate it.
            whole = [event for event in received.of(session_id) if is_whole(received.events, event)]
            told = sum(event.metrics.get(f"{side}_tokens", 0) for event in whole)
            known = sum(span.get(f"gen_ai.usage.{side}_tokens", 0) for span in spans)
            assert told == known > 0
        assert not any(
            "input_tokens" in event.metrics
            for event in received.of(session_id)
            if event.kind != "llm"
        )
        assert sum(metrics.get("total_tokens", 0) for metrics in counted) > 0


def is_whole(events: list[Event], event: Event) -> bool:
    parents = [other for other in events if other.id == event.parent_id]
    outcomes = [e.tags.get("llm.outcome") for e in (event, *parents) if "llm.outcome" in e.tags]
    return event.kind == "llm" and outcomes == ["completed"]


def test_a_response_has_model_provider_tokens_and_time_to_first_token(unpatched: Calls) -> None:
    first = unpatched.received.one("shut", kind="agent").children[0].children[1]
    assert first.data["meta"]["model_name"] == "gpt-4.1"
    assert first.data["meta"]["model_provider"] == "openai"
    assert (
        first.metrics["input_tokens"] + first.metrics["output_tokens"]
        == (first.metrics["total_tokens"])
    )
    assert 0 < first.metrics["time_to_first_token"] < 10
    assert first.data["meta"]["metadata"]["llm.tool_count"] == 1


@pytest.mark.parametrize("way", ["patched", "unpatched"])
def test_what_the_bot_says_of_its_call_is_there_too(both: dict[str, Calls], way: str) -> None:
    agent = both[way].received.one("open", kind="agent")
    assert agent.tags["session.outcome"] == "helped"
    assert agent.tags["campaign"] == "call [phone]"
    assert [turn.tags.get("cart.items") for turn in agent.children[:2]].count("2") == 1
    assert "cart.items" not in agent.tags


def test_time_to_first_token_is_there_where_an_integration_tells_the_rest(patched: Calls) -> None:
    response = patched.received.one("shut", kind="agent").children[0].children[1]
    assert set(response.metrics) == {"time_to_first_token"}


@knows_more
@pytest.mark.parametrize("way", ["patched", "unpatched"])
def test_every_span_of_a_call_has_its_session_and_none_has_anothers(
    both: dict[str, Calls], way: str
) -> None:
    received = both[way].received
    for session_id in ("shut", "open", "turns", "remote"):
        for event in received.of(session_id):
            assert event.tags["session_id"] == session_id
            assert event.tags["ml_app"] == "voice-app"
            others = {"shut", "open", "turns", "remote", "apart"} - {session_id}
            assert not any(f"CANARY-{other}" in str(event.data) for other in others)
    roots = [event for event in received.events if "session_id" not in event.data]
    # Those of the call that is left out.
    assert bool(roots) is (way == "patched")
    assert {event.kind for event in roots} <= {"llm", "retrieval", "task"}


@pytest.mark.parametrize("way", ["patched", "unpatched"])
def test_without_capture_content_nothing_that_was_said_leaves_the_process(
    both: dict[str, Calls], way: str
) -> None:
    for url, body in both[way].received.bodies:
        for session_id in ("shut", "turns", "apart", "remote"):
            assert f"CANARY-{session_id}".encode() not in body, url


@knows_more
def test_with_capture_content_the_conversation_can_be_read(patched: Calls) -> None:
    turn, _, cut_off, _ = patched.received.one("open", kind="agent").children
    assert turn.input == "CANARY-open weather?"
    assert turn.output == "CANARY-open reply"
    assert cut_off.input == "CANARY-open a story"
    request = turn.children[1].children[0]
    assert request.input[-1] == {"role": "user", "content": "CANARY-open weather?"}
    assert request.data["meta"]["tool_definitions"][0]["description"] == "CANARY-open tool"
    tool = patched.received.one("open", kind="tool")
    assert tool.input == '{"city": "CANARY-open city"}'
    assert tool.output == '{"weather": "CANARY-open result"}'
    found = patched.received.one("open", name="look up")
    assert found.data["meta"]["metadata"] == {"note": "CANARY-open note"}


def test_with_capture_content_our_own_llm_span_has_the_messages(unpatched: Calls) -> None:
    second = unpatched.received.one("open", kind="agent").children[0].children[2]
    assert [message["role"] for message in second.input] == ["user", "assistant", "tool"]
    assert second.input[0]["content"] == "CANARY-open weather?"
    assert "CANARY-open city" in second.input[1]["content"]
    assert second.output == [{"role": "assistant", "content": "CANARY-open reply"}]


@pytest.mark.parametrize("way", ["patched", "unpatched"])
def test_a_processor_of_the_users_sees_each_span_first_and_may_leave_it_out(
    both: dict[str, Calls], way: str
) -> None:
    assert any(event.name == "look up" for event in both[way].received.events)
    assert not any(event.name == "dropped" for event in both[way].received.events)


@pytest.mark.parametrize("way", ["patched", "unpatched"])
def test_what_went_wrong_shows_where_it_did(both: dict[str, Calls], way: str) -> None:
    turns = both[way].received.one("shut", kind="agent").children
    outcomes = ["answered", "failed", "interrupted"]
    assert [turn.tags["turn.outcome"] for turn in turns[:3]] == outcomes
    first, second, third, _ = turns
    failed = second.children[1]
    assert failed.span["error"] == 1
    assert "Error code: 400" in failed.data["meta"]["error"]["message"]
    assert failed.tags["llm.outcome"] == "failed"
    assert third.tags["turn.was_interrupted"] == "true"
    assert first.span.get("error", 0) == 0


@pytest.mark.parametrize("way", ["patched", "unpatched"])
def test_an_evaluation_is_of_the_turn_that_was_exported(both: dict[str, Calls], way: str) -> None:
    calls = both[way]
    evaluations = calls.received.evaluations
    told = {"shut", "open", "turns", "remote", "apart"} & {line["session"] for line in calls.told}
    helpful = [found["join_on"]["span"] for found in evaluations if found["label"] == "helpful"]
    assert len(helpful) == len(told - {"apart"})
    for session_id in ("shut", "open"):
        turns = calls.received.one(session_id, kind="agent").children
        joined = {"span_id": turns[0].id, "trace_id": turns[0].trace_id}
        assert calls.exported(session_id, 1) == joined
        assert joined in helpful
        assert calls.exported(session_id, 2) == {**joined, "span_id": turns[1].id}
        assert calls.exported(session_id, None) == {**joined, "span_id": turns[3].id}
        assert calls.exported(session_id, 99) is None
        by_tag = {"key": "turn_id", "value": turns[1].tags["turn_id"]}
        assert [found["join_on"].get("tag") for found in evaluations].count(by_tag) == 1


@pytest.mark.parametrize("way", ["patched", "unpatched"])
def test_a_request_carries_what_it_is_part_of(both: dict[str, Calls], way: str) -> None:
    (told,) = [line for line in both[way].told if line["session"] == "shut" and "headers" in line]
    tags = dict(tag.split("=") for tag in told["headers"]["x-datadog-tags"].split(","))
    tool = both[way].received.one("shut", kind="tool")
    assert tags["_dd.p.llmobs_parent_id"] == tool.id
    assert f"{int(tags['_dd.p.llmobs_trace_id']):032x}" == tool.trace_id
    assert tags["_dd.p.llmobs_sid"] == "shut"


@knows_more
def test_two_sessions_in_one_trace_are_two_sessions(patched: Calls) -> None:
    turns = patched.received.one("turns", kind="agent")
    assert turns.shape() == ("agent bot turns", "agent voice-bot")
    (of_told,) = patched.received.of("turns child")
    assert of_told.parent_id == turns.id
    (of_untold,) = patched.received.of("apart child")
    assert of_untold.parent_id == "undefined"


@knows_more
def test_what_the_user_opens_in_a_tool_has_the_ids_that_it_was_told(patched: Calls) -> None:
    (told,) = [
        line["task"] for line in patched.told if line["session"] == "shut" and "task" in line
    ]
    task = patched.received.one("shut", name="look up")
    assert told == {"span_id": task.id, "trace_id": task.trace_id}


@knows_more
def test_with_a_trace_for_each_turn_the_session_joins_them(patched: Calls) -> None:
    received = patched.received
    turns = [event for event in received.of("turns") if event.name == "turn"]
    assert [turn.shape() for turn in turns] == list(TOLD_BY_INTEGRATION)
    assert {turn.parent_id for turn in turns} == {"undefined"}
    assert len({event.trace_id for event in received.of("turns")}) == 5
    exported = patched.exported("turns", 2)
    assert exported == {"span_id": turns[1].id, "trace_id": turns[1].trace_id}


def test_a_call_that_is_left_out_is_in_the_trace_alone(patched: Calls) -> None:
    ours = [
        span
        for span in patched.received.spans
        if span["name"].startswith("pipecat.") and span["meta"]["session_id"] == "apart"
    ]
    assert any(span["name"] == "pipecat.turn" for span in ours)
    assert not any(span.get("type") == "llm" or span.get("meta_struct") for span in ours)
    assert patched.exported("apart", 1) is None


def test_a_session_with_a_remote_parent_is_part_of_what_called_it(unpatched: Calls) -> None:
    agent = unpatched.received.one("remote", kind="agent")
    assert agent.parent_id == str(REMOTE_SPAN_ID)
    assert {event.trace_id for event in unpatched.received.of("remote")} == {str(REMOTE_TRACE_ID)}


@knows_more
@pytest.mark.parametrize("way", ["patched", "unpatched"])
def test_a_call_is_sampled_as_a_whole(both: dict[str, Calls], way: str) -> None:
    for session_id in ("shut", "open"):
        decisions = [event.data["_dd"] for event in both[way].received.of(session_id)]
        assert decisions
        assert all(
            (found["sample_rate"], found["sampling_decision"]) == ("1", "1") for found in decisions
        )


@pytest.mark.parametrize("way", ["patched", "unpatched"])
def test_a_finished_turn_waits_for_nothing_that_goes_on(both: dict[str, Calls], way: str) -> None:
    for session_id in ("shut", "open"):
        kinds = [
            {event.kind for event in both[way].received.of(session_id) if event.span in chunk}
            for chunk in both[way].received.chunks
        ]
        assert {"agent"} in kinds
        assert {"workflow"} in kinds or any("workflow" in kind for kind in kinds)
        assert not any({"agent", "workflow"} <= kind for kind in kinds)


@knows_more
def test_spans_of_the_trace_say_what_they_said_before(patched: Calls) -> None:
    received = patched.received
    (session,) = [
        span
        for span in received.spans
        if span["name"] == "pipecat.session" and span["meta"]["session_id"] == "shut"
    ]
    assert session["resource"] == "bot shut"
    assert session["service"] == "voice-bot"
    # The id that the span ends with, not the one it had while ddtrace started it.
    assert session["meta"]["llmobs_parent_id"] == str(session["span_id"])
    turn = received.one("shut", turn_id="shut:1").span
    assert turn["resource"] == "user"
    assert turn["metrics"]["turn.number"] == 1


@pytest.mark.parametrize("way", ["patched", "unpatched"])
def test_nothing_of_ours_fails(both: dict[str, Calls], way: str) -> None:
    assert "pipecat_dd" not in both[way].complaints

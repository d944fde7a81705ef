"""The store: bounded, and right about what belongs to whom."""

import gc
import json
import tracemalloc
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipecat_dd.cli.view.changes import Changes
from pipecat_dd.cli.view.payloads import RawSpan, spans_of
from pipecat_dd.cli.view.store import QUIET_SECS, Store
from tests.cli.view.served import line, span


def raw(*spans: dict[str, Any]) -> list[RawSpan]:
    return spans_of(msgpack.packb([list(spans)]), "v0.4")


def add_call(store: Store, number: int, spans: int = 30, lines: int = 40) -> None:
    name = f"s-{number}"
    made = [
        span("pipecat.frame", number * 1000 + one, 2, one, session=name, trace_id=number + 1)
        for one in range(3, spans)
    ]
    made.append(span("pipecat.session", number * 1000 + 1, 0, session=name, trace_id=number + 1))
    store.add_spans(raw(*made))
    store.add_lines(line(f"line {one} of call {number} " + "x" * 200, name) for one in range(lines))


def test_memory_is_flat_over_two_hundred_calls_without_a_viewer() -> None:
    store = Store(max_bytes=500_000)
    store.changes = Changes(kept=500)
    for number in range(60):
        add_call(store, number)
    gc.collect()
    tracemalloc.start()
    for number in range(60, 100):
        add_call(store, number)
    gc.collect()
    first = tracemalloc.get_traced_memory()[0]
    for number in range(100, 260):
        add_call(store, number)
    gc.collect()
    last = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert store.size <= 500_000
    assert 1 <= len(store.summaries()) < 60
    assert last - first < 250_000, f"{last - first} bytes more after 160 more calls"
    # What is there is the latest.
    assert store.summaries()[0]["id"] == "s-259"


def test_what_is_said_to_be_taken_is_about_what_is_taken() -> None:
    gc.collect()
    tracemalloc.start()
    store = Store()
    for number in range(40):
        add_call(store, number)
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert 0.5 < store.size / taken < 1.5


def test_a_call_that_goes_on_stays_while_ended_ones_go() -> None:
    store = Store(max_bytes=300_000)
    store.changes = Changes(kept=100_000)
    store.add_spans(raw(span("pipecat.turn", 5, session="live", trace_id=9000)))
    for number in range(50):
        add_call(store, number)
    assert "live" in [one["id"] for one in store.summaries()]
    seen = store.changes.since(0)
    assert seen is not None
    gone = [one.session_id for one in seen if one.topic == "gone"]
    assert gone[0] == "s-0"


def test_one_call_alone_forgets_its_oldest_lines_first_and_says_so() -> None:
    store = Store(max_bytes=200_000)
    store.add_spans(raw(span("pipecat.turn", 5)))
    store.add_lines(line(f"line {number}" + "x" * 400) for number in range(2000))
    (summary,) = store.summaries()
    assert store.size <= 200_000
    assert summary["dropped"] == 2000 - summary["line_count"]
    assert summary["turns"] == 1
    body = store.call_json("s-1")
    assert body is not None
    assert b"line 1999" in body


def test_one_call_that_never_ends_stays_within_the_bound() -> None:
    store = Store(max_bytes=300_000)
    store.changes = Changes(kept=500)

    def talk(turns: range) -> None:
        for turn in turns:
            frames = [span("pipecat.frame", turn * 100 + one, turn * 100) for one in range(1, 30)]
            store.add_spans(raw(*frames, span("pipecat.turn", turn * 100, 1)))

    talk(range(1, 500))
    gc.collect()
    tracemalloc.start()
    talk(range(500, 1500))
    gc.collect()
    more = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert store.size <= 300_000
    assert more < 600_000, f"{more} bytes more after 1,000 turns"
    call = json.loads(store.call_json("s-1") or b"")
    assert call["spans"][-1]["id"] == "149900", "the last turn is there"
    assert call["session"]["dropped"] > 0


def test_spans_that_wait_for_a_conversation_stay_within_a_bound() -> None:
    store = Store()
    gc.collect()
    tracemalloc.start()
    for number in range(2_000):
        text = {f"prompt.{one}": f"{number}".ljust(10_000, "x") for one in range(3)}
        foreign = span("openai.request", number + 1, 0, session=None, trace_id=number, meta=text)
        store.add_spans(raw(foreign))
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert taken < 25 * 2**20, f"{taken} bytes"


def test_a_call_of_which_nothing_comes_any_more_is_over_and_goes_on_if_it_does() -> None:
    now = [0.0]
    store = Store(clock=lambda: now[0])
    store.add_spans(raw(span("pipecat.turn", 5)))
    now[0] = QUIET_SECS + 1
    store.end_quiet()
    assert store.summaries()[0]["is_live"] is False
    assert "end" in store.summaries()[0]
    store.add_spans(raw(span("pipecat.turn", 6)))
    assert store.summaries()[0]["is_live"] is True
    store.end_all()
    assert store.summaries()[0]["is_live"] is False


def test_what_a_call_adds_up_to_is_known_while_it_goes_on_and_the_sessions_word_after() -> None:
    store = Store()
    turn = span("pipecat.turn", 2, metrics={"turn.user_bot_latency_seconds": 1.5})
    turn["meta"]["turn.was_interrupted"] = "true"
    turn["metrics"] |= {"turn.voice_gap_count": 2, "turn.voice_gap_seconds": 0.7}
    store.add_spans(
        raw(
            turn,
            span("pipecat.tool", 3, 2, error=1),
            span("pipecat.blocked", 4, 2, ms=250),
            span("pipecat.participant", 5, 1, meta={"participant_id": "p"}),
        )
    )
    summary = store.summaries()[0]
    assert summary["slowest_answer_secs"] == 1.5
    assert (summary["voice_gap_count"], summary["voice_gap_secs"]) == (2, 0.7)
    assert (summary["blocked_count"], summary["blocked_secs"]) == (1, 0.25)
    assert (summary["errors"], summary["interruptions"], summary["participants"]) == (1, 1, 1)
    session = span("pipecat.session", 1, 0, resource="weather", ms=5000)
    session["metrics"] = {"session.error_count": 3, "session.turn_count": 4}
    session["meta"] |= {"session.outcome": "booked", "session.end_reason": "ended"}
    store.add_spans(raw(session))
    summary = store.summaries()[0]
    assert (summary["errors"], summary["turns"]) == (3, 4)
    assert (summary["outcome"], summary["end_reason"]) == ("booked", "ended")
    assert (summary["name"], summary["is_live"]) == ("weather", False)
    assert summary["end"] - summary["start"] == 5000


def test_a_span_of_two_sessions_trace_is_that_of_the_span_around_it() -> None:
    store = Store()
    store.add_spans(raw(span("pipecat.llm", 2, session="a"), span("pipecat.llm", 3, session="b")))
    store.add_spans(raw(span("http", 4, 2, session=None), span("http", 5, 4, session=None)))
    store.add_spans(raw(span("http", 6, 3, session=None), span("http", 7, 99, session=None)))
    counts = {one["id"]: one["span_count"] for one in store.summaries()}
    assert counts == {"a": 3, "b": 2}


TREE = [
    span("pipecat.startup", 9, 1),
    span("pipecat.user_speech", 3, 2, 0, 200),
    span("pipecat.stt", 4, 2, 0, 300),
    span("pipecat.llm", 5, 2, 300, 400),
    span("openai.request", 6, 5, 310, 300, session=None),
    span("pipecat.tool", 7, 5, 400, 100),
    span("http.request", 8, 7, 410, 50, session=None),
    span("pipecat.turn", 2, 1, 0, 900),
    span("pipecat.session", 1, 0, 0, 2000),
]


@settings(max_examples=100, deadline=None)
@given(st.permutations(TREE), st.lists(st.integers(1, 4), min_size=9, max_size=9))
def test_in_whatever_order_spans_come_the_tree_is_the_same(
    spans: list[dict[str, Any]], sizes: list[int]
) -> None:
    store = Store()
    while spans:
        size = sizes.pop()
        store.add_spans(raw(*spans[:size]))
        spans = spans[size:]
    body = store.call_json("s-1")
    assert body is not None
    found = {one["id"]: one for one in json.loads(body)["spans"]}
    assert found.keys() == {str(number) for number in range(1, 10)}
    assert {key for key, one in found.items() if one.get("turn") == "2"} == set("345678")
    assert not any("open" in one for one in found.values())
    # A viewer that has followed from the beginning has the same.
    seen = store.changes.since(0)
    assert seen is not None
    followed = {}
    for change in seen:
        if change.topic == "spans":
            item = json.loads(change.item)
            followed[item["id"]] = item
    assert followed == found


# Lines that do not say when they were written, or say it in another unit


@pytest.mark.parametrize("name", ["pipecat.frame", "pipecat.turn"])
@pytest.mark.parametrize("others", [(), (8,), (9, 8)])
def test_spans_in_a_circle_are_there_and_stop_nothing(name: str, others: tuple[int, ...]) -> None:
    ids = (7, *others)
    store = Store()
    store.add_spans(raw(*map(span, (name,) * len(ids), ids, (*ids[1:], 7))))
    call = json.loads(store.call_json("s-1") or b"")
    assert {one["id"] for one in call["spans"]} == set(map(str, ids))
    assert others or "parent" not in call["spans"][0]


def test_a_line_without_a_time_does_not_move_the_calls_beginning() -> None:
    store = Store()
    store.add_spans(raw(span("pipecat.turn", 2, 1, 100, 50)))
    began = store.summaries()[0]["start"]
    for when in (None, "yesterday", 0, -1, 1e300, True):
        store.add_lines([{"session_id": "s-1", "message": "when?", "timestamp": when}])
    assert store.summaries()[0]["start"] == began
    call = json.loads(store.call_json("s-1") or b"")
    assert {one["t"] for one in call["lines"]} == {began + 50}


@pytest.mark.parametrize("unit", [1.0, 1e3, 1e6, 1e9])
def test_a_lines_time_may_be_in_seconds_or_parts_of_them(unit: float) -> None:
    store = Store()
    store.add_lines([{"session_id": "s-1", "message": "now", "timestamp": 1_800_000_000.5 * unit}])
    assert store.summaries()[0]["start"] == pytest.approx(1_800_000_000_500, abs=1)

"""What is sent of a real conversation: it agrees with the spans, the contract, and says no ids."""

from collections import Counter
from typing import Any

import pytest

from pipecat_dd.conversation.model import Kind
from pipecat_dd.names.metric_tags import UNIFIED
from pipecat_dd.names.metrics import METRICS, Type
from pipecat_dd.names.tags import WAIT_PARTS
from pipecat_dd.testing import SeenSpan
from tests.export.metrics.conversation import CANARY, Told

LETTERS = {Type.DISTRIBUTION: "d", Type.COUNT: "c", Type.GAUGE: "g"}

ELSEWHERE = {
    "pipecat.observer.shed": "nothing is shed where the observer keeps up: test_own.py",
    "pipecat.observer.failures": "nothing of ours fails: test_own.py",
    "pipecat.logs.shipped": "lines are shipped where there is no Agent: test_own.py",
    "pipecat.logs.dropped": "as above",
}
"""What the conversation cannot provoke, and why."""

SELDOM = {
    *("pipecat.voice_gaps", "pipecat.voice_gap_seconds"),
    *("pipecat.user_audio.gaps", "pipecat.user_audio.gap_seconds", "pipecat.user_audio.missing"),
    *("pipecat.service.events", "pipecat.service.reconnect_seconds"),
    *("pipecat.end_of_turn.incomplete", "pipecat.event_loop.blocked_seconds"),
    "pipecat.user_audio.level_dbfs",
}
"""What is sent where something goes wrong, which a busy machine may bring about, or where audio
comes from a transport: test_stages.py."""

ROUNDING_SECS = 2e-6
"""ddtrace keeps times as seconds in a float on their way."""

NUMBERS = [
    ("pipecat.turn.user_bot_latency_seconds", "pipecat.turn", "turn.user_bot_latency_seconds", {}),
    *(
        ("pipecat.turn.wait_seconds", "pipecat.turn", f"turn.wait.{part}_seconds", {"part": part})
        for part, _ in WAIT_PARTS
    ),
    *(
        ("pipecat.service.ttfb_seconds", f"pipecat.{kind}", "metrics.ttfb", {"stage": str(kind)})
        for kind in (Kind.STT, Kind.LLM, Kind.TTS)
    ),
    ("pipecat.llm.ttfat_seconds", "pipecat.llm", "metrics.ttfat", {}),
    ("pipecat.tts.ttfa_seconds", "pipecat.tts", "metrics.ttfa", {}),
    *(
        (f"pipecat.session.{what}", "pipecat.session", f"session.{what}", {})
        for what in (
            "first_speech_seconds",
            "longest_silence_seconds",
            "longest_bot_silence_seconds",
        )
    ),
]
"""Distributions: their values are those of a metric of the spans."""

SUMS = [
    ("pipecat.tokens", "pipecat.llm", "gen_ai.usage.input_tokens", {"type": "input"}),
    ("pipecat.tokens", "pipecat.llm", "gen_ai.usage.output_tokens", {"type": "output"}),
    ("pipecat.characters", "pipecat.tts", "metrics.character_count", {}),
    ("pipecat.audio_seconds", "pipecat.tts", "tts.audio_seconds", {"stage": "tts"}),
    ("pipecat.audio_seconds", "pipecat.stt", "metrics.audio_seconds", {"stage": "stt"}),
    *(
        (
            "pipecat.speech_seconds",
            "pipecat.session",
            f"session.{who}_speech_seconds",
            {"speaker": who},
        )
        for who in ("user", "bot")
    ),
    ("pipecat.bot_speeches", "pipecat.session", "session.bot_speech_count", {}),
    ("pipecat.failovers", "pipecat.turn", "failovers.openai", {"provider": "openai"}),
]
"""Counts: they add up to what a metric of the spans adds up to."""

DURATIONS = [
    ("pipecat.turn.duration_seconds", "pipecat.turn"),
    ("pipecat.end_of_turn_seconds", "pipecat.end_of_turn"),
    ("pipecat.tool.duration_seconds", "pipecat.tool"),
    ("pipecat.session.duration_seconds", "pipecat.session"),
]


def spans(told: Told, name: str) -> list[SeenSpan]:
    return [span for session in (told.spoken, told.joined) for span in session.named(name)]


def values(told: Told, name: str, tag: str) -> list[float]:
    found = [span.tags[tag] for span in spans(told, name) if tag in span.tags]
    assert all(isinstance(value, float | int) for value in found)
    return sorted(float(value) for value in found)


def test_every_metric_is_in_the_contract_with_its_type_and_tags(told: Told) -> None:
    contract = {metric.name: metric for metric in METRICS}
    for metric in told.received.metrics:
        doc = contract[metric.name]
        assert metric.type == LETTERS[doc.type], metric
        assert set(metric.own_tags) <= set(doc.tags), metric
        assert all(metric.own_tags.values()), metric


def test_every_metric_of_the_contract_is_sent_with_each_of_its_tags(told: Told) -> None:
    sent: dict[str, set[str]] = {}
    for metric in told.received.metrics:
        sent.setdefault(metric.name, set()).update(metric.own_tags)
    for doc in METRICS:
        if doc.name not in {*ELSEWHERE, *SELDOM}:
            assert sent.get(doc.name) == set(doc.tags), doc.name
    assert not set(sent) & set(ELSEWHERE)


def test_every_metric_has_service_env_and_version_once(told: Told) -> None:
    for metric in told.received.metrics:
        found = {name: metric.tag(name) for name in UNIFIED}
        assert found == {"service": "test-bot", "env": "test", "version": "1.2.3"}


@pytest.mark.parametrize(("metric", "span", "tag", "tags"), NUMBERS)
def test_a_distribution_has_the_values_of_the_spans(
    told: Told, metric: str, span: str, tag: str, tags: dict[str, Any]
) -> None:
    expected = values(told, span, tag)
    assert expected
    assert told.received.values(metric, **tags) == expected


@pytest.mark.parametrize(("metric", "span", "tag", "tags"), SUMS)
def test_a_count_adds_up_to_what_the_spans_add_up_to(
    told: Told, metric: str, span: str, tag: str, tags: dict[str, Any]
) -> None:
    expected = sum(values(told, span, tag))
    assert expected > 0
    assert told.received.total(metric, **tags) == pytest.approx(expected)


@pytest.mark.parametrize(("metric", "span"), DURATIONS)
def test_a_duration_is_the_spans(told: Told, metric: str, span: str) -> None:
    expected = sorted(found.secs for found in spans(told, span))
    assert expected
    assert told.received.values(metric) == pytest.approx(expected, abs=ROUNDING_SECS)


def test_the_parts_of_the_wait_add_up_to_the_latency(told: Told) -> None:
    latency = told.received.total("pipecat.turn.user_bot_latency_seconds")
    assert told.received.total("pipecat.turn.wait_seconds") == pytest.approx(latency)


def test_turns_are_counted_by_what_came_of_them(told: Told) -> None:
    turns = told.spoken.named("pipecat.turn")
    expected = Counter(str(turn.tags["turn.outcome"]) for turn in turns)
    assert set(expected) >= {"answered", "interrupted", "failed"}
    for outcome, count in expected.items():
        tags = {"outcome": outcome, "began_by": "user", "transport": "QuickOutput"}
        assert told.received.total("pipecat.turns", **tags) == count
        assert len(told.received.named("pipecat.turn.duration_seconds", outcome=outcome)) == count
    assert told.received.total("pipecat.turns") == told.spoken.root.tags["session.turn_count"]
    cut = told.spoken.root.tags["session.interruption_count"]
    assert told.received.total("pipecat.interruptions") == cut == expected["interrupted"]


def test_every_span_that_failed_is_an_error_by_its_category(told: Told) -> None:
    # A turn that failed for one of them is an error as well, and counted once.
    failed = [s for s in told.spoken.errors if s.name.startswith("pipecat.")]
    turns = [span for span in failed if span.name == "pipecat.turn"]
    assert {span.tags["turn.outcome"] for span in turns} == {"failed"}
    failed = [span for span in failed if span not in turns]
    assert {span.name for span in failed} == {"pipecat.llm", "pipecat.stt", "pipecat.tool"}
    assert told.received.total("pipecat.errors") == len(failed)
    for span in failed:
        (error,) = told.received.named("pipecat.errors", stage=span.name.removeprefix("pipecat."))
        assert error.tag("category") == span.tags["error.category"]
        assert error.tag("usable") == span.tags["processor.usable"]
        assert error.tag("provider") == span.tags.get("gen_ai.provider.name")


def test_services_are_told_by_provider_and_model(told: Told) -> None:
    for name in ("stt", "llm", "tts"):
        expected = Counter(
            (span.tags["gen_ai.provider.name"], span.tags["gen_ai.request.model"])
            for span in told.spoken.named(f"pipecat.{name}")
            if "metrics.ttfb" in span.tags
        )
        sent = told.received.named("pipecat.service.ttfb_seconds", stage=name)
        assert Counter((m.tag("provider"), m.tag("model")) for m in sent) == expected


def test_tools_are_told_by_name_and_outcome(told: Told) -> None:
    sent = told.received.named("pipecat.tool.duration_seconds")
    assert {(metric.tag("tool"), metric.tag("outcome")) for metric in sent} == {
        ("get_weather", "completed"),
        ("broken", "failed"),
    }


def test_sessions_are_told_from_start_to_end(told: Told) -> None:
    for session, transport, spoke in (
        (told.spoken, "QuickOutput", "true"),
        (told.joined, "SingleClientWebsocketServerTransport", "false"),
    ):
        assert session.root.tags["transport"] == transport
        assert told.received.total("pipecat.sessions.started", transport=transport) == 1
        (ended,) = told.received.named("pipecat.sessions.ended", transport=transport)
        assert ended.tag("end_reason") == session.root.tags["session.end_reason"] == "ended"
        assert ended.tag("bot_spoke") == spoke
        assert ended.tag("session_outcome") == session.root.tags.get("session.outcome")
    assert told.received.named("pipecat.sessions.started")[0].value == 1


def test_participants_are_counted_as_they_come_and_go(told: Told) -> None:
    (participant,) = told.joined.named("pipecat.participant")
    for name in ("pipecat.participants.joined", "pipecat.participants.left"):
        assert told.received.total(name, transport=participant.resource) == 1


def test_the_gauge_of_sessions_goes_up_and_down_again(told: Told) -> None:
    active = [metric.value for metric in told.received.named("pipecat.sessions.active")]
    assert set(active) == {0, 1}
    assert active[0] == 1
    assert active[-1] == 0


def test_no_id_and_nothing_of_the_users_stands_in_what_is_sent(told: Told) -> None:
    sent = "\n".join(told.received.datagrams)
    assert CANARY not in sent
    for session in (told.spoken, told.joined):
        for span in session.spans:
            for tag in ("participant_id", "tool.call_id", "processor.name", "frame.id"):
                value = str(span.tags.get(tag, ""))
                assert not value or f":{value}" not in sent, tag
            assert str(span.span_id) not in sent
            assert f"{span.trace_id:032x}" not in sent

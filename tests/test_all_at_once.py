"""One recorded conversation, told in every way at once: spans, lines, metrics, LLM Observability.

What each of them says was received by a server of its own. The session's id joins them, and their
counts agree.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from pipecat_dd.cli.demo import scenario
from pipecat_dd.cli.demo.run import converse
from tests.export.llmobs.received import Received
from tests.support import dogstatsd
from tests.support.agent import running_test_agent
from tests.support.intake import KEY, running_intake
from tests.support.ports import free_port
from tests.support.versions import needs_ddtrace

pytestmark = [
    pytest.mark.timeout(180),
    needs_ddtrace("4.16", "LLM Observability knows less of a span: docs/versions.md"),
]


@dataclass
class Told:
    """What was received of the conversation, by each way."""

    traces: Received
    written: list[dict[str, Any]]
    shipped: list[dict[str, Any]]
    metrics: dogstatsd.Received

    def spans(self, name: str) -> list[dict[str, Any]]:
        return [span for span in self.traces.spans if span["name"] == f"pipecat.{name}"]

    @property
    def session(self) -> dict[str, Any]:
        (session,) = self.spans("session")
        return session

    def sum_of(self, name: str, metric: str) -> float:
        return sum(span["metrics"].get(metric, 0) for span in self.spans(name))


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    out = tmp_path_factory.mktemp("all-at-once")
    with (
        running_test_agent(free_port()) as agent,
        running_intake() as intake,
        dogstatsd.listening() as metrics,
    ):
        settings = {
            "DD_TRACE_AGENT_URL": agent.url,
            "DD_DOGSTATSD_URL": metrics.url,
            "DD_API_KEY": KEY,
            "DD_LLMOBS_ENABLED": "1",
            "DD_LLMOBS_AGENTLESS_ENABLED": "0",
            "DD_LLMOBS_ML_APP": "demo",
            "PIPECAT_DD_METRICS": "true",
            "PIPECAT_DD_SHIP": "true",
            "PIPECAT_DD_SHIP_URL": intake.url,
        }
        outcome = asyncio.run(converse(out, lambda progress: None, bot_settings=settings))
        assert outcome.failure is None
        written = [json.loads(line) for line in outcome.log_file.read_text().splitlines()]
        yield Told(Received(agent), written, intake.lines, metrics)


def test_every_line_that_was_written_was_shipped_once_and_leads_to_its_span(told: Told) -> None:
    def by_content(lines: list[dict[str, Any]]) -> Counter[str]:
        added = ("ddsource", "ddtags", "hostname")
        return Counter(
            json.dumps({k: v for k, v in line.items() if k not in added}, sort_keys=True)
            for line in lines
        )

    assert by_content(told.shipped) == by_content(told.written)
    known = {str(span["span_id"]) for span in told.traces.spans}
    within = [line for line in told.shipped if "dd.span_id" in line]
    assert len(within) > 100
    assert {line["dd.span_id"] for line in within} <= known


def test_one_session_id_joins_them(told: Told) -> None:
    session_id = told.session["meta"]["session_id"]
    of_pipecat = [span for span in told.traces.spans if span["name"].startswith("pipecat.")]
    assert {span["meta"]["session_id"] for span in of_pipecat} == {session_id}
    assert {line["session_id"] for line in told.shipped if "session_id" in line} == {session_id}
    assert {event.data["session_id"] for event in told.traces.events} == {session_id}
    # Metrics are of all sessions: there was one.
    assert told.metrics.total("pipecat.sessions.started") == 1
    assert told.metrics.total("pipecat.sessions.ended") == 1
    assert not any(session_id in datagram for datagram in told.metrics.datagrams)


def test_turns_are_counted_alike(told: Told) -> None:
    turns = told.spans("turn")
    assert len(turns) == len(scenario.CONVERSATION)
    assert told.session["metrics"]["session.turn_count"] == len(turns)
    assert Counter(turn["meta"]["turn.outcome"] for turn in turns) == Counter(
        {
            outcome: told.metrics.total("pipecat.turns", outcome=outcome)
            for outcome in {turn["meta"]["turn.outcome"] for turn in turns}
        }
    )
    assert told.metrics.total("pipecat.turns") == len(turns)
    interruptions = told.session["metrics"]["session.interruption_count"]
    assert told.metrics.total("pipecat.interruptions") == interruptions > 0
    events = [event for event in told.traces.events if event.span["name"] == "pipecat.turn"]
    assert {event.id for event in events} == {str(turn["span_id"]) for turn in turns}


def test_waits_are_measured_alike(told: Told) -> None:
    waits = sorted(
        turn["metrics"]["turn.user_bot_latency_seconds"]
        for turn in told.spans("turn")
        if "turn.user_bot_latency_seconds" in turn["metrics"]
    )
    assert len(waits) > 2
    name = "pipecat.turn.user_bot_latency_seconds"
    assert told.metrics.values(name) == pytest.approx(waits, abs=1e-3)
    assert told.metrics.total("pipecat.turn.wait_seconds") == pytest.approx(sum(waits), abs=1e-2)


@pytest.mark.parametrize(
    ("type_", "used", "counted"),
    [
        ("input", "gen_ai.usage.input_tokens", "input_tokens"),
        ("output", "gen_ai.usage.output_tokens", "output_tokens"),
    ],
)
def test_tokens_are_counted_alike_and_once(told: Told, type_: str, used: str, counted: str) -> None:
    tokens = told.sum_of("llm", used)
    assert tokens > 0
    assert told.metrics.total("pipecat.tokens", type=type_) == tokens
    assert sum(event.metrics.get(counted, 0) for event in told.traces.events) == tokens


def test_services_and_tools_are_counted_alike(told: Told) -> None:
    characters = told.sum_of("tts", "metrics.character_count")
    assert told.metrics.total("pipecat.characters") == characters > 0
    tools = told.spans("tool")
    assert len(told.metrics.named("pipecat.tool.duration_seconds")) == len(tools) > 0
    shown = [event for event in told.traces.events if event.kind == "tool"]
    assert {event.id for event in shown} == {str(tool["span_id"]) for tool in tools}
    assert len(told.metrics.named("pipecat.service.ttfb_seconds", stage="llm")) == sum(
        "metrics.ttfb" in span["metrics"] for span in told.spans("llm")
    )


def test_what_was_said_is_in_none_of_them(told: Told) -> None:
    everything = [str(span) for span in told.traces.spans]
    everything += [str(event.data) for event in told.traces.events]
    everything += [json.dumps(line) for line in told.shipped]
    everything += told.metrics.datagrams
    said = [*scenario.REPLIES, *(line.text for line in scenario.CONVERSATION)]
    for text in everything:
        for words in said:
            assert words not in text
            assert words.partition(".")[0] not in text
        assert KEY not in text

"""What a bot sends arrives whole, through Datadog's own mini agent.

Run where ``datadog-serverless-compat`` is installed (in the extra ``dev``, on Linux).
"""

import math
import os
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support import mini_agent
from tests.support.datadog_backend import is_foreign
from tests.support.dogstatsd import TELEMETRY, Metric
from tests.support.mini_agent import MiniAgent

pytestmark = [
    pytest.mark.mini_agent,
    pytest.mark.skipif(
        mini_agent.binary() is None, reason="needs datadog-serverless-compat, on Linux"
    ),
]

BOTS = [("session", "notable"), ("session", "all"), ("turn", "notable"), ("turn", "all")]
NUMBERS = ("trace_id", "span_id", "parent_id", "start", "duration", "error")
TEXTS = ("name", "resource", "service", "type")
PLACE = {"_dd.origin", "origin", "asa.name"}
"""Where the agent believes to be, which it says on the first span of each chunk."""


def bot(agent: MiniAgent, scope: str, frames: str) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tests.support.mini_agent_bot"),
            *("--trace-scope", scope, "--frame-spans", frames),
        ],
        env={
            **os.environ,
            "DD_TRACE_AGENT_URL": agent.traces_url,
            "DD_TRACE_API_VERSION": "v0.4",
            "DD_DOGSTATSD_URL": agent.metrics_url,
            "DD_TRACE_ENABLED": "true",
        },
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def agent() -> Iterator[MiniAgent]:
    """The agent, to which a bot of each kind has sent a conversation."""
    with mini_agent.running() as running:
        with ThreadPoolExecutor(2) as two:
            list(two.map(lambda one: bot(running, *one), BOTS))
        running.until(lambda: len(running.received) >= len(running.sent))
        yield running


def of(spans: list[dict[str, Any]], scope: str, frames: str) -> dict[int, dict[str, Any]]:
    """Return the spans of a bot's traces, by their id."""
    own = {
        span["trace_id"]
        for span in spans
        if (span.get("meta") or {}).get("session_id") == f"mini-{scope}-{frames}"
    }
    return {span["span_id"]: span for span in spans if span["trace_id"] in own}


@pytest.mark.parametrize(("scope", "frames"), BOTS)
def test_every_span_arrives_as_it_was_sent(agent: MiniAgent, scope: str, frames: str) -> None:
    sent, received = of(agent.sent, scope, frames), of(agent.received, scope, frames)
    assert len(sent) > 30
    assert set(received) == set(sent)
    for span_id, span in sent.items():
        arrived = received[span_id]
        for name in NUMBERS:
            assert arrived.get(name, 0) == (span.get(name) or 0), (span["name"], name)
        for name in TEXTS:
            assert arrived.get(name, "") == (span.get(name) or ""), (span["name"], name)
        meta = {k: v for k, v in arrived.get("meta", {}).items() if k not in PLACE}
        assert meta == (span.get("meta") or {}), span["name"]
        metrics = dict(arrived.get("metrics", {}))
        # The agent's own mark of what is an entry to the service, as the tracer says it.
        is_entry = metrics.pop("_top_level", 0.0)
        assert metrics == (span.get("metrics") or {}), span["name"]
        assert is_entry <= metrics.get("_dd.top_level", 0.0), span["name"]
        assert links(arrived) == links(span), span["name"]
    if scope == "turn":
        turns = [span for span in sent.values() if span["name"] == "pipecat.turn"]
        assert all(links(turn) for turn in turns)
        assert len({turn["trace_id"] for turn in turns}) == len(turns) == 2


def links(span: dict[str, Any]) -> list[tuple[int, int, int, dict[str, str]]]:
    return [
        (one["trace_id"], one.get("trace_id_high", 0), one["span_id"], one.get("attributes", {}))
        for one in span.get("span_links") or ()
    ]


@pytest.mark.parametrize(("scope", "frames"), BOTS)
def test_no_trace_is_one_that_a_newer_agent_refuses(
    agent: MiniAgent, scope: str, frames: str
) -> None:
    traces: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for span in of(agent.sent, scope, frames).values():
        traces[span["trace_id"]].append({**span, "meta": span.get("meta") or {}})
    assert [trace for trace in traces.values() if is_foreign(trace)] == []


def test_every_metric_arrives_with_its_tags_and_values(agent: MiniAgent) -> None:
    sent = [Metric.parse(line) for line in agent.sent_metrics]
    ours = [one for one in sent if not one.name.startswith(TELEMETRY)]
    assert sum(one.name == "pipecat.sessions.ended" for one in ours) == len(BOTS)
    counts = Counter[tuple[str, frozenset[str]]]()
    values: dict[tuple[str, frozenset[str]], list[float]] = defaultdict(list)
    gauges: dict[tuple[str, frozenset[str]], float] = {}
    for one in ours:
        context = one.name, frozenset(one.tags)
        if one.type == "c":
            counts[context] += one.value
        elif one.type == "d":
            values[context].append(one.value)
        else:
            gauges[context] = one.value

    def has_arrived() -> bool:
        arrived = sum(number for name, _, number, _ in agent.sketches if name.startswith("pipecat"))
        return arrived >= sum(map(len, values.values()))

    agent.until(has_arrived, 3 * mini_agent.FLUSH_SECS)
    arrived_counts = Counter[tuple[str, frozenset[str]]]()
    arrived_gauges = {}
    for name, kind, tags, value in agent.series:
        if name.startswith("pipecat."):
            if kind == "gauge":
                arrived_gauges[name, tags] = value
            else:
                arrived_counts[name, tags] += value
    assert arrived_counts.keys() == counts.keys()
    for context, total in counts.items():
        assert math.isclose(arrived_counts[context], total), context
    assert arrived_gauges == gauges
    arrived: dict[tuple[str, frozenset[str]], list[float]] = defaultdict(lambda: [0, 0.0])
    for name, tags, number, total in agent.sketches:
        if name.startswith("pipecat."):
            arrived[name, tags][0] += number
            arrived[name, tags][1] += total
    assert set(arrived) == set(values)
    for context, (number, total) in arrived.items():
        assert number == len(values[context]), context
        assert math.isclose(total, sum(values[context]), rel_tol=1e-6, abs_tol=1e-9), context


def test_another_version_of_the_protocol_is_a_404_that_nobody_hears_of(agent: MiniAgent) -> None:
    # Why doctor compares the version with /info.
    assert '"/v0.4/traces"' in agent.info()
    assert '"/v0.5/traces"' not in agent.info()
    assert agent.refused == []
    send = "from ddtrace.trace import tracer; tracer.trace('lost').finish(); tracer.flush()"
    env = {**os.environ, "DD_TRACE_AGENT_URL": agent.traces_url, "DD_TRACE_ENABLED": "true"}
    done = subprocess.run([sys.executable, "-c", send], env=env, capture_output=True, timeout=60)
    assert done.returncode == 0
    assert set(agent.refused) == {404}
    assert not [span for span in agent.received if span["name"] == "lost"]
    agent.refused.clear()

"""A span of somebody else's that stays open in a session's trace holds nothing back."""

import json
import signal
from typing import Any

import pytest

from tests.support.agent import TestAgent
from tests.support.processes import bot_process

BOT = "tests.export.spans.open_span_bot"
SCOPES = pytest.mark.parametrize("scope", ["session", "turn"])
STAGES = {f"pipecat.{kind}" for kind in ("turn", "stt", "llm", "tool", "tts", "bot_speech")}


def named(agent: TestAgent, name: str) -> list[dict[str, Any]]:
    return [span for span in agent.spans() if span["name"] == name]


def two_turns(agent: TestAgent) -> bool | None:
    return len(named(agent, "pipecat.turn")) >= 2 or None


@SCOPES
def test_finished_turns_arrive_in_mid_call_and_sigterm_loses_nothing(
    agent: TestAgent, scope: str
) -> None:
    with bot_process(BOT, scope, "own", agent_url=agent.url) as bot:
        bot.hears("asked")
        agent.wait(lambda: two_turns(agent), timeout_secs=5)
        assert {span["name"] for span in agent.spans()} > STAGES
        bot.popen.send_signal(signal.SIGTERM)
        bot.ends(15)
    assert len(named(agent, "pipecat.session")) == 1
    assert len(named(agent, "pipecat.turn")) == 2
    assert len(named(agent, "look.up")) == 2
    assert len({span["span_id"] for span in agent.spans()}) == len(agent.spans()), "once each"
    assert not named(agent, "crm.subscription"), "its own affair"


@SCOPES
@pytest.mark.parametrize("captures", [False, True])
def test_pipecats_own_tracing_runs_beside(agent: TestAgent, scope: str, captures: bool) -> None:
    pytest.importorskip("opentelemetry.sdk.trace", reason="Pipecat traces nothing without it")
    what = "pipecat-content" if captures else "pipecat"
    environment = {"DD_TRACE_OTEL_ENABLED": "true"}
    with bot_process(BOT, scope, what, agent_url=agent.url, environment=environment) as bot:
        bot.hears("asked")
        agent.wait(lambda: two_turns(agent), timeout_secs=5)
        bot.tell("end")
        said = bot.report()
        bot.ends()
    spans = agent.spans()
    by_id = {span["span_id"]: span for span in spans}
    pipecats = [span for span in spans if span["resource"] in ("conversation", "stt", "llm", "tts")]
    assert {span["resource"] for span in pipecats} == {"conversation", "stt", "llm", "tts"}
    assert {span["meta"]["session_id"] for span in pipecats} == {"open"}

    # Its spans do not come between ours and those of SDKs.
    requests = named(agent, "openai.request")
    parents = {by_id[request["parent_id"]]["name"] for request in requests}
    assert parents == {"pipecat.stt", "pipecat.llm"}

    sent = json.dumps(pipecats)
    assert ("harbour" in sent) is captures
    assert ("That is that." in sent) is captures
    assert "sk-abcdef" not in sent
    assert sum("Pipecat's own tracing" in line for line in said) == 1

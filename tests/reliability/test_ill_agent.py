"""A dead, slow, refusing or flapping Agent: the bot notices nothing, and delivery resumes."""

import threading
import time
from pathlib import Path
from typing import Any

import pipecat_dd
from tests.support.blocking import watching
from tests.support.ill_agent import Health, IllAgent
from tests.support.processes import BotProcess, bot_process
from tests.support.spans import trace_of
from tests.support.together import together

CONVERSATIONS = 4
"""How many are held while the Agent is ill: more than two seconds of them."""

MAX_LATER_MS = 150.0
"""How much later than without the observer the event loop may get to anything. Waiting for the
Agent would take two seconds at least; the rest is what a busy machine may do."""

RESUMES_WITHIN_SECS = 30.0
"""How long after the Agent is well again new turns arrive: ddtrace tries for up to 20 s to be rid
of what it could not send before it sends on."""

MAX_GROWTH_MB = 40.0
"""How much memory may grow: ddtrace keeps 20 MB at most of what it cannot send."""


def talk(process: BotProcess, times: int, *, observed: bool) -> dict[str, Any]:
    process.tell(f"talk {times} {'observed' if observed else 'plain'}")
    return process.report()


def check(health: Health) -> None:
    with (
        IllAgent(health) as agent,
        bot_process("tests.reliability.talking_bot", agent_url=agent.url) as process,
    ):
        plain = talk(process, 1, observed=False)
        talk(process, 1, observed=True)  # what is imported and cached once
        before = talk(process, 1, observed=True)
        ill = talk(process, CONVERSATIONS, observed=True)

        assert ill["said"] == plain["said"] * CONVERSATIONS, "the bot said something else"
        assert not ill["blocked"]
        assert ill["lag_ms"]["max"] <= plain["lag_ms"]["max"] + MAX_LATER_MS
        assert ill["rss_mb"] - before["rss_mb"] <= MAX_GROWTH_MB
        assert not ill["left"], "tasks are left behind"
        if health.value.isdigit():
            assert agent.refused > 0, "it was never ill"

        agent.becomes(Health.WELL)
        well = talk(process, 1, observed=True)
        assert well["said"] == plain["said"]
        (session_id,) = well["sessions"]
        deadline = time.monotonic() + RESUMES_WITHIN_SECS
        while not any(span["name"] == "pipecat.session" for span in agent.of(session_id)):
            assert time.monotonic() < deadline, "delivery does not resume"
            time.sleep(0.1)
        trace = trace_of(agent.of(session_id), session_id)
        assert trace is not None
        trace.check()
        assert (
            len(trace.named("pipecat.turn")) == trace.one("pipecat.session")["session.turn_count"]
        )
        process.tell("end")
        assert process.ends()[0] == 0


def test_the_bot_notices_nothing_of_an_ill_agent_and_delivery_resumes() -> None:
    together([health for health in Health if health is not Health.WELL], check)


async def test_what_blocks_on_our_behalf_is_found() -> None:
    inside = Path(pipecat_dd.__file__).with_name("made_up.py")
    scope: dict[str, Any] = {"time": time, "threading": threading}
    source = "def sleeps(): time.sleep(0)\ndef waits(): threading.Event().wait(0)"
    exec(compile(source, str(inside), "exec"), scope)
    with watching() as blocked:
        time.sleep(0)  # noqa: ASYNC251 - not ours
        scope["sleeps"]()
        scope["waits"]()
    assert {"time.sleep by made_up.py:sleeps", "Event.wait by made_up.py:waits"} <= set(blocked)
    assert all("made_up.py" in what for what in blocked)

"""Text that UTF-8 has no bytes for: ddtrace cannot write it, and no span is lost for it."""

import time

from hypothesis import given
from hypothesis import strategies as st
from loguru import logger

from pipecat_dd import DatadogObserver
from pipecat_dd._ddtrace import writable
from pipecat_dd.conversation.conversation import Conversation
from pipecat_dd.conversation.failure import Failure
from pipecat_dd.conversation.model import Kind, Processor, Role
from tests.support.agent import TestAgent

HALF = "\udce9"
"""What Python makes of a byte of a file's name that is no UTF-8."""


async def begun(observer: DatadogObserver) -> Conversation:
    await observer.setup(None)
    assert observer._latest.runtime is not None
    return observer._latest.runtime.conversation


@given(st.text(st.characters()))
def test_what_can_be_written_stays_as_it_is_and_the_rest_is_replaced(text: str) -> None:
    found = writable(text)
    found.encode()
    assert len(found) == len(text)
    assert all(a == b or b == "\ufffd" for a, b in zip(text, found, strict=True))
    assert writable(found) == found


async def test_it_is_replaced_wherever_it_stands(agent: TestAgent) -> None:
    observer = DatadogObserver(
        session_id=f"id {HALF}",
        name=f"bot {HALF}",
        tags={f"key.{HALF}": f"tag {HALF}"},
        capture_content=True,
    )
    conversation = await begun(observer)
    stages, now_ns = conversation._stages, time.time_ns()
    turn = conversation.turns.begin_user_turn(now_ns, now_ns)
    processor = Processor(f"name {HALF}", "class", "class", Role.LLM)
    stage = stages.open(Kind.LLM, f"model {HALF}", now_ns, parent=turn.stage, processor=processor)
    stage.attributes |= {f"fact.{HALF}": f"value {HALF}", f"figure.{HALF}": 1, f"flag.{HALF}": True}
    stage.add_content("gen_ai.output.messages", f"said {HALF}")
    stage.participant_id, stage.peer = f"who {HALF}", f"host {HALF}"
    stage.fail(Failure(f"type {HALF}", f"no such file: {HALF}", f"stack {HALF}", f"why {HALF}"))
    stages.close(stage, now_ns)
    await observer.cleanup()

    trace = agent.session(observer.session_id)
    assert observer.session_id == "id \ufffd"
    assert trace.one("pipecat.session").resource == "bot \ufffd"
    for name in ("pipecat.session", "pipecat.turn", "pipecat.llm"):
        assert trace.one(name)["key.\ufffd"] == "tag \ufffd"
    told = trace.one("pipecat.llm")
    assert told.resource == "model \ufffd"
    expected = {
        "fact.\ufffd": "value \ufffd",
        "figure.\ufffd": 1,
        "flag.\ufffd": "true",
        "gen_ai.output.messages": "said \ufffd",
        "participant_id": "who \ufffd",
        "peer.service": "host \ufffd",
        "processor.name": "name \ufffd",
        "error.type": "type \ufffd",
        "error.message": "no such file: \ufffd",
        "error.stack": "stack \ufffd",
        "error.category": "why \ufffd",
    }
    assert {name: told.get(name) for name in expected} == expected


async def test_an_id_that_is_found_is_the_same_everywhere(agent: TestAgent) -> None:
    with logger.contextualize(session_id=f"found {HALF}"):
        observer = DatadogObserver()
    await begun(observer)
    await observer.cleanup()
    assert observer.session_id == "found \ufffd"
    assert agent.session(observer.session_id).one("pipecat.session")

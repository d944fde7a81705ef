"""Each call to a provider is one client's span: ddtrace's where it has one, and else the stage's.

The Service Map draws a provider from spans of kind ``client``. Two for one call would count it
twice, none would leave the provider out; which of ddtrace's integrations are on decides.
"""

from importlib.util import find_spec
from pathlib import Path

import pipecat
import pytest
from ddtrace.trace import Context, tracer
from openai import _base_client

from pipecat_dd._ddtrace.stand_ins import MAX_BEGUN, has_client, note_begun, stand_in
from pipecat_dd._pipecat.services import IN_PROCESS
from tests.support.agent import TestAgent
from tests.support.processes import bot_process
from tests.support.spans import Span, Trace, trace_of
from tests.support.versions import needs_pipecat

BOT = "tests.export.spans.calling_bot"
VOICES = {"openai": "openai", "cartesia": "cartesia", "acme": "acme"}
"""The voices that call a provider, and what that is called."""

AUTO = {"WITH_DDTRACE_AUTO": "1"}
NO_HTTPX = {"DD_TRACE_HTTPX_ENABLED": "false", "DD_TRACE_HTTPX2_ENABLED": "false"}
NO_OPENAI = {"DD_TRACE_OPENAI_ENABLED": "false"}
NO_AIOHTTP = {"DD_TRACE_AIOHTTP_ENABLED": "false"}

HTTP_CLIENT = "httpx2" if hasattr(_base_client, "httpx2") else "httpx"
HTTPX_IS_SEEN = find_spec(f"ddtrace.contrib.internal.{HTTP_CLIENT}") is not None
"""Whether ddtrace knows the HTTP client that the ``openai`` SDK uses."""


def traces(agent: TestAgent, environment: dict[str, str]) -> dict[str, Trace]:
    """Return the trace of the conversation with each voice."""
    voices = [*VOICES, "scripted"]
    with bot_process(BOT, ",".join(voices), agent_url=agent.url, environment=environment) as bot:
        code, _ = bot.ends(60)
    assert code == 0
    spans = agent.spans()
    found = {voice: trace_of(spans, voice) for voice in voices}
    for trace in found.values():
        assert trace is not None
        trace.check()
    return {voice: trace for voice, trace in found.items() if trace is not None}


def clients_beneath(stage: Span) -> list[Span]:
    """Return the clients' spans of ddtrace's beneath a stage, and beneath no other stage."""
    found = []
    for child in stage.children:
        if not child.name.startswith("pipecat."):
            found += [child] * (child.get("span.kind") == "client") + clients_beneath(child)
    return found


@pytest.mark.parametrize(
    ("environment", "openai_is_seen", "aiohttp_is_seen"),
    [
        pytest.param({}, False, False, id="a plain script"),
        pytest.param(AUTO, HTTPX_IS_SEEN, True, id="all patched"),
        pytest.param(AUTO | NO_HTTPX, False, True, id="the SDK patched, its client not"),
        pytest.param(AUTO | NO_OPENAI, HTTPX_IS_SEEN, True, id="the client patched, its SDK not"),
        pytest.param(AUTO | NO_AIOHTTP, HTTPX_IS_SEEN, False, id="aiohttp not patched"),
        pytest.param(AUTO | NO_OPENAI | NO_HTTPX, False, True, id="only aiohttp patched"),
    ],
)
def test_each_call_has_one_client_whatever_is_patched(
    agent: TestAgent, environment: dict[str, str], openai_is_seen: bool, aiohttp_is_seen: bool
) -> None:
    for voice, trace in traces(agent, environment).items():
        llms = trace.named("pipecat.llm")
        assert [llm.get("llm.purpose") for llm in llms] == [None, None, "inference"]
        for llm in llms:
            check(llm, "openai", is_seen=openai_is_seen)
        voices = trace.named("pipecat.tts")
        assert len(voices) == 2, trace.outline()
        for tts in voices:
            if voice == "scripted":  # which makes no call
                assert tts["span.kind"] == "internal"
                assert tts.get("peer.service") is None
            else:
                is_seen = openai_is_seen if voice == "openai" else aiohttp_is_seen
                check(tts, VOICES[voice], is_seen=is_seen)
        # The time of a transcription is mostly the user talking: never a client.
        for stt in trace.named("pipecat.stt"):
            assert stt["span.kind"] == "internal"
        clients = [s for s in trace.spans if s.get("peer.service") is not None]
        assert {client.name for client in clients} <= {"pipecat.llm", "pipecat.tts"}


@needs_pipecat("1.14", "fewer of them")
def test_services_that_make_no_call_are_classes_of_pipecats() -> None:
    source = "".join(
        path.read_text() for path in Path(pipecat.__path__[0], "services").rglob("*.py")
    )
    for name in IN_PROCESS:
        assert f"class {name}(" in source


def check(stage: Span, provider: str, *, is_seen: bool) -> None:
    """Check that a call to a provider is one client's: ddtrace's where it has seen it."""
    assert bool(clients_beneath(stage)) is is_seen
    if is_seen:
        assert stage["span.kind"] == "internal"
        assert stage.get("peer.service") is None
    else:
        assert stage["span.kind"] == "client"
        assert stage["peer.service"] == stage["gen_ai.provider.name"] == provider


def test_a_client_is_seen_however_many_spans_have_come_and_gone_beside_it() -> None:
    stage = stand_in("pipecat.llm", Context(trace_id=99, span_id=1), "x", 1, 5, None, may_call=True)
    client = tracer.start_span("http.request", child_of=stage)
    note_begun(client)
    client.set_tag("span.kind", "client")
    client.finish()
    for _ in range(2 * MAX_BEGUN):
        own = tracer.start_span("own", child_of=stage)
        note_begun(own)
        own.finish()
    assert has_client(stage)
    assert stage.begun is not None
    assert len(stage.begun) <= MAX_BEGUN


def test_spans_beneath_what_calls_no_provider_are_not_kept() -> None:
    turn = stand_in("pipecat.turn", Context(trace_id=98, span_id=1), "x", 1, 6, None)
    note_begun(tracer.start_span("http.request", child_of=turn))
    assert turn.begun is None

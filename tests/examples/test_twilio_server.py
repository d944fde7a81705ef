"""``examples/twilio_server.py`` with five calls at once: nothing of one carries another's ids."""

import asyncio
import re
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from aiohttp import web

from pipecat_dd.cli.demo import voice
from pipecat_dd.cli.demo.provider import Answer, CallTool, Say
from pipecat_dd.cli.demo.received import Span
from tests.examples.running import Example, Left, running, stages, turns
from tests.support.deepgram import DeepgramServer
from tests.support.twilio import Caller
from tests.support.versions import needs_pipecat

pytestmark = needs_pipecat("1.12", "the example is written in the conventions of later ones")

CALLS = 5
ANSWERED = {"user_speech": 1, "stt": 1, "llm": 2, "tool": 1, "tts": 1, "bot_speech": 1}
GREETING = "Hello, which order is it about?"
ACCOUNT = {"TWILIO_ACCOUNT_SID": "AC1", "TWILIO_AUTH_TOKEN": "twilio"}
LOUDEST = [10_000 + 4_000 * number for number in range(CALLS)]
"""How loud each caller speaks: by that Deepgram's stand-in knows which order to hear."""


def question(order: int) -> str:
    return f"Where is my order {1000 + order}?"


def answer(order: int) -> str:
    return f"Your order {1000 + order} is out for delivery."


def order_in(text: object) -> int | None:
    """Return the number of the order that a text is about."""
    found = re.search(r"order (\d{4})", str(text))
    return int(found[1]) - 1000 if found else None


def heard(loudest: int) -> str:
    return question(int(np.abs(np.array(LOUDEST) - loudest).argmin()))


def model(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> Answer:
    orders = [order for m in messages if (order := order_in(m.get("content"))) is not None]
    if messages[-1]["role"] == "tool":
        return Say(answer(orders[-1]))
    if orders:
        return CallTool("get_order_status", {"order_number": str(1000 + orders[-1])})
    return Say(GREETING)


async def completed(request: web.Request) -> web.Response:
    return web.json_response({"status": "completed"})


class Held(Left):
    """What the server left behind, and the ids that Twilio gave its calls, by order."""

    call_sids: list[str]


async def hold(out: Path) -> Held:
    hung_up = web.post("/2010-04-01/Accounts/{account}/Calls/{call}", completed)
    bot = running(
        "twilio_server.py",
        out=out,
        model=model,
        deepgram=DeepgramServer(heard),
        routes=[hung_up],
        environment=lambda provider: (
            ACCOUNT | {"TWILIO_URL": provider.origin, "PIPECAT_DD_PHONE_HASH_KEY": "k" * 16}
        ),
    )
    call_sids = [""] * CALLS
    speech = np.frombuffer(voice.user_says("What is the weather in Paris right now?"), "<i2")
    together = asyncio.Barrier(CALLS)

    async def call(example: Example, order: int) -> None:
        loud = (speech * (LOUDEST[order] / np.abs(speech.astype(int)).max())).astype("<i2")
        async with Caller(example.url, number=f"+155501001{order:02}") as caller:
            call_sids[order] = caller.call_sid
            await example.answers(caller, GREETING)
            await together.wait()
            await caller.says(loud.tobytes())
            await example.answers(caller, answer(order))
            await together.wait()

    async with bot as example:
        calls = [asyncio.create_task(call(example, order)) for order in range(CALLS)]
        async with (
            aiohttp.ClientSession() as http,
            http.get(f"{example.url}/health") as response,
        ):
            assert response.status == 200
        await asyncio.gather(*calls)
    held = Held(**vars(example.left))
    held.call_sids = call_sids
    return held


def sessions(held: Held) -> dict[str, Span]:
    """Return the sessions by Twilio's id of the call."""
    found = {}
    for session in held.spans("pipecat.session"):
        (caller,) = [s for s in session.walk() if s.name == "pipecat.participant"]
        found[caller.meta["participant_id"]] = session
    return found


def each_call_is_a_session(held: Held) -> None:
    assert held.exit_code == 0, held.complained
    held.check_is_json()
    assert Counter(held.said) == Counter(
        sentence for order in range(CALLS) for sentence in (GREETING, answer(order))
    )
    assert len(held.spans("pipecat.session")) == CALLS
    assert sessions(held).keys() == set(held.call_sids)
    assert len({session.trace_id for session in sessions(held).values()}) == CALLS
    for session in sessions(held).values():
        assert session.parent_id == 0
        assert session.meta["transport"] == "FastAPIWebsocketTransport"
        assert session.meta["session.outcome"] == "order_status_given"
        assert not [span for span in session.walk() if span.error]
        greeting, asked = turns(session)
        assert stages(greeting) == {"llm": 1, "tts": 1, "bot_speech": 1}
        assert stages(asked) == ANSWERED
        assert asked.meta["turn.outcome"] == "answered"


def no_line_of_a_call_carries_another_ones_ids(held: Held) -> None:
    by_id = {session.meta["session_id"]: sid for sid, session in sessions(held).items()}
    for line in held.lines_of_bot():
        if line.message == "A call comes in":
            continue
        call_sid = by_id[line.fields["session_id"]]
        session = sessions(held)[call_sid]
        assert line.trace_id == session.trace_id, line.fields
        assert line.span_id in {span.span_id for span in session.walk()}, line.fields
        assert line.fields.get("participant_id", call_sid) == call_sid, line.fields
    counts = Counter(
        by_id[line.fields["session_id"]]
        for line in held.received.lines
        if line.fields["name"] == "__main__" and "session_id" in line.fields
    )
    assert counts == dict.fromkeys(held.call_sids, 4)
    for line in held.lines("Twilio has connected the call"):  # by the function that runs the call
        assert by_id[line["session_id"]] == line["call_sid"]
    for message in ("Answered the call", "Looked up the order", "The caller has hung up"):
        assert {line["participant_id"] for line in held.lines(message)} == set(held.call_sids)


def what_was_said_in_a_call_is_in_its_session(held: Held) -> None:
    """What ties an order to a call are the loudness of its caller and the words of its model."""
    looked_up = held.lines("Looked up the order")
    for order, call_sid in enumerate(held.call_sids):
        (line,) = [line for line in looked_up if line["order_number"] == str(1000 + order)]
        assert line["participant_id"] == call_sid
        session = sessions(held)[call_sid]
        asked = [r for r in held.requests if order_in(r.body["messages"]) == order]
        assert len(asked) == 2
        for request in asked:
            # ddtrace sent the trace along with the request, from within the model's span.
            assert int(request.headers["x-datadog-trace-id"]) == session.trace_id


def what_is_of_no_call_carries_no_session(held: Held) -> None:
    lines = held.lines("A call comes in")
    assert len(lines) == CALLS
    assert not [line for line in lines if "session_id" in line or "participant_id" in line]


def messages_of_the_websocket_are_no_spans(held: Held) -> None:
    assert not [span for span in held.received.spans if "websocket.re" in span.name]
    assert not [span for span in held.received.spans if "websocket.send" in span.name]


def telephone_numbers_are_hashed(held: Held) -> None:
    spans = [span for span in held.received.spans if span.name == "pipecat.participant"]
    assert len({span.meta["participant.phone_hash"] for span in spans}) == CALLS
    everything = str(held.received)
    assert "55501001" not in everything


@pytest.mark.timeout(240)  # in real time, on a machine that other tests keep busy
def test_five_calls_at_once(tmp_path: Path) -> None:
    held = asyncio.run(hold(tmp_path))
    each_call_is_a_session(held)
    no_line_of_a_call_carries_another_ones_ids(held)
    what_was_said_in_a_call_is_in_its_session(held)
    what_is_of_no_call_carries_no_session(held)
    messages_of_the_websocket_are_no_spans(held)
    telephone_numbers_are_hashed(held)

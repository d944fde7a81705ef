"""``examples/flow_bot.py``: a table is booked step by step, and each span knows its step."""

from pathlib import Path
from typing import Any

from pipecat_dd.cli.demo import voice
from pipecat_dd.cli.demo.provider import Answer, CallTool, Say
from tests.examples.running import running, stages, turns
from tests.support.browser import Browser
from tests.support.deepgram import DeepgramServer
from tests.support.versions import needs_pipecat

pytestmark = needs_pipecat("1.12", "the example is written in the conventions of later ones")

SPEECH = voice.user_says("Hello! What can you do for me?")

SIZE = "Welcome, how many will you be?"
TIME = "When will you come?"


def model(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> Answer:
    last, offered = messages[-1], [tool["function"]["name"] for tool in tools]
    if last["content"] == "We are four.":
        return CallTool("record_party_size", {"size": 4})
    if last["content"] == "At six.":
        return CallTool("book_table", {"time": "6:00 PM"})
    if offered == ["record_party_size"]:
        return Say(SIZE)
    if offered == ["book_table"]:
        return Say(TIME)
    return Say("Your table is booked, goodbye!")


async def test_one_user_books_a_table_and_one_leaves(tmp_path: Path) -> None:
    bot = running(
        *("flow_bot.py", "--port", "PORT"),
        out=tmp_path,
        model=model,
        deepgram=DeepgramServer("We are four."),
    )
    async with bot as example:
        async with Browser(f"{example.url}/api/offer") as browser:
            await example.answers(browser, SIZE)
            await browser.says(SPEECH)
            await example.answers(browser, TIME)
            example.deepgram.hears = "At six."
            await browser.says(SPEECH)
            await browser.hears_the_end()
        async with Browser(f"{example.url}/api/offer") as browser:
            await example.answers(browser, SIZE)
    left = example.left
    booked, unbooked = left.check_sessions()
    assert booked.meta["session.outcome"] == "booked"
    assert booked.meta["session.end_reason"] == "ended"
    assert booked.metrics["party.size"] == 4
    assert unbooked.meta["session.outcome"] == "not_booked"
    assert unbooked.meta["session.end_reason"] == "cancelled"
    assert "party.size" not in unbooked.metrics

    answered = {"user_speech": 1, "stt": 1, "llm": 2, "tool": 1, "tts": 1, "bot_speech": 1}
    greeting, size, time = turns(booked)
    nodes = [turn.meta["flow.node"] for turn in (greeting, size, time)]
    assert nodes == ["party_size", "party_size", "time"]
    assert stages(greeting) == {"llm": 1, "tts": 1, "bot_speech": 1}
    assert stages(size) == stages(time) == answered
    nodes = [span.meta["flow.node"] for span in booked.walk() if span.name == "pipecat.llm"]
    assert nodes == ["party_size", "party_size", "time", "time", "goodbye"]
    tools = {span.resource: span.meta["flow.node"] for span in left.spans("pipecat.tool")}
    assert tools == {"record_party_size": "party_size", "book_table": "time"}
    line = left.line("Recorded the party's size")
    assert (line["flow.node"], line["size"]) == ("party_size", 4)
    assert left.line("Booked a table")["flow.node"] == "time"
    assert stages(turns(unbooked)[0]) == {"llm": 1, "tts": 1, "bot_speech": 1}

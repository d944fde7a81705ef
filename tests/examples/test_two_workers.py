"""``examples/two_workers.py``: the greeter hands over to the specialist, in one session."""

from pathlib import Path
from typing import Any

from pipecat_dd.cli.demo import voice
from pipecat_dd.cli.demo.provider import Answer, CallTool, Say
from tests.examples.running import running, stages
from tests.support.browser import Browser
from tests.support.deepgram import DeepgramServer
from tests.support.versions import needs_pipecat

pytestmark = needs_pipecat("1.12", "the example is written in the conventions of later ones")

SPEECH = voice.user_says("Hello! What can you do for me?")
WISH = "I would like rocket boots."
REASON = "The user wants rocket boots."
QUESTION = "How fast are they?"

WELCOME = "Welcome to our shop!"
PRICE = "They cost 299 dollars."
SPEED = "Sixty miles an hour."


def model(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> Answer:
    is_specialist = "You know all about" in str(messages[0]["content"])
    last = messages[-1]["content"]
    if last == WISH:
        assert not is_specialist
        return CallTool("transfer", {"to": "specialist", "reason": REASON})
    if last == REASON:
        assert is_specialist
        return Say(PRICE)
    if last == QUESTION:
        assert is_specialist
        return Say(SPEED)
    return Say(WELCOME)


async def test_a_handover_is_one_conversation(tmp_path: Path) -> None:
    bot = running(
        *("two_workers.py", "--port", "PORT"),
        out=tmp_path,
        model=model,
        deepgram=DeepgramServer(WISH),
    )
    async with bot as example, Browser(f"{example.url}/api/offer") as browser:
        await example.answers(browser, WELCOME)
        await browser.says(SPEECH)
        await example.answers(browser, PRICE)
        example.deepgram.hears = QUESTION
        await browser.says(SPEECH)
        await example.answers(browser, SPEED)
    left = example.left
    left.check_session()
    assert left.said == [WELCOME, PRICE, SPEED]
    greeting, wish, question = left.received.turns
    assert stages(greeting) == {"llm": 1, "tts": 1, "bot_speech": 1}
    heard = {"user_speech": 1, "stt": 1, "tts": 1, "bot_speech": 1}
    assert stages(wish) == heard | {"llm": 2, "tool": 1}
    assert stages(question) == heard | {"llm": 1}

    def workers(name: str) -> list[str]:
        return [span.meta["worker.name"] for span in left.spans(name)]

    assert workers("pipecat.llm") == ["greeter", "greeter", "specialist", "specialist"]
    assert workers("pipecat.tool") == ["greeter"]
    for stage in ("pipecat.stt", "pipecat.tts", "pipecat.bot_speech", "pipecat.user_speech"):
        assert set(workers(stage)) == {"main"}
    (tool,) = left.spans("pipecat.tool")
    line = left.line("Handing over")
    assert line["transferred_to"] == "specialist"
    assert line["dd.span_id"] == str(tool.span_id)
    assert not [line for line in left.received.lines if "add_observer" in line.message]

"""``examples/smallwebrtc_bot.py``, called by a WebRTC peer through Pipecat's own runner."""

from pathlib import Path
from typing import Any

from pipecat_dd.cli.demo import voice
from pipecat_dd.cli.demo.provider import Answer, Say
from tests.examples.running import running, stages
from tests.support.browser import Browser
from tests.support.deepgram import DeepgramServer
from tests.support.versions import needs_pipecat

pytestmark = needs_pipecat("1.12", "the example is written in the conventions of later ones")

QUESTION = "Hello! What can you do for me?"
GREETING = "Hello, how can I help you?"
ANSWER = "I answer questions."


def model(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> Answer:
    return Say(ANSWER if messages[-1]["content"] == QUESTION else GREETING)


async def test_a_conversation_in_the_browser(tmp_path: Path) -> None:
    bot = running(
        *("smallwebrtc_bot.py", "--port", "PORT"),
        out=tmp_path,
        model=model,
        deepgram=DeepgramServer(QUESTION),
    )
    async with bot as example, Browser(f"{example.url}/api/offer") as browser:
        await example.answers(browser, GREETING)
        await browser.says(voice.user_says(QUESTION))
        await example.answers(browser, ANSWER)
    left = example.left
    session = left.check_session()
    assert " ".join(left.said) == f"{GREETING} {ANSWER}"
    assert session.meta["transport"] == "SmallWebRTCTransport"
    greeting, question = left.received.turns
    assert stages(greeting) == {"llm": 1, "tts": 1, "bot_speech": 1}
    assert stages(question) == {"user_speech": 1, "stt": 1, "llm": 1, "tts": 1, "bot_speech": 1}
    assert question.meta["turn.outcome"] == "answered"
    (user,) = left.spans("pipecat.participant")
    for message in ("The user has connected", "The user has left"):
        assert left.line(message)["participant_id"] == user.meta["participant_id"]

"""``examples/livekit_bot.py`` in a room, over LiveKit's protocol.

The bot's LiveKit SDK is real, and so are its signalling and its media. The server is a stand-in
(`tests.support.livekit_server`): LiveKit's own cannot be installed from a registry.
"""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from pipecat_dd.cli.demo import voice
from pipecat_dd.cli.demo.provider import Answer, Say
from tests.examples.running import running, stages
from tests.support.deepgram import DeepgramServer
from tests.support.livekit_server import API_KEY, API_SECRET, LiveKitServer, has_address
from tests.support.talking import PATIENCE_SECS
from tests.support.versions import needs_pipecat

pytestmark = [
    needs_pipecat("1.12", "the example is written in the conventions of later ones"),
    pytest.mark.skipif(not has_address(), reason="libwebrtc needs an address beside loopback"),
]

QUESTION = "Hello! What can you do for me?"
GREETING = "Hello, how can I help you?"
ANSWER = "I answer questions."


def model(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> Answer:
    return Say(ANSWER if messages[-1]["content"] == QUESTION else GREETING)


async def test_a_conversation_in_a_room(tmp_path: Path) -> None:
    async with LiveKitServer() as livekit:
        credentials = {
            "LIVEKIT_URL": livekit.url,
            "LIVEKIT_API_KEY": API_KEY,
            "LIVEKIT_API_SECRET": API_SECRET,
        }
        bot = running(
            *("livekit_bot.py", "-t", "livekit", "--port", "PORT"),
            out=tmp_path,
            model=model,
            deepgram=DeepgramServer(QUESTION),
            environment=lambda provider: credentials,
        )
        async with bot as example:
            start = {"transport": "livekit"}
            async with (
                aiohttp.ClientSession() as http,
                http.post(f"{example.url}/start", json=start) as response,
            ):
                response.raise_for_status()
            maria = await livekit.joins("maria", "Maria")
            await example.answers(maria, GREETING)
            await maria.says(voice.user_says(QUESTION))
            await example.answers(maria, ANSWER)
            await maria.leaves()
            await asyncio.wait_for(livekit.bot_has_left.wait(), PATIENCE_SECS)
    left = example.left
    session = left.check_session()
    assert " ".join(left.said) == f"{GREETING} {ANSWER}"
    assert session.meta["transport"] == "LiveKitTransport"
    (participant,) = left.spans("pipecat.participant")
    assert participant.meta["participant_id"] == "maria"
    assert participant.meta["participant.name"] == "Maria"
    assert participant.meta["participant.leave_reason"] == "disconnected"
    assert len(left.received.turns) == 2, [
        (turn.start_ns, turn.meta, [(c.name, c.start_ns, c.duration_ns) for c in turn.children])
        for turn in left.received.turns
    ]
    greeting, question = left.received.turns
    assert stages(greeting) == {"llm": 1, "tts": 1, "bot_speech": 1}
    assert stages(question) == {"user_speech": 1, "stt": 1, "llm": 1, "tts": 1, "bot_speech": 1}
    (stt,) = left.spans("pipecat.stt")
    assert stt.meta["user_id"] == "maria"
    for message in (
        "The first participant has joined the room",
        "A participant has left the room",
    ):
        assert left.line(message)["participant"] == {"id": "maria", "name": "Maria"}

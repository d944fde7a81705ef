"""The bot that users copy, run as it stands: what it sends and writes, seen from outside."""

import asyncio
import shutil
import subprocess
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from pipecat_dd.cli.demo import voice
from pipecat_dd.cli.demo.agent import running_agent
from pipecat_dd.cli.demo.environment import bot_environment, quiet_environment
from pipecat_dd.cli.demo.provider import Answer, CallTool, Provider, Say
from pipecat_dd.cli.demo.received import receive
from tests.examples.running import EXAMPLES, KEYS, ROOT, SERVICE, Left, running, stages
from tests.support.browser import Browser
from tests.support.cartesia import CartesiaServer
from tests.support.deepgram import DeepgramServer
from tests.support.versions import needs_pipecat

pytestmark = needs_pipecat("1.12", "the example is written in the conventions of later ones")

EXAMPLE = EXAMPLES / "daily_bot.py"
PARTICIPANT_ID = "3b2e7c1a-0f5d-4a77-9d0e-5b6c7d8e9f00"
QUESTION = "What is the weather in Paris right now?"
GREETING = "Hello! How can I help you?"
ANSWER = "It is sunny in Paris, at twenty two degrees."


def model(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> Answer:
    last = messages[-1]
    if last["role"] == "tool":
        return Say(ANSWER)
    if last["content"] == QUESTION:
        return CallTool("get_weather", {"city": "Paris"})
    return Say(GREETING)


async def meeting_token(request: web.Request) -> web.Response:
    return web.json_response({"token": "a-token"})


async def hold(out: Path) -> Left:
    """Run a caller, and with it the bot, in a process of its own; wait until it has ended."""
    speech = out / "question.pcm"
    speech.write_bytes(voice.user_says(QUESTION))
    daily = [web.post("/daily/meeting-tokens", meeting_token)]
    async with AsyncExitStack() as stack:
        agent = await stack.enter_async_context(running_agent())
        openai = await stack.enter_async_context(Provider(model, routes=daily))
        deepgram = await stack.enter_async_context(DeepgramServer(QUESTION))
        cartesia = await stack.enter_async_context(CartesiaServer())
        env = bot_environment(agent_url=agent.url, provider_url=openai.url, service=SERVICE)
        env |= KEYS
        env |= {
            "DAILY_API_KEY": "daily",
            "DAILY_API_URL": f"{openai.origin}/daily",
            "DAILY_ROOM_URL": "https://example.daily.co/room",
            "PYTHON_DOTENV_DISABLED": "1",
            "PYTHONIOENCODING": "utf-8",
            "PYTHONPATH": str(ROOT),
        }
        bot = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.examples.call_daily_bot"),
            *(f"--deepgram-url={deepgram.url}", f"--cartesia-url={cartesia.url}"),
            f"--speech={speech}",
            env=env,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            printed, complained = await bot.communicate()
        finally:
            if bot.returncode is None:
                bot.kill()
                await bot.wait()
        chunks = await agent.traces()  # what is left is sent when the process ends
    lines = printed.decode().splitlines()
    log_file = out / "bot.jsonl"
    log_file.write_text("".join(f"{line}\n" for line in lines if line.startswith("{")))
    return Left(
        exit_code=bot.returncode,
        printed=[line for line in lines if not line.startswith("{")],
        complained=complained.decode(),
        received=receive(chunks, log_file),
        said=cartesia.said,
        requests=openai.requests,
    )


@pytest.fixture(scope="module")
def call(tmp_path_factory: pytest.TempPathFactory) -> Left:
    """One call for all that is asked of it: it is held in real time."""
    return asyncio.run(hold(tmp_path_factory.mktemp("daily")))


def test_the_bot_greets_answers_and_ends_when_the_participant_leaves(call: Left) -> None:
    assert call.exit_code == 0, call.complained
    assert " ".join(call.said) == f"{GREETING} {ANSWER}"


def test_the_model_is_told_of_the_tool(call: Left) -> None:
    for (tool,) in call.tools:
        assert tool["function"]["name"] == "get_weather"
        assert list(tool["function"]["parameters"]["properties"]) == ["city"]


def test_all_that_is_logged_is_json_also_under_pipecats_runner(call: Left) -> None:
    assert call.received.lines
    call.check_is_json()


def test_every_line_of_the_call_carries_its_session_and_leads_to_a_span(call: Left) -> None:
    session = call.received.session
    assert session is not None
    assert call.received.problems() == []
    during = [line.fields for line in call.received.lines_in_session()]
    assert {line.get("session_id") for line in during} == {session.meta["session_id"]}
    assert {line["service"] for line in during} == {"pipecat-chatbot"}


def test_the_line_about_who_joined_says_who(call: Left) -> None:
    line = call.line("Participant joined the room")
    assert line["participant_id"] == PARTICIPANT_ID
    assert line["participant"] == {"id": PARTICIPANT_ID, "name": "manager"}
    assert line["function"] == "on_participant_joined"
    assert (line["levelname"], line["status"]) == ("INFO", "info")
    assert line["session_id"]
    assert line["dd.trace_id"]
    assert line["dd.span_id"]


def test_what_the_tool_binds_are_fields_of_its_line(call: Left) -> None:
    line = call.line("Looked up the weather")
    assert (line["city"], line["conditions"], line["celsius"]) == ("Paris", "sunny", 22)
    assert line["function"] == "get_weather"


def test_the_stages_of_the_call_are_spans(call: Left) -> None:
    (session,) = call.spans("pipecat.session")
    assert session.parent_id == 0
    assert session.meta["transport"] == "DailyTransport"
    greeting, question = call.received.turns
    assert call.parent(greeting) == call.parent(question) == "pipecat.session"
    assert stages(greeting) == {"llm": 1, "tts": 1, "bot_speech": 1}
    assert stages(question) == {
        "user_speech": 1,
        "stt": 1,
        "llm": 2,  # one asks for the tool, one answers
        "tool": 1,
        "tts": 1,
        "bot_speech": 1,
    }
    assert not [span for span in session.walk() if span.error]


def test_who_spoke_is_on_the_transcription(call: Left) -> None:
    (stt,) = call.spans("pipecat.stt")
    assert stt.meta["user_id"] == PARTICIPANT_ID
    assert stt.meta["gen_ai.provider.name"] == "deepgram"


def test_what_the_openai_sdk_opens_is_under_the_models_span(call: Left) -> None:
    requests = call.spans("openai.request")
    assert len(requests) == 3
    assert {call.parent(request) for request in requests} == {"pipecat.llm"}


def test_a_frame_has_a_span_only_if_something_happened_in_it(call: Left) -> None:
    idle = [
        span
        for span in call.spans("pipecat.frame")
        if not (span.children or span.lines or span.duration_ns >= 10_000_000)
    ]
    assert idle == []


async def test_the_bot_can_be_called_over_webrtc(tmp_path: Path) -> None:
    bot = running(
        *("daily_bot.py", "-t", "webrtc", "--port", "PORT"),
        out=tmp_path,
        model=model,
        deepgram=DeepgramServer(QUESTION),
    )
    async with bot as example, Browser(f"{example.url}/api/offer") as browser:
        await example.answers(browser, "How can I help you?")
    left = example.left
    assert left.check_session().meta["transport"] == "SmallWebRTCTransport"
    assert left.said == ["Hello!", "How can I help you?"]
    # Its handlers are only those that the transport knows.
    assert not [line for line in left.received.lines if "not registered" in line.message]


def test_all_missing_keys_are_named_in_one_sentence() -> None:
    env = quiet_environment() | {"PYTHON_DOTENV_DISABLED": "1", "DD_TRACE_ENABLED": "false"}
    for key in (*KEYS, "DAILY_API_KEY"):
        env.pop(key, None)
    env |= {"OPENAI_API_KEY": "openai", "DEEPGRAM_API_KEY": "", "LOGURU_AUTOINIT": "false"}
    started = subprocess.run(
        [sys.executable, str(EXAMPLE), "-t", "webrtc"], capture_output=True, env=env, text=True
    )
    assert started.returncode == 1
    assert started.stderr == (
        "Please set DEEPGRAM_API_KEY, CARTESIA_API_KEY in the environment "
        "or in a file named .env.\n"
    )


def test_what_datadog_is_told_in_a_file_is_read_in_time(tmp_path: Path) -> None:
    shutil.copy(EXAMPLE, tmp_path)
    (tmp_path / ".env").write_text("DD_SERVICE=named-in-the-file\nDD_TRACE_ENABLED=false\n")
    code = "import daily_bot, ddtrace; print(ddtrace.config.service)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=quiet_environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.splitlines()[-1:] == ["named-in-the-file"], done.stderr

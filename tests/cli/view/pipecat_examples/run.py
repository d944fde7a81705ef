"""Runs one of Pipecat's examples, alone or under ``pipecat-dd view``, through a whole call."""

import asyncio
import base64
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from pipecat_dd.cli.demo import voice
from pipecat_dd.cli.demo.provider import Provider, Script
from tests.cli.view.bots import environment
from tests.cli.view.pipecat_examples.phones import Phone, calling
from tests.support.cartesia import CartesiaServer
from tests.support.deepgram import DeepgramServer
from tests.support.ports import free_server_port
from tests.support.realtime import RealtimeServer
from tests.support.server import serving_app

FOLDER = Path(__file__).parent
_IS_READY = b"Uvicorn running on"
_IS_OVER = b"finished running"
_TIME = re.compile(r"\d{8}_\d{6}")
_URL = re.compile(rb"pipecat-dd: (http://\S+)/\?token=(\S+)")
_KEYS = {
    **dict.fromkeys(("OPENAI_API_KEY", "DEEPGRAM_API_KEY", "CARTESIA_API_KEY"), "any"),
    **dict.fromkeys(("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "DAILY_API_KEY"), "any"),
    "DAILY_ROOM_URL": "https://example.daily.co/room",
}


class Providers:
    """The servers that stand in the providers' places.

    Attributes:
        openai: Chat completions and speech of OpenAI's.
        realtime: Its speech-to-speech model.
        deepgram: Speech recognition.
        cartesia: Speech synthesis.
        hung_up: The calls that the bot had Twilio end.
    """

    def __init__(self, model: Script, hears: str) -> None:
        self.deepgram = DeepgramServer(hears)
        self.cartesia = CartesiaServer()
        self.realtime = RealtimeServer()
        self.realtime.word = base64.b64encode(voice.tone("a word")).decode()
        self.hung_up: list[str] = []
        self.openai = Provider(model, routes=[web.post("/daily/{what}", self._daily)])
        self._twilio = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Providers"]:
        twilio = web.Application()
        twilio.router.add_post("/{path:.*}", self._hang_up)
        async with AsyncExitStack() as stack:
            for server in (self.deepgram, self.cartesia, self.realtime, self.openai):
                await stack.enter_async_context(server)
            self._twilio = await stack.enter_async_context(serving_app(twilio))
            yield self

    async def _daily(self, request: web.Request) -> web.Response:
        return web.json_response({"token": "a-token"})

    async def _hang_up(self, request: web.Request) -> web.Response:
        self.hung_up.append(request.path)
        return web.json_response({"status": "completed"})

    @property
    def environment(self) -> dict[str, str]:
        replaced = {
            "pipecat.services.deepgram.stt": {
                "DeepgramSTTService": {"base_url": self.deepgram.url}
            },
            "pipecat.services.cartesia.tts": {"CartesiaTTSService": {"url": self.cartesia.url}},
            "pipecat.services.openai.realtime.llm": {
                "OpenAIRealtimeLLMService": {"base_url": self.realtime.url}
            },
            "pipecat.serializers.twilio": {"TwilioFrameSerializer": {"base_url": self._twilio}},
        }
        return _KEYS | {
            "EXAMPLES_PROVIDERS": json.dumps(replaced),
            "OPENAI_BASE_URL": self.openai.url,
            "DAILY_API_URL": f"{self.openai.origin}/daily",
        }

    def requested(self) -> Any:
        """Return what the bot has asked of each, without ids and times."""
        chats = [
            [one.endpoint, one.body.get("messages"), one.body.get("tools"), one.body.get("input")]
            for one in self.openai.requests
        ]
        # Requests that are made at once arrive in any order.
        chats.sort(key=json.dumps)
        realtime = [
            {name: value for name, value in event.items() if name != "event_id"}
            for event in self.realtime.received
            if event["type"] != "input_audio_buffer.append"
        ]
        given = [chats, self.cartesia.said, self.deepgram.transcribed, realtime, self.hung_up]
        return json.loads(_TIME.sub("TIME", json.dumps(given)))


Talk = Callable[[Phone, Providers], Awaitable[None]]


@dataclass(frozen=True)
class Example:
    """One of Pipecat's examples, and a call with it.

    Attributes:
        file: Where it is, in the folder of the examples.
        transport: The transport of the call.
        model: The model's answers.
        talk: What the user does; None if the participant in Daily's room does it.
        says: What that participant says.
        variables: Further variables of the bot's environment.
        hears: What is recognized in the user's first words.
        parts: How many spans of each kind the page shows.
        end_reason: Why the conversation ends.
        is_quick: Whether it is among those that are always run.
        needs: A module that it needs beside those of the tests.
    """

    file: str
    transport: str
    model: Script
    talk: Talk | None = None
    says: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    hears: str = ""
    parts: Mapping[str, int] = field(default_factory=dict)
    end_reason: str = "cancelled"
    is_quick: bool = False
    needs: str = ""


@dataclass
class Outcome:
    """What came of a call.

    Attributes:
        code: The exit code of the bot, or of the view that runs it.
        terminal: What is on its terminal.
        requested: What its providers were asked.
        heard_secs: How long the user heard the bot; 0 where the room is the bot's own.
        events: What else the user's end received.
        session: The conversation's summary, as the page gets it.
        spans: Its spans.
        lines: Its lines.
    """

    code: int
    terminal: list[str]
    requested: list[Any]
    heard_secs: float
    events: Mapping[str, int]
    session: dict[str, Any] = field(default_factory=dict)
    spans: list[dict[str, Any]] = field(default_factory=list)
    lines: list[dict[str, Any]] = field(default_factory=list)


class _Running:
    """A bot's process, or that of the view that runs it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.output = b""
        self._more = asyncio.Event()
        assert process.stderr is not None
        assert process.stdout is not None
        self.reading = [
            asyncio.create_task(self._read(one)) for one in (process.stderr, process.stdout)
        ]

    async def _read(self, stream: asyncio.StreamReader) -> None:
        while line := await stream.readline():
            self.output += line
            self._more.set()
        self._more.set()

    async def until(self, words: bytes) -> None:
        async with asyncio.timeout(60):
            while words not in self.output:
                assert not all(task.done() for task in self.reading), self.output.decode()
                self._more.clear()
                await self._more.wait()


async def run(example: Example, *, is_viewed: bool) -> Outcome:
    """Run an example through its call."""
    providers = Providers(example.model, example.hears)
    port = free_server_port()
    path = FOLDER / "examples" / example.file
    with_daily = example.transport == "daily"
    command = [sys.executable, str(path)]
    command += ["-d"] if with_daily else ["--port", str(port), "-t", example.transport]
    if example.transport == "twilio":
        command += ["-x", "example.com"]
    if example.transport == "moq":
        command += ["--moq-bind", f"[::]:{port}"]
    if is_viewed:
        view = [sys.executable, "-m", "pipecat_dd.cli", "view", "--no-open", "--stay", "--"]
        command = view + command
    async with providers.running(), aiohttp.ClientSession() as http:
        given = environment(
            PYTHON_DOTENV_DISABLED="1",
            PYTHONIOENCODING="utf-8",
            PYTHONHASHSEED="0",  # sets are in lines, too
        )
        given["PYTHONPATH"] = os.pathsep.join([str(FOLDER / "outside"), given["PYTHONPATH"]])
        given |= providers.environment | dict(example.variables)
        given["PIPECAT_DD_CAPTURE_CONTENT"] = "true"
        if with_daily:
            given["EXAMPLES_ROOM"] = json.dumps(example.says)
        process = await asyncio.create_subprocess_exec(
            *command,
            env=given,
            cwd=path.parent,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        running = _Running(process)
        try:
            phone = Phone()
            if example.talk is not None:
                await running.until(_IS_READY)
                async with calling(example.transport, port) as phone:
                    await example.talk(phone, providers)
            page: dict[str, Any] = {}
            if is_viewed:
                if not with_daily:
                    await running.until(_IS_OVER)
                    await _until_over(http, running.output)
                    process.send_signal(signal.SIGINT)
                await running.until(b"the bot has ended")
                page = await _page(http, running.output)
                process.send_signal(signal.SIGINT)
            elif not with_daily:
                await running.until(_IS_OVER)
                process.send_signal(signal.SIGINT)
            code = await asyncio.wait_for(process.wait(), 60)
            await asyncio.gather(*running.reading)
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        return Outcome(
            code=code,
            terminal=running.output.decode().splitlines(),
            requested=providers.requested(),
            heard_secs=phone.heard_secs,
            events=dict(phone.events),
            **page,
        )


async def _ask(http: aiohttp.ClientSession, output: bytes, path: str) -> Any:
    found = _URL.search(output)
    assert found is not None
    headers = {"Authorization": f"Bearer {found[2].decode()}"}
    async with http.get(f"{found[1].decode()}{path}", headers=headers) as answer:
        answer.raise_for_status()
        return await answer.json()


async def _until_over(http: aiohttp.ClientSession, output: bytes) -> None:
    """Wait until the conversation's end is on the page, while the bot's process runs on."""
    async with asyncio.timeout(30):
        while True:
            sessions = (await _ask(http, output, "/api/sessions"))["sessions"]
            if sessions and not any(one["is_live"] for one in sessions):
                return
            await asyncio.sleep(0.1)


async def _page(http: aiohttp.ClientSession, output: bytes) -> dict[str, Any]:
    sessions = (await _ask(http, output, "/api/sessions"))["sessions"]
    assert len(sessions) == 1, sessions
    call = await _ask(http, output, f"/api/sessions/{sessions[0]['id']}")
    return {"session": call["session"], "spans": call["spans"], "lines": call["lines"]}

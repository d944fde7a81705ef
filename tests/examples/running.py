"""Examples that run as their users run them, in processes of their own, and what they leave.

Datadog's test agent gets their spans, a file their lines, and servers on loopback answer them as
OpenAI, Deepgram and Cartesia do.
"""

import asyncio
import signal
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from aiohttp import web

from pipecat_dd.cli.demo.agent import running_agent
from pipecat_dd.cli.demo.environment import bot_environment
from pipecat_dd.cli.demo.provider import Provider, Request, Script
from pipecat_dd.cli.demo.received import Line, Received, Span, receive
from tests.support.cartesia import CartesiaServer
from tests.support.deepgram import DeepgramServer
from tests.support.ports import free_server_port
from tests.support.talking import PATIENCE_SECS, Ear

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
SERVICE = "pipecat-chatbot"
SESSION = "pipecat.session"
KEYS = {
    "DEEPGRAM_API_KEY": "deepgram",
    "OPENAI_API_KEY": "openai",
    "CARTESIA_API_KEY": "cartesia",
}
STAGES = ("user_speech", "stt", "llm", "tool", "tts", "bot_speech")
OF_SERVER = ("pipecat.runner.", "pipecat.transports.smallwebrtc.request_handler")
_START_SECS = 60.0
_POLL_SECS = 0.1


@dataclass
class Left:
    """What an example left behind.

    Attributes:
        exit_code: Its exit code.
        printed: What it wrote to standard output that is not JSON: the runner's banner.
        complained: What it wrote to standard error.
        received: Its spans and log lines.
        said: What it had Cartesia say.
        requests: What it asked of OpenAI.
    """

    exit_code: int | None
    printed: list[str]
    complained: str
    received: Received
    said: list[str]
    requests: list[Request] = field(default_factory=list)

    def lines(self, message: str) -> list[dict[str, Any]]:
        return [line.fields for line in self.received.lines if line.message == message]

    def line(self, message: str) -> dict[str, Any]:
        (found,) = self.lines(message)
        return found

    def spans(self, name: str) -> list[Span]:
        return [span for span in self.received.spans if span.name == name]

    def parent(self, span: Span) -> str | None:
        return next((other.name for other in self.received.spans if span in other.children), None)

    @property
    def tools(self) -> list[list[dict[str, Any]]]:
        """The tools that each request offered to the model."""
        return [request.body.get("tools", []) for request in self.requests]

    def check_is_json(self) -> None:
        """Fail if anything that was logged is in Loguru's or logging's own format.

        Except for what modules write when they are imported, before the bot has set logging up,
        and what Pipecat's runner and its uvicorn, which has a format of its own, may write.
        """
        in_logurus = [line for line in self.complained.splitlines() if " | " in line]
        assert not [
            line
            for line in in_logurus
            if ":<module>:" not in line and "| pipecat.runner." not in line
        ]
        assert "Traceback" not in self.complained, self.complained
        assert not [
            line
            for line in self.printed
            if " | " in line or ("INFO" in line and not line.startswith("INFO:     "))
        ]

    def check_session(self) -> Span:
        """Fail unless there is one session, without errors, to which each line of the call leads.

        Returns:
            The session's span.
        """
        (session,) = self.check_sessions()
        return session

    def check_sessions(self) -> list[Span]:
        """Fail unless there are sessions, without errors, and each line leads to its own.

        Returns:
            The sessions' spans.
        """
        assert self.exit_code == 0, self.complained
        self.check_is_json()
        sessions = {session.meta["session_id"]: session for session in self.spans(SESSION)}
        assert len(sessions) == len(self.spans(SESSION))
        for session in sessions.values():
            assert session.parent_id == 0
            assert not [span for span in session.walk() if span.error]
        lines = self.lines_of_bot()
        assert lines
        for line in lines:
            session = sessions[line.fields["session_id"]]
            assert line.trace_id == session.trace_id, line.fields
            assert line.span_id in {span.span_id for span in session.walk()}, line.fields
            assert line.fields["service"] == SERVICE
            assert line.level != "ERROR", line.fields
        return list(sessions.values())

    def lines_of_bot(self) -> list[Line]:
        """Return the lines of the example and of Pipecat, but for those of Pipecat's web server."""
        return [
            line
            for line in self.received.lines
            if str(line.fields["name"]).startswith(("__main__", "pipecat."))
            if not str(line.fields["name"]).startswith(OF_SERVER)
        ]


def turns(session: Span) -> list[Span]:
    """Return the turns of a session."""
    return [span for span in session.children if span.name == "pipecat.turn"]


def stages(turn: Span) -> dict[str, int]:
    """Return how many of each stage are directly or indirectly in a turn."""
    names = (span.name.removeprefix("pipecat.") for span in turn.walk())
    return dict(Counter(name for name in names if name in STAGES))


class Caller(Protocol):
    """Somebody who talks to an example."""

    ear: Ear

    async def listens(self) -> None: ...


class Example:
    """An example that is running.

    Attributes:
        url: Where it listens.
        openai: The server that stands for OpenAI.
        deepgram: The server that stands for Deepgram.
        cartesia: The server that stands for Cartesia.
        left: What it left behind; after its end.
    """

    left: Left

    def __init__(
        self, url: str, openai: Provider, deepgram: DeepgramServer, cartesia: CartesiaServer
    ) -> None:
        self.url = url
        self.openai = openai
        self.deepgram = deepgram
        self.cartesia = cartesia

    async def answers(self, caller: Caller, sentence: str) -> None:
        """Wait until the bot has spoken a sentence to the end, and a caller has heard it.

        Silence alone does not say that: on a busy machine there are pauses within an answer.
        """
        async with asyncio.timeout(PATIENCE_SECS):
            await self.cartesia.until_said(sentence)
        caller.ear.forget()  # what was heard until now was something else
        await caller.listens()


@asynccontextmanager
async def running(
    file: str,
    *args: str,
    out: Path,
    model: Script,
    deepgram: DeepgramServer,
    routes: Iterable[web.RouteDef] = (),
    environment: Callable[[Provider], dict[str, str]] = lambda provider: {},
) -> AsyncIterator[Example]:
    """Run an example until the end of the block, which interrupts it with Ctrl-C.

    Args:
        file: The name of the example.
        *args: Its arguments. ``PORT`` in them is replaced by a free port, as in the environment.
        out: A directory for its lines.
        model: What the model answers.
        deepgram: The server that stands for Deepgram; started here.
        routes: More that the server that stands for OpenAI answers.
        environment: More variables of its environment, of the server that stands for OpenAI.
    """
    port = str(free_server_port())
    async with AsyncExitStack() as stack:
        agent = await stack.enter_async_context(running_agent())
        openai = await stack.enter_async_context(Provider(model, routes=routes))
        await stack.enter_async_context(deepgram)
        cartesia = await stack.enter_async_context(CartesiaServer())
        env = bot_environment(agent_url=agent.url, provider_url=openai.url, service=SERVICE)
        env |= KEYS | environment(openai)
        env |= {
            "DEEPGRAM_URL": deepgram.url,
            "CARTESIA_URL": cartesia.url,
            "PORT": port,
            "PYTHON_DOTENV_DISABLED": "1",
            "PYTHONIOENCODING": "utf-8",
            "PYTHONPATH": str(ROOT),
        }
        paths = {stream: out / f"{file}.{stream}" for stream in ("stdout", "stderr")}
        with paths["stdout"].open("wb") as stdout, paths["stderr"].open("wb") as stderr:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.examples.offline", str(EXAMPLES / file)),
                *(port if arg == "PORT" else arg for arg in args),
                env=env,
                stdout=stdout,
                stderr=stderr,
            )
        try:
            await _until_listening(int(port), process, paths["stderr"])
            example = Example(f"http://127.0.0.1:{port}", openai, deepgram, cartesia)
            yield example
            process.send_signal(signal.SIGINT)
            await asyncio.wait_for(process.wait(), 20)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        chunks = await agent.traces()  # what is left is sent when the process ends
    printed = paths["stdout"].read_text("utf-8").splitlines()
    log_file = out / "bot.jsonl"
    log_file.write_text("".join(f"{line}\n" for line in printed if line.startswith("{")))
    example.left = Left(
        exit_code=process.returncode,
        printed=[line for line in printed if not line.startswith("{")],
        complained=paths["stderr"].read_text("utf-8"),
        received=receive(chunks, log_file),
        said=cartesia.said,
        requests=openai.requests,
    )


async def _until_listening(port: int, process: asyncio.subprocess.Process, errors: Path) -> None:
    async with asyncio.timeout(_START_SECS):
        while process.returncode is None:
            with socket.socket() as tried:
                if tried.connect_ex(("127.0.0.1", port)) == 0:
                    return
            await asyncio.sleep(_POLL_SECS)
    raise AssertionError(f"the example ended: {errors.read_text()}")  # noqa: ASYNC240

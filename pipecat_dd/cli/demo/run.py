"""The demo's conversation, from starting the agent to having all traces in hand.

Three parties, as in real life: the bot in a process of its own, traced; the provider of speech
and language and the user on the other side, in this process, untraced. Nothing here reaches into
the bot: what it did is known from the traces that arrived and the lines that it wrote.
"""

import asyncio
import json
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pipecat_dd.cli.demo import story, voice
from pipecat_dd.cli.demo.agent import Chunks, running_agent
from pipecat_dd.cli.demo.caller import Caller, calling
from pipecat_dd.cli.demo.environment import bot_environment
from pipecat_dd.cli.demo.leash import leashed
from pipecat_dd.cli.demo.ports import LOOPBACK, free_ports
from pipecat_dd.cli.demo.provider import CallTool, Delays, Provider, Say

DELAYS = Delays(
    transcription_secs=0.2, first_token_secs=0.35, token_secs=0.02, first_audio_secs=0.15
)

BOT_START_SECS = 45.0
"""Importing Pipecat and Silero's model takes a few seconds, on a cold disk many more."""
BOT_END_SECS = 15.0
ANSWER_SECS = 15.0
BREATH_SECS = 0.9
"""How long the bot must be silent before the user takes its answer to be over."""
PATIENCE_SECS = 2.5
"""How much of an answer the user listens to before barging in."""


class DemoError(Exception):
    """The conversation did not come to its end; the message says what happened."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Something worth telling while the demo runs.

    Attributes:
        who: ``user`` or ``bot`` for what was said, else ``demo``.
        text: What was said, or what has been done.
        at_secs: Seconds since the demo began.
    """

    who: str
    text: str
    at_secs: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a conversation left behind.

    Attributes:
        chunks: The traces, as the test agent received them.
        log_file: The bot's log lines.
        traces_file: The traces, as JSON.
        trace_bytes: The size of the requests that brought the traces.
        failure: What went wrong; None if the conversation came to its end.
    """

    chunks: Chunks
    log_file: Path
    traces_file: Path
    trace_bytes: int
    failure: str | None


async def converse(
    out: Path,
    tell: Callable[[Progress], None],
    *,
    bot_module: str = "pipecat_dd.cli.demo.bot",
    bot_settings: Mapping[str, str] = MappingProxyType({}),
) -> Outcome:
    """Hold the demo's conversation.

    Args:
        out: Directory for the log and the traces; made if it is not there.
        tell: Is told what happens.
        bot_module: The bot, which takes the demo's bot's command line.
        bot_settings: What its environment has besides, such as ``PIPECAT_DD_FRAME_SPANS``.

    Raises:
        AgentError: The test agent did not start.
        DemoError: The bot did not start.
    """
    began = time.monotonic()

    def say(who: str, text: str) -> None:
        tell(Progress(who, text, time.monotonic() - began))

    out.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - before anything runs
    log_file, traces_file, console_file = (
        out / name for name in ("bot.jsonl", "traces.json", "bot-console.txt")
    )
    for file in (log_file, traces_file, console_file):
        file.unlink(missing_ok=True)

    failure: str | None = None
    async with AsyncExitStack() as stack:
        weather = story.WeatherService()
        provider = await stack.enter_async_context(
            Provider(story.model, voice=voice.bot_says, delays=DELAYS, routes=weather.routes)
        )
        agent = await stack.enter_async_context(running_agent())
        say("demo", f"Datadog's test agent listens on {agent.url}")
        (port,) = free_ports(1)
        bot = await stack.enter_async_context(
            leashed(
                bot_module,
                f"--host={LOOPBACK}",
                f"--port={port}",
                f"--log-file={log_file}",
                f"--weather-url={provider.origin}/weather",
                env=bot_environment(agent_url=agent.url, provider_url=provider.url)
                | dict(bot_settings),
                output=console_file,
            )
        )
        try:
            await _unless_it_ends(bot, _call(f"ws://{LOOPBACK}:{port}", provider, say))
            say("demo", "the user hangs up")
            async with asyncio.timeout(BOT_END_SECS):
                # ddtrace sends what it still has when its process ends.
                if await bot.wait():
                    failure = f"the bot ended with exit code {bot.returncode}"
        except DemoError as error:
            failure = str(error)
        except TimeoutError:
            failure = f"the bot did not end within {BOT_END_SECS:.0f} s of the user's leaving"
        chunks, trace_bytes = await agent.traces(), await agent.trace_bytes()
    traces_file.write_text(json.dumps(chunks, indent=1) + "\n", encoding="utf-8")
    if failure is None:
        console_file.unlink()
    else:
        failure += f"; what it printed is in {console_file}"
    return Outcome(chunks, log_file, traces_file, trace_bytes, failure)


async def _call(url: str, provider: Provider, say: Callable[[str, str], None]) -> None:
    async with AsyncExitStack() as stack:
        try:
            async with asyncio.timeout(BOT_START_SECS):
                caller = await stack.enter_async_context(calling(url))
        except TimeoutError:
            raise DemoError(f"the bot did not start within {BOT_START_SECS:.0f} s") from None
        say("demo", "the user has called the bot")
        for line in story.CONVERSATION:
            if line.barges_in:
                await asyncio.sleep(PATIENCE_SECS)
            else:
                await caller.until_bot_is_silent(BREATH_SECS)
            await _exchange(line, caller, provider, say)
        await caller.until_bot_is_silent(BREATH_SECS)


async def _exchange(
    line: story.Line, caller: Caller, provider: Provider, say: Callable[[str, str], None]
) -> None:
    """Say a line and wait until the bot begins to answer it."""
    say("user", line.text + ("  (barging in)" if line.barges_in else ""))
    provider.hears = line.text
    asked, answered = provider.count("chat"), len(provider.answers)
    await caller.say(voice.user_says(line.text))
    try:
        async with asyncio.timeout(ANSWER_SECS):
            # Not just any sound: after a barge-in the bot is heard for a moment yet, and what it
            # was going to say may still be in the making.
            await provider.requested("chat", asked + 1)
            await provider.requested("speech", provider.count("speech") + 1)
            await caller.until_bot_speaks()
    except TimeoutError:
        raise DemoError(
            f"the bot did not answer {line.text!r} within {ANSWER_SECS:.0f} s"
        ) from None
    for answer in provider.answers[answered:]:
        if isinstance(answer, Say):
            say("bot", answer.text)
        elif isinstance(answer, CallTool):
            say("demo", f"the bot called {answer.name}({json.dumps(answer.arguments)})")


async def _unless_it_ends(
    bot: asyncio.subprocess.Process, conversation: Coroutine[Any, Any, None]
) -> None:
    """Have a conversation, and give it up as soon as the bot's process has ended."""
    talking = asyncio.create_task(conversation)
    ending = asyncio.create_task(bot.wait())
    tasks: tuple[asyncio.Task[Any], ...] = (talking, ending)
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if not talking.done():
            raise DemoError(f"the bot ended in mid-conversation, with exit code {bot.returncode}")
        await talking
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

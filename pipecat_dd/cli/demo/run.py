"""Run the demo's conversation, from starting the test agent to collecting the traces.

As in production, there are three parties. The bot runs in its own process and is traced. The
provider of speech and language, and the user, run in this process and are not traced. This module
does not look into the bot: it knows only the traces and log lines that the bot produced.
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

from pipecat_dd.cli.demo import scenario, voice
from pipecat_dd.cli.demo.agent import Chunks, running_agent
from pipecat_dd.cli.demo.caller import Caller, calling
from pipecat_dd.cli.demo.child_process import child_process
from pipecat_dd.cli.demo.environment import bot_environment
from pipecat_dd.cli.demo.page import DemoPage
from pipecat_dd.cli.demo.ports import LOOPBACK, free_ports
from pipecat_dd.cli.demo.provider import CallTool, Delays, Provider, Say

DELAYS = Delays(
    transcription_secs=0.2, first_token_secs=0.35, token_secs=0.02, first_audio_secs=0.15
)

BOT_START_SECS = 45.0
"""Importing Pipecat and Silero's model takes a few seconds, and much longer on a cold disk."""
BOT_END_SECS = 15.0
ANSWER_SECS = 15.0
END_OF_ANSWER_SILENCE_SECS = 0.9
"""After this much silence, the user takes the bot's answer to be over."""
BARGE_IN_AFTER_SECS = 2.5
"""How long the user listens to an answer before barging in."""

LOG_FILE = "bot.jsonl"
"""The name of the file with the bot's log lines."""


class DemoError(Exception):
    """The conversation could not be completed. The message says why."""


@dataclass(frozen=True, slots=True)
class Progress:
    """An event to show while the demo runs.

    Attributes:
        who: Who speaks, ``user`` or ``bot``; ``demo`` for other events.
        text: The spoken words, or a description of the event.
        at_secs: The time since the demo began, in seconds.
    """

    who: str
    text: str
    at_secs: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """The results of a conversation.

    Attributes:
        chunks: The traces, as the test agent received them.
        log_file: The file with the bot's log lines.
        traces_file: The file with the traces, as JSON.
        trace_bytes: The total size of the request bodies with traces.
        failure: What went wrong; None if the conversation was completed.
    """

    chunks: Chunks
    log_file: Path
    traces_file: Path
    trace_bytes: int
    failure: str | None


async def converse(
    out: Path,
    on_progress: Callable[[Progress], None],
    *,
    bot_module: str = "pipecat_dd.cli.demo.bot",
    bot_settings: Mapping[str, str] = MappingProxyType({}),
    page: DemoPage | None = None,
) -> Outcome:
    """Run the demo's conversation.

    Args:
        out: The directory for the log and the traces; created if it is missing.
        on_progress: Called with each event as it happens.
        bot_module: The bot's module. It must accept the command line of `demo.bot`.
        bot_settings: Additional variables in the bot's environment.
        page: The page that shows the conversation; None for none.

    Raises:
        AgentError: The test agent did not start.
        DemoError: The bot did not start.
    """
    began = time.monotonic()

    def report(who: str, text: str) -> None:
        on_progress(Progress(who, text, time.monotonic() - began))

    out.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - no other task runs yet
    log_file, traces_file, console_file = (
        out / name for name in (LOG_FILE, "traces.json", "bot-console.txt")
    )
    for file in (log_file, traces_file, console_file):
        file.unlink(missing_ok=True)

    failure: str | None = None
    async with AsyncExitStack() as stack:
        weather = scenario.WeatherService()
        provider = await stack.enter_async_context(
            Provider(scenario.model, voice=voice.bot_says, delays=DELAYS, routes=weather.routes)
        )
        agent = await stack.enter_async_context(running_agent())
        report("demo", f"Datadog's test agent is listening on {agent.url}")
        agent_url, settings = agent.url, dict(bot_settings)
        if page is not None:
            page.intake.forward_to(agent.url)
            agent_url = page.agent_url
            settings = {"DD_TRACE_WRITER_INTERVAL_SECONDS": "0.5"} | settings
        (port,) = free_ports(1)
        bot = await stack.enter_async_context(
            child_process(
                bot_module,
                f"--host={LOOPBACK}",
                f"--port={port}",
                f"--log-file={log_file}",
                f"--weather-url={provider.origin}/weather",
                env=bot_environment(agent_url=agent_url, provider_url=provider.url) | settings,
                output=console_file,
            )
        )
        try:
            await _while_bot_runs(bot, _call(f"ws://{LOOPBACK}:{port}", provider, report))
            report("demo", "the user hangs up")
            async with asyncio.timeout(BOT_END_SECS):
                # ddtrace sends its remaining spans when the process ends.
                if await bot.wait():
                    failure = f"the bot exited with code {bot.returncode}"
        except DemoError as error:
            failure = str(error)
        except TimeoutError:
            failure = f"the bot was still running {BOT_END_SECS:.0f} s after the user hung up"
        chunks, trace_bytes = await agent.traces(), await agent.trace_bytes()
    traces_file.write_text(json.dumps(chunks, indent=1) + "\n", encoding="utf-8")
    if failure is None:
        console_file.unlink()
    else:
        failure += f"; its output is in {console_file}"
    return Outcome(chunks, log_file, traces_file, trace_bytes, failure)


async def _call(url: str, provider: Provider, report: Callable[[str, str], None]) -> None:
    async with AsyncExitStack() as stack:
        try:
            async with asyncio.timeout(BOT_START_SECS):
                caller = await stack.enter_async_context(calling(url))
        except TimeoutError:
            raise DemoError(f"the bot did not start within {BOT_START_SECS:.0f} s") from None
        report("demo", "the user has called the bot")
        for line in scenario.CONVERSATION:
            if line.barges_in:
                await asyncio.sleep(BARGE_IN_AFTER_SECS)
            else:
                await caller.until_bot_is_silent(END_OF_ANSWER_SILENCE_SECS)
            await _exchange(line, caller, provider, report)
        await caller.until_bot_is_silent(END_OF_ANSWER_SILENCE_SECS)


async def _exchange(
    line: scenario.Line, caller: Caller, provider: Provider, report: Callable[[str, str], None]
) -> None:
    """Say a line and wait until the bot starts to answer it."""
    report("user", line.text + ("  (barging in)" if line.barges_in else ""))
    provider.hears = line.text
    asked, answered = provider.count("chat"), len(provider.answers)
    await caller.say(voice.user_says(line.text))
    try:
        async with asyncio.timeout(ANSWER_SECS):
            # Do not wait for just any sound: after a barge-in the bot speaks for a moment longer,
            # and the rest of its interrupted answer may still be synthesized.
            await provider.requested("chat", asked + 1)
            await provider.requested("speech", provider.count("speech") + 1)
            await caller.until_bot_speaks()
    except TimeoutError:
        raise DemoError(
            f"the bot did not answer {line.text!r} within {ANSWER_SECS:.0f} s"
        ) from None
    for answer in provider.answers[answered:]:
        if isinstance(answer, Say):
            report("bot", answer.text)
        elif isinstance(answer, CallTool):
            report("demo", f"the bot called {answer.name}({json.dumps(answer.arguments)})")


async def _while_bot_runs(
    bot: asyncio.subprocess.Process, conversation: Coroutine[Any, Any, None]
) -> None:
    """Run a conversation, and abort it as soon as the bot's process ends.

    Raises:
        DemoError: The bot's process ended before the conversation.
    """
    talking = asyncio.create_task(conversation)
    ending = asyncio.create_task(bot.wait())
    tasks: tuple[asyncio.Task[Any], ...] = (talking, ending)
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if not talking.done():
            raise DemoError(f"the bot exited during the conversation, with code {bot.returncode}")
        await talking
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

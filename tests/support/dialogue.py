"""A conversation as data: its steps, one after another, and the turns that come of it.

A step is what one of them does, the user or the model, or what is waited for before the next::

    (user("Tell me a story"), bot_speaks(1), user("No, stop"), END)

Each turn is a line: who began it, its outcome, and its stages in the order in which they began::

    "user interrupted: speech stt end llm~ tts~ bot~"
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    Frame,
    InputAudioRawFrame,
    LLMFullResponseStartFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)

from pipecat_dd import DatadogObserver
from pipecat_dd.cli.demo.provider import Say
from tests.support.agent import TestAgent
from tests.support.bot import CHUNK_SECS, RATE, SILENCE, START_SECS, Bot, Step
from tests.support.spans import Span, Trace
from tests.support.trees import stages, tree

# What the user does


def user(text: str, secs: float = 0.2) -> Step:
    """Return a step: the user says something, which takes so long; the bot is not waited for."""
    return lambda bot: bot.user_says(text, secs)


def ask(text: str) -> Step:
    """Return a step: the user says something, and the bot speaks to the end."""
    return lambda bot: bot.ask(text)


def user_begins(text: str | None = None) -> Step:
    """Return a step: the user begins to speak; with a text, that is what they will have said."""

    async def step(bot: Bot) -> None:
        if text is not None:
            bot.provider.hears = text
        await bot.push(VADUserStartedSpeakingFrame(start_secs=START_SECS))

    return step


def user_goes_on(secs: float) -> Step:
    """Return a step: the user speaks on for so long."""

    async def step(bot: Bot) -> None:
        for _ in range(round(secs / CHUNK_SECS)):
            await bot.push(InputAudioRawFrame(SILENCE, RATE, 1))
            await asyncio.sleep(CHUNK_SECS)

    return step


async def user_stops(bot: Bot) -> None:
    """Have the user fall silent."""
    await bot.push(VADUserStoppedSpeakingFrame(stop_secs=START_SECS))


def push(make: Callable[..., Frame], *args: Any, **options: Any) -> Step:
    """Return a step: a frame is pushed into the pipeline's beginning, made when it is."""
    return lambda bot: bot.push(make(*args, **options))


# What the bot does


def model(text: str) -> Step:
    """Return a step: from here on the model answers this, whatever it is asked."""

    async def step(bot: Bot) -> None:
        bot.answer = Say(text)

    return step


def bot_speaks(times: int) -> Step:
    """Return a step: the bot is in the midst of speaking its so-many-th response."""
    begins = _in_its_response(times, BotStartedSpeakingFrame)

    async def step(bot: Bot) -> None:
        await begins(bot)
        await asyncio.sleep(5 * START_SECS)  # what the user says from here on began later

    return step


def bot_has_spoken(times: int) -> Step:
    """Return a step: the bot has spoken its so-many-th response to the end."""
    return _in_its_response(times, BotStoppedSpeakingFrame)


def _in_its_response(times: int, what: type[Frame]) -> Step:
    """Return a step that waits until something is seen after a response has begun."""

    async def step(bot: Bot) -> None:
        def is_seen() -> bool:
            kinds = [type(frame) for frame in bot.watch.seen]
            begun = [i for i, kind in enumerate(kinds) if kind is LLMFullResponseStartFrame]
            return len(begun) >= times and what in kinds[begun[times - 1] :]

        await bot.watch.until(is_seen)

    return step


# What is waited for, and the end


def until(kind: type[Frame], times: int = 1) -> Step:
    """Return a step: frames of a class have been pushed so many times."""
    return lambda bot: bot.until(kind, times)


def transcribed(times: int) -> Step:
    """Return a step: so many transcriptions have come."""
    return until(TranscriptionFrame, times)


def answered(times: int = 1) -> Step:
    """Return a step: the bot has spoken to the end so many times."""
    return lambda bot: bot.answered(times)


def requested(what: str, times: int = 1) -> Step:
    """Return a step: the provider has been asked for something so many times."""
    return lambda bot: bot.provider.requested(what, times)


def pause(secs: float) -> Step:
    """Return a step: so long nothing happens."""
    return lambda bot: asyncio.sleep(secs)


async def END(bot: Bot) -> None:  # noqa: N802 - stands in tables
    """Have the bot end in order."""
    await bot.end()


async def CANCEL(bot: Bot) -> None:  # noqa: N802 - stands in tables
    """Cancel the bot's pipeline."""
    await bot.worker.cancel()


async def hold(
    agent: TestAgent, bot: Bot, observer: DatadogObserver, steps: Iterable[Step]
) -> Trace:
    """Hold a conversation, and return its trace, of which all holds that holds of every trace."""
    async with bot:
        for step in steps:
            await step(bot)
    return finished(agent, observer)


def finished(agent: TestAgent, observer: DatadogObserver) -> Trace:
    """Return the trace of a session, of which all holds that holds of every trace."""
    trace = agent.session(observer.session_id)
    trace.check()
    return trace


# What comes of it

TAGS = ("llm.outcome", "tool.outcome", "turn.outcome")
"""The tags that are compared."""

STAGES = {
    "speech": "user_speech [vad]",
    "stt": "stt [OpenAISTTService gpt-transcribe]",
    "end": "end_of_turn [SpeechTimeoutUserTurnStopStrategy]",
    "llm": "llm [OpenAILLMService gpt-4.1]",
    "tts": "tts [OpenAITTSService gpt-4o-mini-tts]",
    "bot": "bot_speech [bot]",
}
"""The stages of a bot of the tests, by the words that stand for them."""


def of_pipecat(span: Span) -> bool:
    """Whether a span is a stage of the conversation, and no call to a provider."""
    return stages(span) and span.name.startswith("pipecat.")


def outline(trace: Trace) -> str:
    """Return the stages of a session as text, to be compared with ``as_outline``."""
    return tree(trace, of_pipecat, TAGS)


def as_outline(turns: Iterable[str]) -> str:
    """Return the outline of a session that has these turns.

    Args:
        turns: A line for each: who began it, its outcome, a colon, its stages. ``~`` behind a
            stage: it was interrupted. ``llm+look_up`` is a response that calls the tool
            ``look_up``; ``stt=Ears`` a transcription by the service ``Ears``.
    """
    lines = ["session [bot]"]
    for turn in turns:
        head, _, stages_ = turn.partition(": ")
        initiator, outcome = head.split()
        lines.append(f"  turn [{initiator}] outcome:{outcome}")
        for word in stages_.split():
            lines += _as_lines(word)
    return "\n".join(lines)


def _as_lines(word: str) -> list[str]:
    name, is_interrupted = word.removesuffix("~"), word.endswith("~")
    name, _, tool = name.partition("+")
    name, _, service = name.partition("=")
    line = f"    {name} [{service}]" if service else f"    {STAGES[name]}"
    if is_interrupted:
        line += " ~"
    if name == "llm":
        line += " outcome:interrupted" if is_interrupted else " outcome:completed"
    return [line, f"      tool [{tool}] outcome:completed"] if tool else [line]

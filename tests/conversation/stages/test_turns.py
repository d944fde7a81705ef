"""Turns as they are in real life, on real pipelines, each trace compared as a whole.

What a turn is made of is tested without a pipeline in ``tests/conversation/test_turns.py``; here is
what Pipecat makes of the same situations, which is where others get them wrong. Each conversation
is a row of ``CONVERSATIONS``: its steps, and the turns that come of it, as
``tests.support.dialogue`` reads them.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    Frame,
    InterimTranscriptionFrame,
    LLMFullResponseEndFrame,
    LLMMessagesAppendFrame,
    SystemFrame,
    TranscriptionFrame,
    TTSSpeakFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.llm_service import FunctionCallParams
from pipecat.services.stt_service import STTService
from pipecat.transcriptions.language import Language
from pipecat.turns.user_mute import AlwaysUserMuteStrategy
from pipecat.turns.user_start import MinWordsUserTurnStartStrategy
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies

from pipecat_dd import DatadogObserver
from pipecat_dd.cli.demo.provider import Say
from tests.conversation.stages.test_tools import bot_with
from tests.support.agent import TestAgent
from tests.support.bot import Bot, Step
from tests.support.dialogue import (
    CANCEL,
    END,
    answered,
    as_outline,
    ask,
    bot_has_spoken,
    bot_speaks,
    hold,
    model,
    of_pipecat,
    outline,
    pause,
    push,
    requested,
    transcribed,
    until,
    user,
)
from tests.support.shapes import Shaped, watching
from tests.support.spans import Trace

LONG = "It is a long story, and it takes its time, since there is so much to tell. " * 4
ANSWERED = "user answered: speech stt end llm tts bot"
CUT_OFF = "user interrupted: speech stt end llm~ tts~ bot~"


# Bots


@dataclass
class Spoken(SystemFrame):
    """Something that a user says."""

    text: str = ""


class HearingAids(STTService):
    """Transcribes what it is told to, with no voice activity detector to tell it of speech."""

    async def run_stt(self, audio: bytes) -> Any:
        yield None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        if isinstance(frame, Spoken):
            words = frame.text.split()
            for count in range(1, len(words)):
                interim = " ".join(words[:count])
                await self.push_frame(InterimTranscriptionFrame(interim, "u", "now"))
                await asyncio.sleep(0.01)
            await self.push_frame(TranscriptionFrame(frame.text, "u", "now", Language.EN))
            return
        await super().process_frame(frame, direction)


def plain(bot: Shaped) -> list[FrameProcessor]:
    return [bot.make_stt(), bot.pair.user(), bot.make_llm(), bot.make_tts(), bot.output]


def patient(observer: DatadogObserver) -> Bot:
    """Return a bot that waits longer than most for the user to go on."""
    stop = SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=0.6)
    return Shaped(plain, observer, user={"user_turn_strategies": UserTurnStrategies(stop=[stop])})


def hard_to_interrupt(observer: DatadogObserver) -> Bot:
    """Return a bot that goes on speaking unless the user says three words."""
    strategies = UserTurnStrategies(
        start=[MinWordsUserTurnStartStrategy(min_words=3)],
        stop=[SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=0.05)],
    )
    return Shaped(plain, observer, user={"user_turn_strategies": strategies})


def deaf_while_it_speaks(observer: DatadogObserver) -> Bot:
    return Bot(observer, user={"user_mute_strategies": [AlwaysUserMuteStrategy()]})


def with_a_slow_tool(observer: DatadogObserver) -> Bot:
    """Return a bot whose tool says that it takes a moment, and takes longer."""

    async def slow(params: FunctionCallParams) -> None:
        bot.answer = Say("It is done.")
        await params.llm.push_frame(TTSSpeakFrame("One moment."))
        await bot.answered(1)
        await asyncio.sleep(0.6)
        await params.result_callback({"done": True})

    bot = bot_with(observer, {"slow": slow})
    return bot


def without_a_detector(observer: DatadogObserver) -> Bot:
    def shape(bot: Shaped) -> list[FrameProcessor]:
        return [HearingAids(), bot.pair.user(), bot.make_llm(), bot.make_tts(), bot.output]

    return Shaped(shape, observer)


def without_a_voice(observer: DatadogObserver) -> Bot:
    def shape(bot: Shaped) -> list[FrameProcessor]:
        return [bot.pair.user(), bot.make_llm(), bot.pair.assistant()]

    return Shaped(shape, observer)


def types(text: str) -> Step:
    """Return a step: the user types a message."""
    return push(lambda: LLMMessagesAppendFrame([{"role": "user", "content": text}], run_llm=True))


# What no outline shows


def is_transcribed_apart_from_the_cough(trace: Trace) -> None:
    cough, question = trace.named("pipecat.user_speech")[1:]
    assert cough.parent is question.parent
    spoken = [stt for stt in trace.named("pipecat.stt") if stt.get("stt.finalization_seconds")]
    assert len(spoken) == 2
    assert spoken[1].start_ns == question.start_ns
    assert spoken[1]["stt.finalization_seconds"] < 0.4
    assert all(
        stt.end_ns <= question.start_ns for stt in trace.named("pipecat.stt") if stt not in spoken
    )


def has_its_language(trace: Trace) -> None:
    stt = trace.one("pipecat.stt")
    assert (stt["stt.language"], stt["language"]) == ("en", "python"), "the latter is ddtrace's"


def ends_where_it_was_cut(trace: Trace) -> None:
    turn, speech = trace.one("pipecat.turn"), trace.one("pipecat.bot_speech")
    root = trace.one("pipecat.session")
    assert turn["turn.end_reason"] == "session_end"
    assert turn["turn.was_interrupted"] == "false"
    assert turn.end_ns <= root.end_ns
    assert speech.end_ns <= turn.end_ns
    assert not any(span.error for span in trace.spans if of_pipecat(span))


@dataclass(frozen=True)
class Conversation:
    """A conversation, and what should come of it.

    Attributes:
        name: What holds of it.
        why: What goes wrong where it does not hold.
        steps: What happens.
        turns: The turns that come of it, with their stages; None where ``also`` says all.
        session: Figures of the session, by their tags without ``session.``.
        bot: Makes the bot that it is held with.
        options: The observer's.
        also: Asserts what no outline shows.
    """

    name: str
    why: str
    steps: tuple[Step, ...]
    turns: tuple[str, ...] | None
    session: dict[str, float | str]
    bot: Callable[[DatadogObserver], Bot] = Bot
    options: dict[str, Any] = field(default_factory=dict)
    also: Callable[[Trace], None] = lambda trace: None


CONVERSATIONS = (
    Conversation(
        "a_second_barge_in_while_the_first_is_answered",
        why="each turn that the user cuts off is interrupted, and nothing of it is in the next",
        steps=(
            model(LONG),
            user("Tell me a story"),
            bot_speaks(1),
            user("Another one"),
            bot_speaks(2),
            model("Fine."),
            user("No, stop"),
            bot_has_spoken(3),
            END,
        ),
        turns=(CUT_OFF, CUT_OFF, ANSWERED),
        session={"interruption_count": 2, "turn_count": 3, "bot_speech_count": 3, "error_count": 0},
    ),
    Conversation(
        "a_user_who_pauses_in_a_sentence_has_one_turn",
        why="a turn is what Pipecat answers, not each stretch of speech",
        bot=patient,
        steps=(user("I would like"), transcribed(1), user("a table for two"), answered(), END),
        turns=("user answered: speech stt speech stt end llm tts bot",),
        session={"turn_count": 1, "interruption_count": 0},
    ),
    Conversation(
        "a_tool_that_takes_longer_than_the_turns_timeout_is_waited_for",
        why="a timer that forgets the running tool ends the turn before its answer",
        bot=with_a_slow_tool,
        options={"turn_end_timeout_secs": 0.2},
        steps=(user("Do it"), answered(2), END),
        turns=("user answered: speech stt end llm+slow tts bot llm tts bot",),
        session={"turn_count": 1, "bot_speech_count": 2},
    ),
    Conversation(
        "what_is_heard_while_the_user_is_muted_is_no_turn",
        why="the bot may hear its own voice",
        bot=deaf_while_it_speaks,
        steps=(
            model(LONG),
            user("Tell me a story"),
            bot_speaks(1),
            user("It is a long story"),
            transcribed(2),
            answered(),
            END,
        ),
        turns=(f"{ANSWERED} speech stt",),
        session={"turn_count": 1, "interruption_count": 0},
    ),
    Conversation(
        "a_backchannel_interrupts_nothing_and_is_part_of_the_answer_it_is_about",
        why="too few words open no turn where the bot is hard to interrupt",
        bot=hard_to_interrupt,
        steps=(
            model(LONG),
            user("Tell me a story"),
            bot_speaks(1),
            user("Uh-huh"),
            transcribed(2),
            answered(),
            END,
        ),
        turns=(f"{ANSWERED} speech stt",),
        session={"turn_count": 1, "interruption_count": 0},
    ),
    Conversation(
        "a_cough_keeps_no_transcription_from_what_is_said_after_it",
        why="the words of the next speech would be taken for the late words of the cough",
        steps=(
            ask("How are you?"),
            user(""),  # nothing comes of it
            requested("transcriptions", 2),
            pause(0.5),
            ask("And now?"),
            END,
        ),
        turns=None,
        session={},
        also=is_transcribed_apart_from_the_cough,
    ),
    Conversation(
        "without_a_detector_the_transcription_makes_the_turn",
        why="there is no speech to begin with, only words",
        bot=without_a_detector,
        steps=(push(Spoken, text="How are you today"), answered(), END),
        turns=("user answered: stt=HearingAids llm tts bot",),
        session={"turn_count": 1},
        also=has_its_language,
    ),
    Conversation(
        "text_without_a_voice_is_a_turn_that_ends_with_the_answer",
        why="nothing is heard that could begin or end a turn",
        bot=without_a_voice,
        steps=(
            types("How are you?"),
            until(LLMFullResponseEndFrame, 1),
            types("And now?"),
            until(LLMFullResponseEndFrame, 2),
            END,
        ),
        turns=("user answered: llm", "user answered: llm"),
        session={"turn_count": 2, "bot_speech_count": 0, "end_reason": "ended"},
    ),
    Conversation(
        "a_session_that_is_cancelled_in_mid_answer_ends_where_it_was_cut",
        why="what is cancelled fires no end of its own, and is no failure",
        steps=(model(LONG), user("Tell me a story"), bot_speaks(1), CANCEL),
        turns=None,
        session={"end_reason": "cancelled"},
        also=ends_where_it_was_cut,
    ),
    Conversation(
        "a_clean_end_completes_the_turn",
        why="an EndFrame lets the bot finish: nothing is cut off",
        steps=(user("Goodbye"), until(BotStartedSpeakingFrame), END),
        turns=(ANSWERED,),
        session={"turn_count": 1, "interruption_count": 0, "end_reason": "ended"},
    ),
)


@pytest.mark.parametrize("conversation", CONVERSATIONS, ids=lambda one: one.name)
async def test_a_conversation_is_made_of_these_turns(
    agent: TestAgent, conversation: Conversation
) -> None:
    observer = watching(**conversation.options)
    trace = await hold(agent, conversation.bot(observer), observer, conversation.steps)
    if conversation.turns is not None:
        assert outline(trace) == as_outline(conversation.turns), conversation.why
    root = trace.one("pipecat.session")
    figures = {name: root[f"session.{name}"] for name in conversation.session}
    assert figures == conversation.session, conversation.why
    conversation.also(trace)

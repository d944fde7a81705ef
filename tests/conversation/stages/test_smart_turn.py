"""Rulings of the real smart-turn model, on recorded speech that Silero's detector finds."""

import asyncio
import time

import pytest
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.frames.frames import BotStoppedSpeakingFrame, InputAudioRawFrame

from pipecat_dd.cli.demo.voice import user_says
from tests.conversation.stages.test_rulings import ruling, talk
from tests.support.agent import TestAgent
from tests.support.bot import RATE, Bot, Step

smart_turn = pytest.importorskip(
    "pipecat.audio.turn.smart_turn.local_smart_turn_v3",
    reason="this version of Pipecat has no smart-turn 3",
)

PIECE_SECS = 0.02
PIECE = int(RATE * PIECE_SECS) * 2


def spoken(text: str) -> Step:
    """Return a step: a recorded sentence comes in as fast as it is spoken, then silence."""

    async def step(bot: Bot) -> None:
        speech, bot.provider.hears = user_says(text), text
        began_secs, sent = time.monotonic(), 0
        while not bot.watch.count(BotStoppedSpeakingFrame):
            piece = speech[sent * PIECE : (sent + 1) * PIECE].ljust(PIECE, b"\0")
            await bot.push(InputAudioRawFrame(piece, RATE, 1))
            sent += 1
            await asyncio.sleep(began_secs + sent * PIECE_SECS - time.monotonic())

    return step


async def test_a_whole_sentence_is_ruled_complete_with_the_models_probability(
    agent: TestAgent,
) -> None:
    analyzer = smart_turn.LocalSmartTurnAnalyzerV3()
    vad = {"vad_analyzer": SileroVADAnalyzer()}
    step = spoken("Sorry, I meant the weather in Rome.")
    trace = await talk(agent, analyzer, step, user=vad)

    turn, ruled = ruling(trace)
    assert ruled["end_of_turn.outcome"] == "completed"
    assert 0.5 <= ruled["end_of_turn.probability"] <= 1
    assert 0 < ruled["end_of_turn.inference_seconds"] < ruled.secs
    assert turn["turn.end_of_turn.probability"] == ruled["end_of_turn.probability"]
    assert trace.one("pipecat.user_speech").secs == pytest.approx(2.0, abs=1.0)


async def test_a_sentence_that_sounds_unfinished_is_ruled_incomplete_and_silence_ends_it(
    agent: TestAgent,
) -> None:
    analyzer = smart_turn.LocalSmartTurnAnalyzerV3()
    vad = {"vad_analyzer": SileroVADAnalyzer()}
    step = spoken("What is the weather in Paris right now?")  # how the synthetic voice says it
    trace = await talk(agent, analyzer, step, user=vad)

    turn, ruled = ruling(trace)
    assert ruled["end_of_turn.probability"] < 0.5
    assert ruled["end_of_turn.incomplete_count"] >= 1
    assert ruled["end_of_turn.outcome"] == "timed_out"
    assert turn["turn.wait.end_of_turn_seconds"] > ruled["end_of_turn.after_ruling_seconds"] > 1

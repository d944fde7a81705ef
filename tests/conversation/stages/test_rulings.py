"""What is told of the rulings on whether the user has finished, by each strategy that rules."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from pipecat.audio.turn.base_turn_analyzer import BaseTurnAnalyzer, BaseTurnParams, EndOfTurnState
from pipecat.frames.frames import (
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    TranscriptionFrame,
    UserStoppedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.metrics.metrics import TurnMetricsData
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.openai.stt import OpenAISTTService
from pipecat.turns.user_stop import (
    SpeechTimeoutUserTurnStopStrategy,
    TurnAnalyzerUserTurnStopStrategy,
)
from pipecat.turns.user_turn_strategies import UserTurnStrategies

from pipecat_dd import DatadogObserver
from pipecat_dd.cli.demo.provider import Say
from tests.conversation.stages.test_turn_owners import held, stt
from tests.support.agent import TestAgent
from tests.support.bot import QUICK, RATE, SILENCE, Bot, Step
from tests.support.dialogue import END, answered, hold, pause, requested, until, user
from tests.support.shapes import Shaped, watching
from tests.support.spans import Span, Trace
from tests.support.turn_servers import CartesiaTurns, Flux, TurnServer
from tests.support.versions import needs_pipecat

COMPLETE, INCOMPLETE = EndOfTurnState.COMPLETE, EndOfTurnState.INCOMPLETE


class Scripted(BaseTurnAnalyzer):
    """Rules as it is told: when the user falls silent and, like smart-turn, after much silence.

    Args:
        rulings: How sure it is each time, from 0 to 1; half and more is sure enough.
        measures: Whether it gives measurements of its rulings, as smart-turn does.
        silence: After how many pieces of audio without speech the turn is over anyway.
    """

    def __init__(
        self, rulings: Sequence[float], *, measures: bool = True, silence: int = 1_000
    ) -> None:
        super().__init__()
        self._rulings = list(rulings)
        self._measures = measures
        self._silence, self._silent = silence, 0
        self._is_asked = False

    @property
    def speech_triggered(self) -> bool:
        return True

    @property
    def params(self) -> BaseTurnParams:
        return BaseTurnParams()

    def append_audio(self, buffer: bytes, is_speech: bool) -> EndOfTurnState:
        self._silent = 0 if is_speech else self._silent + 1
        over = self._silent == self._silence
        self._is_asked = self._is_asked or over
        return COMPLETE if over else INCOMPLETE

    async def analyze_end_of_turn(self) -> tuple[EndOfTurnState, Any]:
        if self._is_asked:  # by silence: as smart-turn, it has nothing left to listen to
            self._is_asked = False
            return INCOMPLETE, None
        sure = self._rulings.pop(0)
        await asyncio.sleep(0.02)
        state = COMPLETE if sure >= 0.5 else INCOMPLETE
        measured = TurnMetricsData(
            processor="Scripted",
            is_complete=state is COMPLETE,
            probability=sure,
            e2e_processing_time_ms=15.0,
        )
        return state, measured if self._measures else None

    def clear(self) -> None:
        self._silent = 0


def ruled_by(
    analyzer: BaseTurnAnalyzer, *observers: DatadogObserver, **options: Any
) -> tuple[Shaped, TurnAnalyzerUserTurnStopStrategy]:
    """Return a bot whose turns a model ends."""
    strategy = TurnAnalyzerUserTurnStopStrategy(turn_analyzer=analyzer)

    def shape(bot: Shaped) -> list[FrameProcessor]:
        hearing = OpenAISTTService(
            api_key="any",
            base_url=bot.base_url,
            settings=OpenAISTTService.Settings(model="gpt-transcribe"),
            ttfs_p99_latency=0.2,
        )
        llm, tts = bot.make_llm(), bot.make_tts()
        return [hearing, bot.pair.user(), llm, tts, bot.output, bot.pair.assistant()]

    strategies = UserTurnStrategies(stop=[strategy])
    user_params = {"user_turn_strategies": strategies, **options.pop("user", {})}
    return Shaped(shape, *observers, user=user_params, **options), strategy


async def talk(agent: TestAgent, analyzer: BaseTurnAnalyzer, *steps: Step, **options: Any) -> Trace:
    """Hold a conversation with a bot whose turns a model ends, and return its trace."""
    observer = watching()
    bot, _ = ruled_by(analyzer, observer, **options)
    return await hold(agent, bot, observer, (*steps, END))


def ruling(trace: Trace) -> tuple[Span, Span]:
    """Return the only turn of the user's, and the ruling that it had ended."""
    turn = trace.one("pipecat.turn", "user")
    return turn, trace.one("pipecat.end_of_turn")


def silence(pieces: int) -> Step:
    """Return a step: audio without speech comes in."""

    async def step(bot: Bot) -> None:
        for _ in range(pieces):
            await bot.push(InputAudioRawFrame(SILENCE, RATE, 1))
            await asyncio.sleep(0.005)

    return step


FELL_SILENT = until(VADUserStoppedSpeakingFrame)


async def test_a_ruling_says_how_sure_the_model_was_and_how_long_it_took(agent: TestAgent) -> None:
    trace = await talk(agent, Scripted([0.9]), user("How are you?"), answered())

    turn, ruled = ruling(trace)
    assert ruled["end_of_turn.outcome"] == turn["turn.end_of_turn.outcome"] == "completed"
    assert ruled["end_of_turn.probability"] == turn["turn.end_of_turn.probability"] == 0.9
    assert ruled["end_of_turn.incomplete_count"] == turn["turn.end_of_turn.incomplete_count"] == 0
    assert ruled["end_of_turn.inference_seconds"] == 0.015
    assert 0 <= ruled["end_of_turn.after_ruling_seconds"] < ruled.secs, "the transcription"


@pytest.mark.parametrize(("metrics", "measures"), [(True, False), (False, True)])
async def test_a_user_who_pauses_is_one_ruling_with_one_that_they_had_not_finished(
    agent: TestAgent, metrics: bool, measures: bool
) -> None:
    trace = await talk(
        agent,
        Scripted([0.1, 0.8], measures=measures),
        *(user("I would like"), FELL_SILENT, pause(0.1)),
        *(user("a table for two"), answered()),
        params={"enable_metrics": metrics},
    )

    turn, ruled = ruling(trace)
    assert ruled.parent is turn
    assert ruled["end_of_turn.incomplete_count"] == turn["turn.end_of_turn.incomplete_count"] == 1
    assert ruled["end_of_turn.outcome"] == "resumed"
    assert ruled.get("end_of_turn.probability") == (0.8 if measures else None)
    assert ruled["end_of_turn.inference_seconds"] >= 0.03, "both rulings"
    last = trace.named("pipecat.user_speech")[-1]
    assert abs(ruled.start_ns - last.end_ns) < 1_000, "from the last stretch's end"


async def test_silence_that_ends_a_turn_after_all_is_told_as_a_timeout(agent: TestAgent) -> None:
    trace = await talk(
        agent,
        Scripted([0.2], silence=20),
        *(user("I would like"), FELL_SILENT, until(TranscriptionFrame), pause(0.3)),
        *(silence(40), answered()),
    )

    turn, ruled = ruling(trace)
    assert ruled["end_of_turn.outcome"] == turn["turn.end_of_turn.outcome"] == "timed_out"
    assert ruled["end_of_turn.incomplete_count"] == 1, "the silence itself is no ruling"
    assert ruled["end_of_turn.probability"] == 0.2
    assert ruled["end_of_turn.after_ruling_seconds"] >= 0.3, "what the timeout cost"
    assert turn["turn.wait.end_of_turn_seconds"] >= ruled["end_of_turn.after_ruling_seconds"]


async def test_the_aggregator_s_own_timeout_is_told_as_one(agent: TestAgent) -> None:
    trace = await talk(
        agent,
        Scripted([0.2]),
        *(user("I would like"), answered()),
        user={"user_turn_stop_timeout": 0.6},
    )

    _, ruled = ruling(trace)
    assert ruled["end_of_turn.outcome"] == "timed_out"
    event = trace.one("pipecat.service.event", "on_user_turn_stop_timeout")
    assert event["processor.name"].startswith("LLMUserAggregator#")


@needs_pipecat("1.8", "the turn is ended although they speak")
async def test_a_user_who_goes_on_after_a_ruling_that_they_had_finished_has_resumed(
    agent: TestAgent,
) -> None:
    # The strategy still waits for the transcription when they go on.
    trace = await talk(
        agent,
        Scripted([0.9, 0.9]),
        *(user("I would like"), FELL_SILENT, pause(0.03)),
        *(user("a table for two"), answered()),
        delays=replace(QUICK, transcription_secs=0.6),
    )

    ruled = trace.named("pipecat.end_of_turn")[0]
    assert ruled["end_of_turn.outcome"] == "resumed"
    assert ruled["end_of_turn.incomplete_count"] == 0


async def test_each_turn_has_its_own_rulings(agent: TestAgent) -> None:
    trace = await talk(
        agent,
        Scripted([0.1, 0.8, 0.7]),
        *(user("I would like"), FELL_SILENT, pause(0.1), user("a table"), answered(1)),
        *(user("For two"), answered(2)),
    )

    first, second = trace.named("pipecat.turn")
    assert [first["turn.end_of_turn.outcome"], second["turn.end_of_turn.outcome"]] == [
        "resumed",
        "completed",
    ]
    assert second["turn.end_of_turn.incomplete_count"] == 0
    assert second["turn.end_of_turn.probability"] == 0.7


async def test_a_strategy_that_takes_another_s_place_is_read_by_its_metrics(
    agent: TestAgent,
) -> None:
    observer = watching()
    bot, _ = ruled_by(Scripted([]), observer)
    later = TurnAnalyzerUserTurnStopStrategy(turn_analyzer=Scripted([0.8]))
    async with bot:
        await bot.push(InputAudioRawFrame(SILENCE, RATE, 1))
        await bot.until(InputAudioRawFrame)
        controller = bot.pair.user()._user_turn_controller
        await controller.update_strategies(UserTurnStrategies(stop=[later]))
        await bot.ask("How are you?")
        await bot.end()

    ruled = agent.session(observer.session_id).one("pipecat.end_of_turn")
    assert ruled["end_of_turn.probability"] == 0.8
    assert ruled["end_of_turn.inference_seconds"] == 0.015
    assert ruled["end_of_turn.outcome"] == "completed"


async def test_smart_turn_itself_is_asked_and_says_how_sure_it_is(agent: TestAgent) -> None:
    local = pytest.importorskip("pipecat.audio.turn.smart_turn.local_smart_turn_v3")
    params = pytest.importorskip("pipecat.audio.turn.smart_turn.base_smart_turn").SmartTurnParams
    analyzer = local.LocalSmartTurnAnalyzerV3(params=params(stop_secs=0.4))
    trace = await talk(
        agent,
        analyzer,
        *(user("How are you?"), FELL_SILENT, until(TranscriptionFrame)),
        *(silence(40), answered()),
    )

    _, ruled = ruling(trace)
    assert 0 <= ruled["end_of_turn.probability"] <= 1
    assert 0 < ruled["end_of_turn.inference_seconds"] < 10
    incomplete = ruled["end_of_turn.incomplete_count"]
    assert ruled["end_of_turn.outcome"] == ("timed_out" if incomplete else "completed")


@needs_pipecat("1.8", "a model that answers does not rule by such a frame")
@pytest.mark.parametrize("goes_on", [True, False])
async def test_a_model_that_answers_may_rule_that_the_user_has_not_finished(
    agent: TestAgent, goes_on: bool
) -> None:
    from pipecat.frames.frames import LLMMarkerFrame
    from pipecat.turns.user_stop import LLMTurnCompletionUserTurnStopStrategy, deferred
    from pipecat.turns.user_turn_completion_mixin import UserTurnCompletionConfig

    observer = watching()
    config = UserTurnCompletionConfig(incomplete_short_timeout=5.0 if goes_on else 0.4)
    detecting = SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=0.05)
    deciding = LLMTurnCompletionUserTurnStopStrategy(config=config)
    strategies = UserTurnStrategies(stop=[deferred(detecting), deciding])

    def shape(bot: Shaped) -> list[FrameProcessor]:
        llm, tts = bot.make_llm(), bot.make_tts()
        return [bot.make_stt(), bot.pair.user(), llm, tts, bot.output, bot.pair.assistant()]

    async with Shaped(shape, observer, user={"user_turn_strategies": strategies}) as bot:
        bot.answer = Say("◐")
        await bot.user_says("I would like")
        await bot.until(LLMMarkerFrame)
        bot.answer = Say("● Fine, thank you.")
        if goes_on:
            await bot.user_says("a table for two")
        await bot.answered()
        await bot.end()

    trace = agent.session(observer.session_id)
    _, ruled = ruling(trace)
    assert ruled["end_of_turn.incomplete_count"] == 1
    assert ruled["end_of_turn.outcome"] == ("resumed" if goes_on else "timed_out")
    assert ruled.get("end_of_turn.probability") is None


@needs_pipecat("1.14", "not every one of these services proposes turns")
@pytest.mark.parametrize("server", [Flux, CartesiaTurns])
async def test_a_prediction_that_a_service_takes_back_is_a_user_who_resumed(
    agent: TestAgent, server: type[TurnServer]
) -> None:
    trace = await held(
        agent,
        server,
        *(stt("begins"), pause(0.1)),
        *(stt("understands", "How are"), until(InterimTranscriptionFrame)),
        *(stt("predicts_end", "How are"), requested("chat", 1), stt("resumes"), pause(0.1)),
        *(stt("predicts_end", "How are you?"), requested("chat", 2)),
        *(stt("ends", "How are you?"), until(UserStoppedSpeakingFrame), answered()),
        *(stt("says", "And your mother?"), answered(2)),
        enable_eager_end_of_turn=True,
    )

    first, second = trace.named("pipecat.end_of_turn")
    assert first["end_of_turn.outcome"] == "resumed"
    assert second["end_of_turn.outcome"] == "completed"
    assert first["end_of_turn.incomplete_count"] == 0
    assert first.get("end_of_turn.inference_seconds") is None
    assert first.get("end_of_turn.probability") == (0.875 if server is Flux else None)

"""Turns that an STT service owns, each by its real class: heard, ruled and waited for like any."""

import asyncio
from typing import Any, Self

import pytest
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    InterimTranscriptionFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameProcessor

from pipecat_dd.names.tags import WAIT_PARTS
from tests.support.agent import TestAgent
from tests.support.bot import Step
from tests.support.dialogue import (
    END,
    answered,
    hold,
    model,
    of_pipecat,
    pause,
    push,
    requested,
    until,
)
from tests.support.shapes import Shaped, watching
from tests.support.spans import Span, Trace
from tests.support.trees import tree
from tests.support.turn_servers import (
    SERVERS,
    CartesiaTurns,
    Flux,
    Gradium,
    Sarvam,
    Soniox,
    TurnServer,
)
from tests.support.versions import needs_pipecat

pytestmark = needs_pipecat("1.14", "not every one of these services proposes turns")

TAGS = ("llm.outcome", "turn.outcome")
ANSWER = """
    llm [OpenAILLMService gpt-4.1] outcome:completed
    tts [OpenAITTSService gpt-4o-mini-tts]
    bot_speech [bot]"""


class Owned(Shaped):
    """A bot whose STT service owns the turn, with the strategies that the service recommends."""

    def __init__(self, server: TurnServer, *observers: Any, **options: Any) -> None:
        self.owner = server
        self.service = server.service(**options.pop("service", {}))
        user = {"user_turn_strategies": None, **options.pop("user", {})}
        super().__init__(self._processors, *observers, user=user, **options)

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        started = asyncio.Event()

        @self.worker.event_handler("on_pipeline_started")
        async def on_pipeline_started(*_: Any) -> None:
            started.set()

        await started.wait()  # by then the service's strategies are those of the aggregator
        return self

    def _processors(self, _: Shaped) -> list[FrameProcessor]:
        return [self.service, self.pair.user(), self.make_llm(), self.make_tts(), self.output]


def shape(trace: Trace) -> str:
    return tree(trace, of_pipecat, TAGS)


def a_turn(server: type[TurnServer], heard_by: str) -> str:
    # Of spans that begin together the speech is first.
    return f"""
  turn [user] outcome:answered
    user_speech [{heard_by}]
    stt [{server.class_name} {server.model}]
    end_of_turn [user_turn]{ANSWER}"""


def children(turn: Span, name: str) -> list[Span]:
    return [child for child in turn.children if child.name == f"pipecat.{name}"]


def at_once(one_ns: int, other_ns: int) -> bool:
    """Whether two moments are one: ddtrace keeps times as seconds in a float on their way."""
    return abs(one_ns - other_ns) < 1_000


def check_wait(turn: Span) -> None:
    """Check that the wait is measured from the user's silence, and is explained as a whole."""
    waited = turn["turn.user_bot_latency_seconds"]
    speech, heard = children(turn, "user_speech")[-1], children(turn, "bot_speech")[0]
    assert waited == pytest.approx((heard.start_ns - speech.end_ns) / 1e9, abs=0.001)
    parts = [turn[f"turn.wait.{name}_seconds"] for name, _ in WAIT_PARTS]
    assert min(parts) >= 0
    assert sum(parts) == pytest.approx(waited, abs=1e-6)
    assert turn["turn.wait.llm_seconds"] > 0.01
    (ruling,) = children(turn, "end_of_turn")
    assert at_once(ruling.start_ns, speech.end_ns)


# Steps


def stt(act: str, *text: str) -> Step:
    """Return a step: what the service that owns the turn does, by the name of ``TurnServer``'s."""
    return lambda bot: getattr(bot.owner, act)(*text)  # type: ignore[attr-defined]


def detector_hears_speech(times: int = 1) -> tuple[Step, ...]:
    """Return the steps of a voice activity detector that hears the user begin."""
    return push(VADUserStartedSpeakingFrame, start_secs=0.1), until(
        VADUserStartedSpeakingFrame, times
    )


def detector_hears_silence(stop_secs: float = 0.05) -> Step:
    """Return a step: a voice activity detector has heard nothing for so long."""
    return push(VADUserStoppedSpeakingFrame, stop_secs=stop_secs)


async def held(agent: TestAgent, server: type[TurnServer], *steps: Step, **service: Any) -> Trace:
    """Hold a conversation with a bot whose STT service owns the turn, and return its trace."""
    observer = watching()
    async with server() as provider:
        bot = Owned(provider, observer, service=service)
        return await hold(agent, bot, observer, (*steps, END))


@pytest.mark.parametrize("server", SERVERS)
async def test_a_turn_that_an_stt_service_owns_is_a_turn_like_any(
    agent: TestAgent, server: type[TurnServer]
) -> None:
    trace = await held(
        agent,
        server,
        *(stt("says", "How are you today?"), answered(1)),
        *(stt("says", "And your mother?"), answered(2)),
    )

    assert shape(trace) == "session [bot]" + a_turn(server, server.class_name) * 2
    for turn in trace.named("pipecat.turn"):
        (speech,) = children(turn, "user_speech")
        assert turn.start_ns == speech.start_ns
        assert speech.secs > 0.1
        check_wait(turn)


@pytest.mark.parametrize("server", SERVERS)
async def test_a_detector_beside_it_tells_when_the_user_speaks(
    agent: TestAgent, server: type[TurnServer]
) -> None:
    def turn(times: int) -> tuple[Step, ...]:
        return (
            *detector_hears_speech(times),
            *(stt("begins"), until(UserStartedSpeakingFrame, times), pause(0.1)),
            *(detector_hears_silence(), until(VADUserStoppedSpeakingFrame, times)),
            *(stt("ends", "How are you?"), answered(times)),
        )

    trace = await held(agent, server, *turn(1), *turn(2))

    assert shape(trace) == "session [bot]" + a_turn(server, "vad") * 2
    for turn_ in trace.named("pipecat.turn"):
        assert turn_.start_ns == children(turn_, "user_speech")[0].start_ns
        assert children(turn_, "end_of_turn")[0].secs >= 0.05, "from the silence that was heard"
        check_wait(turn_)


@pytest.mark.parametrize("server", [Flux, Gradium, Sarvam])
async def test_a_detector_that_is_slower_than_the_service_hears_the_same_speech(
    agent: TestAgent, server: type[TurnServer]
) -> None:
    trace = await held(
        agent,
        server,
        *(stt("begins"), until(UserStartedSpeakingFrame)),
        *(*detector_hears_speech(), pause(0.1)),
        *(stt("ends", "How are you?"), until(UserStoppedSpeakingFrame)),
        detector_hears_silence(0.4),  # silent before the service was sure
        answered(),
    )

    assert shape(trace) == "session [bot]" + a_turn(server, "vad")
    (turn,) = trace.named("pipecat.turn")
    assert turn.start_ns == children(turn, "user_speech")[0].start_ns
    check_wait(turn)


@pytest.mark.parametrize("server", [Flux, Soniox])
async def test_a_barge_in_that_the_service_hears_cuts_the_bot_off(
    agent: TestAgent, server: type[TurnServer]
) -> None:
    trace = await held(
        agent,
        server,
        model("It is a long story, and it takes its time to tell. " * 6),
        *(stt("says", "Tell me a story"), until(BotStartedSpeakingFrame), pause(0.15)),
        model("Fine."),
        *(stt("says", "Stop it now"), answered(2)),
    )

    first, second = trace.named("pipecat.turn")
    assert [first["turn.outcome"], second["turn.outcome"]] == ["interrupted", "answered"]
    assert first.end_ns <= second.start_ns + 1_000
    assert second.start_ns == children(second, "user_speech")[0].start_ns
    check_wait(second)


@pytest.mark.parametrize("server", [CartesiaTurns, Sarvam])
async def test_a_turn_of_which_nothing_was_understood_keeps_no_transcription_from_the_next(
    agent: TestAgent, server: type[TurnServer]
) -> None:
    trace = await held(
        agent,
        server,
        *(stt("says", "How are you?"), answered(1)),
        *(stt("begins"), until(UserStartedSpeakingFrame, 2), pause(0.1)),
        *(stt("ends", ""), pause(1.2)),
        *(stt("says", "And your mother?"), answered(2)),
    )

    last = trace.named("pipecat.turn")[-1]
    assert last["turn.outcome"] == "answered"
    words = children(last, "stt")[-1]
    assert words.start_ns == children(last, "user_speech")[-1].start_ns
    assert words.secs < 1


PREDICTED_TOO_SOON = (
    *(stt("predicts_end", "How are"), requested("chat", 1)),
    *(stt("resumes"), pause(0.1)),
)


@pytest.mark.parametrize("server", [Flux, CartesiaTurns])
@pytest.mark.parametrize("holds", [True, False])
async def test_a_predicted_end_is_when_the_user_fell_silent_unless_it_is_withdrawn(
    agent: TestAgent, server: type[TurnServer], holds: bool
) -> None:
    trace = await held(
        agent,
        server,
        *(stt("begins"), pause(0.1)),
        *(stt("understands", "How are"), until(InterimTranscriptionFrame)),
        *(() if holds else PREDICTED_TOO_SOON),
        *(stt("predicts_end", "How are you?"), requested("chat", 1 if holds else 2), pause(0.3)),
        *(stt("ends", "How are you?"), answered()),
        enable_eager_end_of_turn=True,
    )

    (turn,) = trace.named("pipecat.turn")
    assert turn["turn.outcome"] == "answered"
    answers = ["completed"] if holds else ["discarded", "completed"]
    assert [llm["llm.outcome"] for llm in children(turn, "llm")] == answers
    (speech,), (ruling,) = children(turn, "user_speech"), children(turn, "end_of_turn")
    assert at_once(ruling.start_ns, speech.end_ns)
    assert 0.3 <= ruling.secs < 1, "from the last prediction, which held"
    assert turn["turn.wait.end_of_turn_seconds"] >= 0.3
    assert sum(turn[f"turn.wait.{name}_seconds"] for name, _ in WAIT_PARTS) == pytest.approx(
        turn["turn.user_bot_latency_seconds"], abs=1e-6
    )


@pytest.mark.parametrize("server", [Flux])
async def test_a_connection_that_is_lost_in_the_middle_of_a_turn_ends_its_speech(
    agent: TestAgent, server: type[TurnServer]
) -> None:
    trace = await held(
        agent,
        server,
        *(stt("begins"), pause(0.1)),
        *(stt("understands", "How are you"), until(InterimTranscriptionFrame)),
        *(stt("hangs_up"), answered(1)),
        *(stt("says", "And now?"), answered(2)),
    )

    for turn in trace.named("pipecat.turn"):
        assert turn["turn.outcome"] == "answered"
        check_wait(turn)

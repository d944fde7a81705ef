"""Pipelines of every shape: what each service did is told once, and where it belongs."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest
from ddtrace.trace import tracer
from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMTextFrame,
    ManuallySwitchServiceFrame,
    StartFrame,
    TranscriptionFrame,
    UserImageRawFrame,
    VisionFullResponseEndFrame,
    VisionFullResponseStartFrame,
    VisionTextFrame,
)
from pipecat.pipeline.llm_switcher import LLMSwitcher
from pipecat.pipeline.parallel_pipeline import ParallelPipeline
from pipecat.pipeline.pipeline import Pipeline
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.vision_service import VisionService
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies

from pipecat_dd import DatadogObserver
from tests.support.agent import TestAgent
from tests.support.shapes import Shaped, watching
from tests.support.spans import Trace
from tests.support.trees import as_told_here, stages, tree
from tests.support.versions import REPORTS_STT_USAGE

HEARD = """
    user_speech [vad]
    stt [OpenAISTTService gpt-transcribe]
      openai.request [createTranscription]
    end_of_turn [SpeechTimeoutUserTurnStopStrategy]"""
ANSWER = """
    llm [OpenAILLMService gpt-4.1] outcome:completed
      openai.request [createChatCompletion]"""
SPOKEN = """
    tts [OpenAITTSService gpt-4o-mini-tts]
    bot_speech [bot]"""

Shape = Callable[[Shaped], list[FrameProcessor]]


class Pass(FrameProcessor):
    """Passes everything on."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)


async def converse(
    agent: TestAgent, observer: DatadogObserver, shape: Shape, **options: Any
) -> Trace:
    """Have a conversation of one turn with a bot of that shape, and return its trace."""
    async with Shaped(shape, observer, **options) as bot:
        await bot.ask("How are you?")
        await bot.end()
    return told(agent, observer)


def told(agent: TestAgent, observer: DatadogObserver) -> Trace:
    """Return the trace, of which all holds that holds of every trace."""
    trace = agent.session(observer.session_id)
    trace.check()
    return trace


def plain(bot: Shaped, *extra: FrameProcessor) -> list[FrameProcessor]:
    """Return the usual processors, with more between the model and the voice."""
    return [
        bot.make_stt(),
        bot.pair.user(),
        bot.make_llm(),
        *extra,
        bot.make_tts(),
        bot.output,
        bot.pair.assistant(),
    ]


async def test_two_models_in_parallel_answer_in_one_turn(agent: TestAgent) -> None:
    def shape(bot: Shaped) -> list[FrameProcessor]:
        notes = bot.make_pair()
        speaks = [bot.pair.user(), bot.make_llm(), bot.make_tts(), bot.output]
        listens = [notes.user(), bot.make_llm("gpt-4.1-mini"), notes.assistant()]
        return [
            bot.make_stt(),
            ParallelPipeline([*speaks, bot.pair.assistant()], listens),
        ]

    observer = watching()
    trace = await converse(agent, observer, shape)
    models = sorted(llm.resource for llm in trace.named("pipecat.llm"))
    assert models == ["OpenAILLMService gpt-4.1", "OpenAILLMService gpt-4.1-mini"]
    (turn,) = trace.named("pipecat.turn")
    for llm in trace.named("pipecat.llm"):
        assert llm.parent is turn
        (request,) = (span for span in llm.children if span.name == "openai.request")
        assert request["openai.request.model"] == llm["gen_ai.request.model"]
        assert llm["llm.outcome"] == "completed"
        assert llm["gen_ai.usage.output_tokens"] > 0
    assert {"processor.OpenAILLMService.0.frames", "processor.OpenAILLMService.1.frames"} <= set(
        turn.tags
    )
    said = [line for line in tree(trace, stages).splitlines() if "llm" not in line]
    assert "\n".join(line for line in said if "createChat" not in line) == (
        f"session [bot]\n  turn [user] outcome:answered{HEARD}{SPOKEN}"
    )


async def test_two_models_one_after_the_other_answer_in_one_turn(agent: TestAgent) -> None:
    def shape(bot: Shaped) -> list[FrameProcessor]:
        drafts = bot.make_pair()
        return [
            bot.make_stt(),
            drafts.user(),
            bot.make_llm("gpt-4.1-mini"),
            Redraft(bot.context),
            bot.make_llm(),
            bot.make_tts(),
            bot.output,
            bot.pair.assistant(),
        ]

    observer = watching()
    trace = await converse(agent, observer, shape)
    draft = "\n    llm [OpenAILLMService gpt-4.1-mini] outcome:completed"
    assert tree(trace, stages) == (
        f"session [bot]\n  turn [user] outcome:answered{HEARD}{draft}"
        f"\n      openai.request [createChatCompletion]{ANSWER}{SPOKEN}"
    )
    first, second = trace.named("pipecat.llm")
    assert first.end_ns <= second.end_ns
    assert trace.one("pipecat.frame", "Redraft LLMFullResponseEndFrame").error is False


class Redraft(FrameProcessor):
    """Asks a second model to say what the first has said."""

    def __init__(self, context: LLMContext) -> None:
        super().__init__()
        self._context = context
        self._draft = ""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMTextFrame):
            self._draft += frame.text
        elif isinstance(frame, LLMFullResponseEndFrame):
            with tracer.trace("redraft"):
                self._context.add_message({"role": "user", "content": self._draft})
            await self.push_frame(LLMContextFrame(self._context))
        else:
            await self.push_frame(frame, direction)


async def test_two_transcribers_in_parallel_each_have_their_span(agent: TestAgent) -> None:
    def shape(bot: Shaped) -> list[FrameProcessor]:
        branches = ParallelPipeline([bot.make_stt("whisper-1")], [bot.make_stt()])
        return [branches, *plain(bot)[1:]]

    observer = watching()
    both = SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=0.5)
    user = {"user_turn_strategies": UserTurnStrategies(stop=[both])}
    trace = await converse(agent, observer, shape, user=user)
    whisper = """
    stt [OpenAISTTService whisper-1]
      openai.request [createTranscription]"""
    heard = HEARD.replace("[createTranscription]", f"[createTranscription]{whisper}", 1)
    assert tree(trace, stages) == (
        f"session [bot]\n  turn [user] outcome:answered{heard}{ANSWER}{SPOKEN}"
    )
    for stt in trace.named("pipecat.stt"):
        assert not REPORTS_STT_USAGE or stt["metrics.audio_seconds"] > 0
        assert 0 < stt["stt.finalization_seconds"] < 1


async def test_two_voices_in_parallel_each_have_their_span(agent: TestAgent) -> None:
    def shape(bot: Shaped) -> list[FrameProcessor]:
        voices = ParallelPipeline([bot.make_tts("alloy")], [bot.make_tts("ash")])
        return [*plain(bot)[:3], voices, bot.output, bot.pair.assistant()]

    observer = watching()
    trace = await converse(agent, observer, shape)
    assert sorted(tts["tts.voice"] for tts in trace.named("pipecat.tts")) == ["alloy", "ash"]
    voice = "\n    tts [OpenAITTSService gpt-4o-mini-tts]"
    # The two may be heard as one stretch of speech or as two.
    told = tree(trace, lambda span: stages(span) and span.name != "pipecat.bot_speech")
    spoken = SPOKEN.replace("\n    bot_speech [bot]", "")
    assert told == f"session [bot]\n  turn [user] outcome:answered{HEARD}{ANSWER}{voice}{spoken}"
    assert trace.named("pipecat.bot_speech")
    for tts in trace.named("pipecat.tts"):
        assert tts["metrics.character_count"] == len("Fine, thank you.")
        assert tts["tts.audio_seconds"] > 0


async def test_a_switcher_shows_the_service_that_was_active(agent: TestAgent) -> None:
    def shape(bot: Shaped) -> list[FrameProcessor]:
        bot.llms = [bot.make_llm(), bot.make_llm("gpt-4.1-mini")]  # type: ignore[attr-defined]
        switcher: LLMSwitcher[Any] = LLMSwitcher(bot.llms)  # type: ignore[attr-defined]
        return [*plain(bot)[:2], switcher, *plain(bot)[3:]]

    observer = watching()
    async with Shaped(shape, observer) as bot:
        await bot.ask("How are you?")
        await bot.push(ManuallySwitchServiceFrame(service=bot.llms[1]))  # type: ignore[attr-defined]
        await bot.ask("And now?")
        await bot.end()

    other = ANSWER.replace("gpt-4.1", "gpt-4.1-mini")
    trace = told(agent, observer)
    assert "session.failover_count" not in trace.one("pipecat.session").tags, "it was asked to"
    assert tree(trace, stages) == (
        f"session [bot]\n  turn [user] outcome:answered{HEARD}{ANSWER}{SPOKEN}"
        f"\n  turn [user] outcome:answered{HEARD}{other}{SPOKEN}"
    )


async def test_nested_pipelines_are_as_if_they_were_not(agent: TestAgent) -> None:
    def shape(bot: Shaped) -> list[FrameProcessor]:
        stt, user, llm, tts, *rest = plain(bot)
        return [Pipeline([Pipeline([stt]), user]), Pipeline([llm, Pipeline([tts])]), *rest]

    observer = watching()
    trace = await converse(agent, observer, shape)
    assert tree(trace) == f"session [bot]\n  turn [user] outcome:answered{HEARD}{ANSWER}{SPOKEN}"
    assert not [tag for tag in trace.one("pipecat.turn").tags if "Pipeline" in tag]


class Branches(ParallelPipeline):
    """A compound of the user's own, that works on what it passes on."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        if isinstance(frame, TranscriptionFrame):
            with tracer.trace("branches.work"):
                pass
        await super().process_frame(frame, direction)


async def test_a_compound_of_the_users_own_is_told_and_so_is_what_it_holds(
    agent: TestAgent,
) -> None:
    def shape(bot: Shaped) -> list[FrameProcessor]:
        stt, *rest = plain(bot)
        return [stt, Branches([Pass(name="one")], [Pass(name="two")]), *rest]

    observer = watching()
    trace = await converse(agent, observer, shape)
    (own,) = trace.named("pipecat.frame", "Branches TranscriptionFrame")
    assert own.parent is trace.one("pipecat.turn")
    assert trace.one("branches.work").parent is own
    inner = trace.named("pipecat.frame", "Pass TranscriptionFrame")
    assert sorted(span["processor.name"] for span in inner) == ["one", "two"]
    assert tree(trace, stages) == (
        f"session [bot]\n  turn [user] outcome:answered{HEARD}{ANSWER}{SPOKEN}"
    )


class Hiding(FrameProcessor):
    """Has a processor within that it does not list."""

    def __init__(self, inner: FrameProcessor) -> None:
        super().__init__()
        self.inner = inner
        self.ran = asyncio.Event()

    async def setup(self, setup: Any) -> None:
        await super().setup(setup)
        await self.inner.setup(setup)

    async def cleanup(self) -> None:
        await super().cleanup()
        await self.inner.cleanup()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, (StartFrame, LLMTextFrame)):
            await self.inner.process_frame(frame, direction)
            await asyncio.sleep(0)
        await self.push_frame(frame, direction)


async def test_a_processor_that_is_not_listed_is_told_from_its_second_frame_on(
    agent: TestAgent,
) -> None:
    observer = watching(frame_spans="all")
    inner = Pass(enable_direct_mode=True)
    trace = await converse(agent, observer, lambda bot: plain(bot, Hiding(inner)))
    runs = trace.named("pipecat.frame", "Pass LLMTextFrame")
    assert runs
    words = len(["Fine,", "thank", "you."])
    assert words - 1 <= sum(run["frame.count"] for run in runs) <= words


class Rude(FrameProcessor):
    """Does not tell its base class of the frames that it works on."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        if not isinstance(frame, TranscriptionFrame):
            await super().process_frame(frame, direction)
        if isinstance(frame, TranscriptionFrame):
            with tracer.trace("rude.work"):
                pass
        await self.push_frame(frame, direction)


async def test_a_processor_that_omits_its_base_class_is_told_all_the_same(
    agent: TestAgent,
) -> None:
    def shape(bot: Shaped) -> list[FrameProcessor]:
        stt, *rest = plain(bot)
        return [stt, Rude(), *rest]

    observer = watching()
    trace = await converse(agent, observer, shape)
    (own,) = trace.named("pipecat.frame", "Rude TranscriptionFrame")
    assert trace.one("rude.work").parent is own
    assert tree(trace, stages) == (
        f"session [bot]\n  turn [user] outcome:answered{HEARD}{ANSWER}{SPOKEN}"
    )


class Direct(FrameProcessor):
    """Works in the task of whoever pushes to it."""

    def __init__(self) -> None:
        super().__init__(enable_direct_mode=True)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMTextFrame):
            with tracer.trace("direct.work"):
                pass
        await self.push_frame(frame, direction)


async def test_a_processor_in_the_task_of_its_pusher_is_not_taken_for_it(
    agent: TestAgent,
) -> None:
    observer = watching()
    trace = await converse(agent, observer, lambda bot: plain(bot, Direct()))
    works = trace.named("direct.work")
    assert len(works) == len(["Fine,", "thank", "you."])
    for work in works:
        assert work.parent is not None
        assert work.parent.resource == "Direct LLMTextFrame"
        assert work.parent.parent is trace.one("pipecat.turn")
    assert tree(trace, stages) == (
        f"session [bot]\n  turn [user] outcome:answered{HEARD}{ANSWER}{SPOKEN}"
    )


class Describes(VisionService):
    """Says what an image shows, or fails to."""

    async def run_vision(self, frame: UserImageRawFrame) -> AsyncGenerator[Frame, None]:
        yield VisionFullResponseStartFrame()
        await asyncio.sleep(0)
        if frame.text == "Who is it?":
            yield ErrorFrame("no such model")
            return
        yield VisionTextFrame("It is a cat.")
        yield VisionFullResponseEndFrame()


@pytest.mark.parametrize("text", ["What is it?", "Who is it?"])
async def test_a_vision_models_answer_is_a_response_of_the_bots(
    agent: TestAgent, text: str
) -> None:
    def shape(bot: Shaped) -> list[FrameProcessor]:
        return [Describes(), bot.make_tts(), bot.output]

    observer = watching()
    fails = text == "Who is it?"
    async with Shaped(shape, observer) as bot:
        await bot.push(UserImageRawFrame(b"\0" * 12, (2, 2), "RGB", user_id="u", text=text))
        if fails:
            await bot.until(ErrorFrame)
        else:
            await bot.answered()
        await bot.end()

    trace = told(agent, observer)
    if fails:
        assert tree(trace, stages) == as_told_here(
            "session [bot]\n  turn [bot] ! type:ErrorFrame outcome:failed\n"
            "    llm [Describes] ! type:ErrorFrame category:unknown usable:true outcome:failed"
        )
    else:
        assert tree(trace, stages) == (
            f"session [bot]\n  turn [bot] outcome:answered\n"
            f"    llm [Describes] outcome:completed{SPOKEN}"
        )

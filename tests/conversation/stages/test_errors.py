"""What failed, and where: on the span of the processor that did."""

import asyncio
from importlib.metadata import version
from typing import Any

import pytest
from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    LLMFullResponseEndFrame,
    LLMTextFrame,
)
from pipecat.pipeline.service_switcher import ServiceSwitcherStrategyFailover
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.llm_service import FunctionCallParams

from pipecat_dd import DatadogObserver, _guard
from pipecat_dd.cli.demo.provider import Answer, CallTool, Delays, Say
from pipecat_dd.cli.demo.versions import FunctionSchema, ToolsSchema
from pipecat_dd.conversation import conversation
from tests.support.agent import TestAgent
from tests.support.bot import QUICK, START_SECS, Bot
from tests.support.lines import written_lines
from tests.support.shapes import Shaped, watching
from tests.support.spans import Span, Trace
from tests.support.trees import as_told_here, tree
from tests.support.versions import needs_pipecat

DETECTION_NS = int(START_SECS * 1e9)
"""How long before it is sure of it the voice activity detector says that speech began."""
SDK = int(version("openai").split(".")[0])
LOST = "openai.APIConnectionError" if SDK >= 3 else "httpx.RemoteProtocolError"
"""What the ``openai`` SDK raises where a connection breaks in the middle of a stream."""
RETRIED = 3
"""How often the ``openai`` SDK asks before it gives up."""

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


def told(agent: TestAgent, observer: DatadogObserver) -> Trace:
    """Return the trace, of which all holds that holds of every trace."""
    trace = agent.session(observer.session_id)
    trace.check()
    return trace


ENTRIES = ("pipecat.session", "pipecat.turn")


def only_error(trace: Trace) -> Span:
    """Return the only stage of ours that failed; counts and entry spans must say so too."""
    failures = [span for span in trace.spans if span.error and span.name.startswith("pipecat.")]
    (failed,) = (span for span in failures if span.name not in ENTRIES)
    assert trace.one("pipecat.session")["session.error_count"] == 1
    for span in trace.named("pipecat.turn"):
        assert span.error == (span["turn.outcome"] == "failed"), "a failed turn is an error"
    for span in failures:
        assert span["error.type"] == failed["error.type"]
        assert span["error.message"] == failed["error.message"]
    return failed


def no_byte(span: Span) -> bool:
    """Whether a span has no time to first byte, by any name."""
    return not {"metrics.ttfb", "metrics.ttfa", "metrics.ttfat"} & set(span.tags)


async def test_a_transcription_that_fails_is_over_and_the_next_is_its_own(
    agent: TestAgent,
) -> None:
    observer = watching()
    async with Bot(observer) as bot:
        bot.provider.fail("transcriptions", status=500, times=RETRIED)
        await bot.user_says("How are you?")
        await bot.until(ErrorFrame)
        await bot.ask("Can you hear me?")
        await bot.end()

    trace = told(agent, observer)
    assert tree(trace) == as_told_here(f"""session [bot]
  turn [user] outcome:answered
    user_speech [vad]
    stt [OpenAISTTService gpt-transcribe] ! type:ErrorFrame category:unknown usable:true
      openai.request [createTranscription] !{HEARD}{ANSWER}{SPOKEN}""")
    failed = only_error(trace)
    assert "500" in failed["error.message"]
    assert no_byte(failed)
    assert failed.get("stt.finalization_seconds") is None
    (again,) = (stt for stt in trace.named("pipecat.stt") if stt is not failed)
    assert failed.end_ns <= again.start_ns + DETECTION_NS, "it ends when it fails"
    assert 0 < again["stt.finalization_seconds"] < 1
    assert trace.one("pipecat.turn")["turn.error_count"] == 1


async def test_a_model_that_refuses_the_key_is_no_longer_usable(agent: TestAgent) -> None:
    observer = watching()
    async with Bot(observer) as bot:
        bot.provider.fail("chat", status=401)
        await bot.user_says("How are you?")
        await bot.until(ErrorFrame)
        await bot.end()

    trace = told(agent, observer)
    assert tree(trace) == as_told_here(f"""session [bot]
  turn [user] ! type:openai.AuthenticationError outcome:failed{HEARD}
    llm [OpenAILLMService gpt-4.1] ! type:openai.AuthenticationError category:authentication \
usable:false outcome:failed
      openai.request [createChatCompletion] !""")
    failed = only_error(trace)
    assert "401" in failed["error.message"]
    assert "AuthenticationError" in failed["error.stack"]
    assert no_byte(failed)


async def test_an_answer_cut_in_the_middle_failed_and_what_came_of_it_is_spoken(
    agent: TestAgent,
) -> None:
    observer = watching()
    async with Bot(observer) as bot:
        bot.provider.fail("chat", cut_after=3)
        await bot.ask("How are you?")
        await bot.end()

    trace = told(agent, observer)
    assert tree(trace) == as_told_here(f"""session [bot]
  turn [user] outcome:answered{HEARD}
    llm [OpenAILLMService gpt-4.1] ! type:{LOST} category:unknown \
usable:true outcome:failed
      openai.request [createChatCompletion] !{SPOKEN}""")
    failed = only_error(trace)
    assert 0 < failed["metrics.ttfb"] < failed.secs
    assert trace.one("pipecat.turn")["turn.error_count"] == 1


async def test_an_answer_cut_before_its_first_byte_has_no_time_to_it(agent: TestAgent) -> None:
    observer = watching()
    async with Bot(observer) as bot:
        bot.provider.fail("chat", cut_after=0)
        await bot.user_says("How are you?")
        await bot.until(ErrorFrame)
        await bot.end()

    trace = told(agent, observer)
    failed = only_error(trace)
    assert failed.name == "pipecat.llm"
    assert no_byte(failed)


@pytest.mark.parametrize("failure", [{"status": 500, "times": RETRIED}, {"cut_after": 0}])
async def test_a_synthesis_that_fails_is_over_and_leaves_the_turn_unheard(
    agent: TestAgent, failure: dict[str, Any]
) -> None:
    observer = watching()
    async with Bot(observer) as bot:
        bot.provider.fail("speech", **failure)
        await bot.user_says("How are you?")
        await bot.until(ErrorFrame)
        await bot.ask("Why are you silent?")
        await bot.end()

    trace = told(agent, observer)
    httpx = "httpx2" if SDK >= 3 else "httpx"
    kind = f"{httpx}.RemoteProtocolError"
    if "status" in failure:
        kind = "openai.InternalServerError"
    assert tree(trace) == as_told_here(f"""session [bot]
  turn [user] ! type:{kind} outcome:failed{HEARD}{ANSWER}
    tts [OpenAITTSService gpt-4o-mini-tts] ! type:{kind} category:unknown usable:true
  turn [user] outcome:answered{HEARD}{ANSWER}{SPOKEN}""")
    failed = only_error(trace)
    assert no_byte(failed)
    first, second = trace.named("pipecat.turn")
    assert failed.end_ns < second.start_ns + DETECTION_NS, (
        "it ends when it fails, not when the user speaks"
    )
    assert first["turn.was_interrupted"] == "false"


@pytest.mark.parametrize("level", ["INFO", "DEBUG"])
async def test_the_level_of_the_lines_does_not_decide_which_span_a_failure_is_on(
    agent: TestAgent, level: str
) -> None:
    observer = watching()
    with written_lines(level=level):  # Pipecat writes a DEBUG line in the work on the frame
        async with Bot(observer) as bot:
            bot.provider.fail("speech", status=500, times=RETRIED)
            await bot.user_says("How are you?")
            await bot.until(ErrorFrame)
            await bot.ask("Why are you silent?")
            await bot.end()

    assert only_error(told(agent, observer)).name == "pipecat.tts"


@needs_pipecat("1.8", "an error has no category and leaves a service usable")
async def test_a_voice_that_is_no_longer_usable_has_no_more_syntheses(agent: TestAgent) -> None:
    from pipecat.utils.errors import ErrorCategory

    observer = watching()
    async with Bot(observer) as bot:
        await bot.ask("How are you?")
        await bot.tts.push_error(
            "no credit left", category=ErrorCategory.QUOTA, force_treat_as_permanent=True
        )
        await bot.user_says("Why are you silent?")
        await bot.until(LLMFullResponseEndFrame, 2)
        await bot.end()

    trace = told(agent, observer)
    assert tree(trace) == as_told_here(f"""session [bot]
  turn [user] outcome:answered{HEARD}{ANSWER}{SPOKEN}
    frame [OpenAITTSService ErrorFrame] ! type:ErrorFrame category:quota usable:false
  turn [user] outcome:unanswered{HEARD}{ANSWER}""")
    assert only_error(trace)["error.message"] == "no credit left"


class Picky(FrameProcessor):
    """Fails on a word, and passes everything on otherwise."""

    def __init__(self, word: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.word = word

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMTextFrame) and self.word in frame.text:
            raise ValueError(f"not {self.word!r}, please")
        await self.push_frame(frame, direction)


@pytest.mark.parametrize("direct", [False, True])
async def test_what_a_processor_raises_is_on_the_span_of_its_work_and_on_no_other(
    agent: TestAgent, direct: bool
) -> None:
    observer = watching()
    async with Bot(observer, extra=[Picky("thank", enable_direct_mode=direct)]) as bot:
        await bot.ask("How are you?")
        await bot.end()

    trace = told(agent, observer)
    failed = only_error(trace)
    assert (failed.name, failed.resource) == ("pipecat.frame", "Picky LLMTextFrame")
    assert failed["error.type"] == "ValueError"
    assert failed["error.message"] == "not 'thank', please"
    assert "in process_frame" in failed["error.stack"]
    assert failed.parent is trace.one("pipecat.turn")
    assert trace.one("pipecat.turn")["turn.outcome"] == "answered"


class DelegatingError(Exception):
    """As of an SDK that passes on what it does not know, here to what it has not."""

    def __getattr__(self, name: str) -> Any:
        return self.__dict__["details"][name]


class Odd(Picky):
    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        try:
            await super().process_frame(frame, direction)
        except ValueError:
            raise DelegatingError("no answer") from None


async def test_what_python_cannot_format_is_an_error_like_any_other(agent: TestAgent) -> None:
    observer = watching()
    async with Bot(observer, extra=[Odd("thank")]) as bot:
        await bot.ask("How are you?")
        await bot.end()

    failed = only_error(told(agent, observer))
    assert (failed.name, failed.resource) == ("pipecat.frame", "Odd LLMTextFrame")
    assert failed["error.type"].endswith(".DelegatingError")
    assert failed["error.message"] == "no answer"
    assert "in process_frame" in failed["error.stack"]


async def test_work_is_over_where_what_it_raised_cannot_be_described(
    agent: TestAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Indescribable:
        @staticmethod
        def of(error: BaseException) -> Any:
            raise RuntimeError("of ours")

    monkeypatch.setattr(conversation, "Failure", Indescribable)
    monkeypatch.setattr(_guard, "conversation", _guard.Part("a test's"))
    observer = watching()
    async with Bot(observer, extra=[Picky("thank")]) as bot:
        await bot.ask("How are you?")
        await bot.end()

    trace = told(agent, observer)
    frames = trace.named("pipecat.frame", "Picky LLMTextFrame")
    (raised,) = (span for span in frames if span.get("frame.id"))
    assert raised.end_ns < trace.one("pipecat.turn").end_ns
    assert _guard.conversation.failures == 1


@needs_pipecat("1.8", "a tool that raised is never answered, and the model waits for it")
async def test_a_tool_that_raises_failed_and_the_model_is_told(agent: TestAgent) -> None:
    def script(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> Answer:
        if messages[-1]["role"] == "tool":
            return Say("I could not look it up.")
        return CallTool("get_weather", {"city": "Paris"})

    async def get_weather(params: FunctionCallParams) -> None:
        raise LookupError("no such city")

    schema = FunctionSchema("get_weather", "The weather.", {"city": {"type": "string"}}, ["city"])
    observer = watching()
    async with Bot(
        observer,
        script=script,
        tools=ToolsSchema(standard_tools=[schema]),
        register=lambda llm: llm.register_function("get_weather", get_weather),
    ) as bot:
        await bot.ask("How is the weather?")
        await bot.end()

    trace = told(agent, observer)
    assert tree(trace) == as_told_here(f"""session [bot]
  turn [user] outcome:answered{HEARD}
    llm [OpenAILLMService gpt-4.1] outcome:completed
      openai.request [createChatCompletion]
      tool [get_weather] ! type:LookupError category:application usable:true outcome:failed\
{ANSWER}{SPOKEN}""")
    failed = only_error(trace)
    assert "no such city" in failed["error.message"]
    assert "in get_weather" in failed["error.stack"]


@pytest.mark.parametrize("is_async", [True, False])
async def test_what_a_handler_of_an_event_raises_is_on_a_span_of_its_processor(
    agent: TestAgent, is_async: bool
) -> None:
    raised = asyncio.Event()

    def fails(*_: Any) -> None:
        raised.set()
        raise KeyError("no notes")

    async def fails_later(*_: Any) -> None:
        fails()

    observer = watching()
    async with Bot(observer) as bot:
        bot.stt.add_event_handler("on_connected", fails_later if is_async else fails)
        await bot.ask("How are you?")
        await bot.stt._call_event_handler("on_connected")
        await raised.wait()
        await bot.end()

    trace = told(agent, observer)
    failed = only_error(trace)
    assert (failed.name, failed.resource) == ("pipecat.service.event", "on_connected")
    assert failed["processor.name"].startswith("OpenAISTTService#")
    assert failed["error.type"] == "KeyError"
    assert "in fails" in failed["error.stack"]


async def test_failover_shows_the_service_that_failed_and_the_one_that_answered(
    agent: TestAgent,
) -> None:
    from pipecat.pipeline.llm_switcher import LLMSwitcher

    def shape(bot: Shaped) -> list[FrameProcessor]:
        llms = [bot.make_llm("gpt-4.1"), bot.make_llm("gpt-4.1-mini")]
        switcher = LLMSwitcher(llms, ServiceSwitcherStrategyFailover)
        return [
            bot.make_stt(),
            bot.pair.user(),
            switcher,
            bot.make_tts(),
            bot.output,
            bot.pair.assistant(),
        ]

    observer = watching()
    async with Shaped(shape, observer) as bot:
        bot.provider.fail("chat", status=401)
        await bot.user_says("How are you?")
        await bot.provider.requested("chat")
        await bot.watch.until(lambda: bot.watch.count(ErrorFrame) > 0)
        await bot.ask("And now?")
        await bot.end()

    trace = told(agent, observer)
    assert tree(trace) == as_told_here(f"""session [bot]
  turn [user] ! type:openai.AuthenticationError outcome:failed{HEARD}
    llm [OpenAILLMService gpt-4.1] ! type:openai.AuthenticationError category:authentication \
usable:false outcome:failed
      openai.request [createChatCompletion] !
    service.event [on_service_switched]
  turn [user] outcome:answered{HEARD}
    llm [OpenAILLMService gpt-4.1-mini] outcome:completed
      openai.request [createChatCompletion]{SPOKEN}""")
    only_error(trace)
    switched = trace.one("pipecat.service.event", "on_service_switched")
    assert switched["event.detail"] == "OpenAILLMService"
    assert trace.one("pipecat.session")["session.failover_count"] == 1
    first, second = trace.named("pipecat.turn")
    assert first["failovers.openai"] == 1
    assert "failovers.openai" not in second.tags


@needs_pipecat("1.8", "a switcher does not pass on the failure")
async def test_a_switcher_with_nothing_left_reports_the_failure_it_passes_on_once(
    agent: TestAgent,
) -> None:
    from pipecat.pipeline.llm_switcher import LLMSwitcher

    def shape(bot: Shaped) -> list[FrameProcessor]:
        switcher = LLMSwitcher([bot.make_llm()], ServiceSwitcherStrategyFailover)
        return [bot.make_stt(), bot.pair.user(), switcher, bot.make_tts(), bot.output]

    observer = watching()
    async with Shaped(shape, observer) as bot:
        bot.provider.fail("chat", status=401)
        await bot.user_says("How are you?")
        await bot.until(ErrorFrame, 2)
        await bot.end()

    failed = only_error(told(agent, observer))
    assert failed.name == "pipecat.llm"


async def test_an_answer_interrupted_before_its_first_byte_is_not_failed_and_has_no_time_to_it(
    agent: TestAgent,
) -> None:
    observer = watching()
    slow = Delays(QUICK.transcription_secs, 30, QUICK.token_secs, QUICK.first_audio_secs)
    async with Bot(observer, delays=slow) as bot:
        await bot.user_says("How are you?")
        await bot.provider.requested("chat")
        await bot.user_says("Hello?")
        await bot.provider.requested("chat", 2)
        await bot.worker.cancel()

    trace = told(agent, observer)
    assert not [span for span in trace.spans if span.error and span.name.startswith("pipecat.")]
    assert "session.error_count" in trace.one("pipecat.session").tags
    assert trace.one("pipecat.session")["session.error_count"] == 0
    first, _ = trace.named("pipecat.llm")
    assert first["interrupted"] == "true"
    assert first["llm.outcome"] == "discarded"
    assert no_byte(first)

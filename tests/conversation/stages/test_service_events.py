"""Events of services, strategies and workers: what each says, where it stands, whose lines are."""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import pytest
from loguru import logger
from pipecat.frames.frames import (
    BotStoppedSpeakingFrame,
    Frame,
    HeartbeatFrame,
    TranscriptionFrame,
    TTSSpeakFrame,
    UserMuteStoppedFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.cartesia.stt import CartesiaSTTService
from pipecat.turns.user_mute import MuteUntilFirstBotCompleteUserMuteStrategy
from pipecat.turns.user_start import WakePhraseUserTurnStartStrategy
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies
from pipecat.utils.time import time_now_iso8601
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from pipecat_dd import DatadogObserver
from tests.support.agent import TestAgent
from tests.support.bot import Bot
from tests.support.cartesia_ears import CartesiaEars
from tests.support.lines import written_lines
from tests.support.server import LOOPBACK
from tests.support.shapes import Shaped, watching
from tests.support.spans import Trace
from tests.support.versions import needs_pipecat

pytestmark = needs_pipecat("1.8", "not all of these events are there")

EVENT = "pipecat.service.event"


class Ears(CartesiaEars):
    """Hears nothing, hangs up when it is told to, and takes its time to accept a connection."""

    def __init__(self) -> None:
        super().__init__("")
        self.accepts_after_secs = 0.0
        self.refuses = False
        self.count = 0
        self.connected = asyncio.Event()
        self._client: ServerConnection | None = None

    async def __aenter__(self) -> "Ears":
        async def receive(client: ServerConnection, request: Request) -> Response | None:
            await asyncio.sleep(self.accepts_after_secs)
            if self.refuses:
                return client.respond(HTTPStatus.SERVICE_UNAVAILABLE, "overloaded\n")
            return None

        self._server = await serve(self.serve, LOOPBACK, 0, process_request=receive)
        return self

    async def serve(self, client: ServerConnection) -> None:
        self._client = client
        self.count += 1
        self.connected.set()
        await super().serve(client)

    async def hangs_up(self) -> None:
        """Hang up, and wait for the next connection."""
        assert self._client is not None
        self.connected.clear()
        await self._client.close(1011, "overloaded")
        async with asyncio.timeout(10):
            await self.connected.wait()


class Hears(Shaped):
    """A bot whose STT service has a websocket connection."""

    def __init__(self, ears: Ears, *observers: DatadogObserver, **options: Any) -> None:
        self.ears = ears
        self.hearing = CartesiaSTTService(
            api_key="any",
            base_url=ears.url,
            reconnect_backoff_min_wait=0.02,
            reconnect_backoff_max_wait=0.02,
        )
        super().__init__(self._processors, *observers, **options)

    def _processors(self, _: Shaped) -> list[FrameProcessor]:
        return [self.hearing, self.pair.user(), self.make_llm(), self.make_tts(), self.output]


class Speaks(Shaped):
    """A bot that hears nothing by itself: what is transcribed is pushed into it."""

    def __init__(self, *observers: DatadogObserver, **options: Any) -> None:
        self.before: list[FrameProcessor] = options.pop("first", [])
        super().__init__(self._processors, *observers, **options)

    def _processors(self, _: Shaped) -> list[FrameProcessor]:
        tail = [self.make_llm(), self.make_tts(), self.output, self.pair.assistant()]
        return [*self.before, self.pair.user(), *tail]


def said(text: str) -> TranscriptionFrame:
    return TranscriptionFrame(text, "u", time_now_iso8601())


async def ended(bot: Bot) -> None:
    """Wait until a bot has ended by itself."""
    assert bot.running is not None
    async with asyncio.timeout(10):
        await asyncio.wait([bot.running])


def events(trace: Trace) -> list[str]:
    """Return the names of the events in a trace, in order."""
    return [span.resource for span in trace.named(EVENT)]


def told(agent: TestAgent, observer: DatadogObserver) -> Trace:
    trace = agent.session(observer.session_id)
    trace.check()
    return trace


def logs(text: str, then: Callable[[], Any] | None = None) -> Callable[..., Any]:
    """Return a handler that writes a line."""

    async def handler(*_: Any) -> None:
        await asyncio.sleep(0.02)
        logger.info(text)

    return handler


# Connections


async def test_a_connection_that_is_lost_and_made_again_is_told_with_its_time(
    agent: TestAgent,
) -> None:
    observer = watching()
    async with Ears() as ears, Hears(ears, observer) as bot:
        await asyncio.wait_for(ears.connected.wait(), 10)
        ears.accepts_after_secs = 0.3
        await ears.hangs_up()
        await asyncio.sleep(0.1)
        await bot.end()

    trace = told(agent, observer)
    assert events(trace) == ["on_disconnected", "on_connected"], (
        "neither the first connection nor the last farewell is worth a span"
    )
    lost, made = trace.named(EVENT)
    session = trace.one("pipecat.session")
    assert lost.parent is made.parent is session
    assert lost.error
    assert lost["error.type"] == "websockets.exceptions.ConnectionClosedError"
    assert "1011" in lost["error.message"]
    assert not made.error
    assert 0.3 <= made["connection.lost_seconds"] < 5
    assert 0.3 <= made["connection.wait_seconds"] <= made["connection.lost_seconds"]
    for span in (lost, made):
        assert span["gen_ai.provider.name"] == "cartesia"
        assert span["processor.name"].startswith("CartesiaSTTService#")
    assert session["session.reconnect_count"] == 1
    assert session["session.reconnect_seconds"] == made["connection.lost_seconds"]
    assert session["session.end_reason"] == "ended"
    assert not session.error


async def test_a_handler_of_a_connection_s_event_writes_in_the_event_s_name(
    agent: TestAgent,
) -> None:
    observer = watching()
    with written_lines() as lines:
        async with Ears() as ears:
            bot = Hears(ears, observer)
            bot.hearing.add_event_handler("on_connected", logs("here we are"))
            bot.hearing.add_event_handler("on_disconnected", logs("there we go"))
            async with bot:
                await asyncio.wait_for(ears.connected.wait(), 10)
                await ears.hangs_up()
                await asyncio.sleep(0.1)
                await bot.end()

    trace = told(agent, observer)
    spans = {str(span.id): span for span in trace.named(EVENT)}
    for text, name in (("here we are", "on_connected"), ("there we go", "on_disconnected")):
        for line in lines.saying(text):
            assert line["session_id"] == observer.session_id
            span = spans.get(line["dd.span_id"])
            if span is not None:
                assert span.resource == name
                assert span["event.handler_count"] == 1
                assert span.secs >= 0.02, "until its handler has returned"
    by_event = [line for line in lines.all if line.get("dd.span_id") in spans]
    assert len(by_event) >= 3, "the loss, the new connection, and the farewell"
    farewell = [span for span in spans.values() if span.resource == "on_disconnected"][-1]
    assert not farewell.error


@needs_pipecat("1.14", "a service that is refused at first does not try again")
async def test_a_connection_that_is_refused_is_an_error_and_says_what_was_waited(
    agent: TestAgent,
) -> None:
    observer = watching()
    async with Ears() as ears:
        ears.refuses = True
        ears.accepts_after_secs = 0.05
        async with Hears(ears, observer) as bot:
            await bot.watch.until(lambda: not bot.hearing.is_usable)
            await bot.end()

    trace = told(agent, observer)
    refused = trace.named(EVENT, "on_connection_error")
    assert refused
    assert all(span.error for span in refused)
    assert {span["error.type"] for span in refused} == {"ConnectionError"}
    assert refused[0]["connection.wait_seconds"] >= 0.05
    assert "on_usable_changed" not in events(trace), "the error says so"
    session = trace.one("pipecat.session")
    assert session.get("session.reconnect_count") is None
    assert session["session.reconnect_seconds"] > 0


# Strategies and aggregators


async def test_an_idle_user_is_counted_and_what_the_handler_says_is_its_own(
    agent: TestAgent,
) -> None:
    observer = watching()
    with written_lines() as lines:
        bot = Speaks(observer, user={"user_idle_timeout": 0.2})
        async with bot:

            @bot.pair.user().event_handler("on_user_turn_idle")
            async def on_user_turn_idle(aggregator: Any) -> None:
                logger.info("are you there?")
                await bot.worker.cancel()

            await bot.push(TTSSpeakFrame("Hello."))
            await bot.until(BotStoppedSpeakingFrame)
            await ended(bot)

    trace = told(agent, observer)
    idle = trace.one(EVENT, "on_user_turn_idle")
    assert trace.one("pipecat.session")["session.idle_count"] == 1
    assert idle["processor.name"].startswith("LLMUserAggregator#")
    line = lines.one("are you there?")
    assert line["dd.span_id"] == str(idle.id)
    assert line["session_id"] == observer.session_id


async def test_a_mute_is_told_where_it_begins_and_where_it_ends(agent: TestAgent) -> None:
    observer = watching()
    muting = {"user_mute_strategies": [MuteUntilFirstBotCompleteUserMuteStrategy()]}
    async with Speaks(observer, user=muting) as bot:
        await bot.push(said("mm"))
        await bot.push(TTSSpeakFrame("Hello."))
        await bot.until(BotStoppedSpeakingFrame)
        await bot.push(said("mm"))
        await bot.until(UserMuteStoppedFrame)
        await bot.end()

    trace = told(agent, observer)
    assert events(trace) == ["on_user_mute_started", "on_user_mute_stopped"]
    assert all(span["event.count"] == 1 for span in trace.named(EVENT))


@pytest.mark.parametrize("fails", [False, True])
async def test_a_strategy_s_event_is_told_though_it_is_no_processor(
    agent: TestAgent, fails: bool
) -> None:
    observer = watching()
    waking = WakePhraseUserTurnStartStrategy(phrases=["hey you"])

    @waking.event_handler("on_wake_phrase_detected")
    async def on_wake_phrase_detected(strategy: Any, phrase: str) -> None:
        logger.info("I am awake")
        if fails:
            raise ValueError("I would rather sleep")

    strategies = UserTurnStrategies(
        start=[waking], stop=[SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=0.05)]
    )
    with written_lines() as lines:
        async with Speaks(observer, user={"user_turn_strategies": strategies}) as bot:
            await bot.push(said("Hey you, how are you?"))
            await bot.answered()
            await bot.end()

    trace = told(agent, observer)
    woken = trace.one(EVENT, "on_wake_phrase_detected")
    assert "hey you" not in str(woken.tags), "what the user said is theirs"
    assert lines.one("I am awake")["dd.span_id"] == str(woken.id)
    assert woken["processor.name"].startswith("LLMUserAggregator#")
    assert woken.error is fails
    errors = trace.one("pipecat.session")["session.error_count"]
    assert errors == (1 if fails else 0)


async def test_a_verdict_that_it_is_a_voicemail_is_told(agent: TestAgent) -> None:
    base = pytest.importorskip("pipecat.classifiers.base_classifier", reason="came with 1.12")
    voicemail = pytest.importorskip("pipecat.extensions.voicemail.voicemail_detector")

    class Classifier(base.BaseClassifier):  # type: ignore[misc,name-defined]
        async def _ask(self, state: Any, questions: Any, images: Any = ()) -> Any:
            answer = base.ChoiceResult(
                choice="voicemail", probabilities={"voicemail": 1.0}, confidence=1.0
            )
            return dict.fromkeys(questions, answer), None

    detector = voicemail.VoicemailDetector(
        classifier=Classifier(), voicemail_response_delay=0.1, decision_timeout=0.1
    )
    observer = watching()
    heard = asyncio.Event()

    @detector.event_handler("on_voicemail_detected")
    async def on_voicemail_detected(processor: Any) -> None:
        heard.set()

    async with Speaks(observer, first=[detector.detector()]) as bot:
        await bot.push(said("Please leave a message."))
        await asyncio.wait_for(heard.wait(), 10)
        await bot.end()

    assert "on_voicemail_detected" in events(told(agent, observer))


# Workers


async def test_a_worker_s_idle_timeout_is_told_with_its_handler_s_lines(agent: TestAgent) -> None:
    observer = watching()
    with written_lines() as lines:
        bot = Speaks(observer, worker={"idle_timeout_secs": 0.3})
        async with bot:

            @bot.worker.event_handler("on_idle_timeout")
            async def on_idle_timeout(worker: Any) -> None:
                logger.info("nobody is there")

            await ended(bot)

    trace = told(agent, observer)
    event = trace.one(EVENT, "on_idle_timeout")
    assert event["worker.name"].startswith("PipelineWorker#")
    assert lines.one("nobody is there")["dd.span_id"] == str(event.id)
    assert trace.one("pipecat.session")["session.end_reason"] == "idle_timeout"


# Any others


class Chatty(FrameProcessor):
    """A processor of a user's, with an event of its own."""

    def __init__(self) -> None:
        super().__init__()
        self._register_event_handler("on_order_placed")

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)

    async def place(self, times: int) -> None:
        for number in range(times):
            await self._call_event_handler("on_order_placed", f"secret {number}")


async def test_an_event_that_comes_all_the_time_floods_nothing(agent: TestAgent) -> None:
    observer = watching()
    chatty = Chatty()
    async with Speaks(observer, first=[chatty]) as bot:
        await bot.push(said("…"))
        await bot.until(TranscriptionFrame)
        await chatty.place(500)
        await bot.end()

    trace = told(agent, observer)
    orders = trace.named(EVENT, "on_order_placed")
    assert len(orders) <= 12
    assert sum(span["event.count"] for span in orders) == 500
    assert "secret" not in str([span.tags for span in orders])


async def test_nothing_is_left_behind_of_what_is_patched(agent: TestAgent) -> None:
    observer = watching()
    chatty = Chatty()

    class Plain(FrameProcessor):
        """Has no event of its own."""

        async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
            await super().process_frame(frame, direction)
            await self.push_frame(frame, direction)

    quiet = Plain()
    waking = WakePhraseUserTurnStartStrategy(phrases=["hey you"])
    strategies = UserTurnStrategies(
        start=[waking], stop=[SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=0.05)]
    )
    user = {"user_turn_strategies": strategies}
    async with Speaks(observer, first=[quiet, chatty], user=user) as bot:
        await bot.push(said("Hey you"))
        await bot.until(TranscriptionFrame)
        patched = (quiet, chatty, waking, bot.pair.user(), bot.worker)
        assert all("_call_event_handler" in vars(one) for one in patched)
        await bot.end()
    for one in patched:
        assert "_call_event_handler" not in vars(one)
        assert "_run_handler" not in vars(one)


class Stuck(FrameProcessor):
    """Keeps what it gets; its set-up may not end either."""

    def __init__(self, *, in_setup: bool) -> None:
        super().__init__()
        self._in_setup = in_setup

    async def setup(self, setup: Any) -> None:
        await super().setup(setup)
        if self._in_setup:
            await asyncio.Event().wait()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if not isinstance(frame, HeartbeatFrame):
            await self.push_frame(frame, direction)


@needs_pipecat("1.14", "a set-up that hangs is waited for")
async def test_a_set_up_that_hangs_is_told_as_what_brought_the_session_down(
    agent: TestAgent,
) -> None:
    observer = watching()
    stuck = Stuck(in_setup=True)
    async with Speaks(observer, first=[stuck], worker={"setup_timeout_secs": 0.3}) as bot:
        await ended(bot)

    trace = told(agent, observer)
    event = trace.one(EVENT, "on_setup_timeout")
    assert event.error
    assert event["error.type"] == "SetupTimeout"
    assert trace.one("pipecat.session")["session.end_reason"] == "failed"


@needs_pipecat("1.14", "the time is not to be set")
async def test_a_pipeline_that_lets_no_heartbeat_through_is_told(agent: TestAgent) -> None:
    observer = watching()
    beats = {
        "enable_heartbeats": True,
        "heartbeats_period_secs": 0.1,
        "heartbeats_monitor_secs": 0.2,
    }
    async with Speaks(observer, first=[Stuck(in_setup=False)], params=beats) as bot:
        late = asyncio.Event()

        async def on_heartbeat_timeout(_: Any) -> None:
            late.set()

        bot.worker.add_event_handler("on_heartbeat_timeout", on_heartbeat_timeout)
        await asyncio.wait_for(late.wait(), 10)
        await bot.end()

    event = told(agent, observer).named(EVENT, "on_heartbeat_timeout")[0]
    assert not event.error
    assert event["event.handler_count"] == 1

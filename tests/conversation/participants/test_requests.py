"""What the bot asks for: keys, a transfer, an STT service that does not listen. Never where to."""

from typing import Any

import pytest
from pipecat.frames.frames import OutputDTMFUrgentFrame, STTMuteFrame

from tests.conversation.participants.running import bot_on
from tests.support.agent import TestAgent
from tests.support.shapes import Shaped, watching
from tests.support.spans import Trace
from tests.support.versions import needs_pipecat

EVENT = "pipecat.participant.event"


def told(agent: TestAgent, observer: Any) -> Trace:
    trace = agent.session(observer.session_id)
    trace.check()
    return trace


def key(name: str) -> Any:
    from pipecat.audio.dtmf.types import KeypadEntry

    return KeypadEntry(name)


@pytest.fixture
def daily() -> Any:
    return pytest.importorskip("tests.conversation.participants.daily")


@needs_pipecat("1.14", "a frame has one key")
@pytest.mark.parametrize("capture", [False, True])
async def test_of_keys_that_the_bot_sends_no_number_is_told(
    agent: TestAgent, daily: Any, capture: bool
) -> None:
    from pipecat.frames.frames import OutputDTMFFrame

    observer = watching(capture_content=capture)
    room = daily.DailyRoom(daily.MARIA)
    sent: list[dict[str, Any]] = []

    async def send(settings: dict[str, Any]) -> None:
        sent.append(dict(settings))

    room.client.send_dtmf = send
    async with bot_on(room.transport, observer) as worker:
        await room.joined()
        await worker.queue_frame(OutputDTMFUrgentFrame(button=key("1")))
        await worker.queue_frame(OutputDTMFUrgentFrame(button=key("2")))
        await worker.queue_frame(OutputDTMFUrgentFrame(button=key("#")))
        await worker.queue_frame(OutputDTMFFrame.from_string("4711#"))
        await room.happens()
    assert [each["tones"] for each in sent] == ["1", "2", "#", "4711#"]
    trace = told(agent, observer)
    keys = trace.named(EVENT, "output_dtmf")
    tones = [span["dtmf.tone"] for span in keys]
    if capture:
        assert tones == ["1", "2", "#", "4711#"]
    else:
        assert tones == ["1", "[left out]", "#", "[left out]"]
        assert "4711" not in str([span.raw for span in trace.spans])
    assert [span["event.count"] for span in keys] == [1, 1, 1, 5]
    assert {span.get("participant_id") for span in keys} == {daily.MARIA["id"]}


@needs_pipecat("1.14", "older ones have no such frames")
@pytest.mark.parametrize("error", [None, "no route to sip:carl.maria@example.com or +15550100123"])
async def test_a_transfer_is_told_and_never_where_to(
    agent: TestAgent, daily: Any, error: str | None
) -> None:
    from pipecat.transports.daily.transport import DailySIPReferFrame, DailySIPTransferFrame

    observer = watching()
    room = daily.DailyRoom(daily.MARIA)
    asked: list[dict[str, Any]] = []

    async def ask(settings: dict[str, Any]) -> str | None:
        asked.append(settings)
        return error

    room.client.sip_call_transfer = room.client.sip_refer = ask
    to = {"sessionId": daily.MARIA["id"], "toEndPoint": "sip:+15550100123@example.com"}
    async with bot_on(room.transport, observer) as worker:
        await room.joined()
        before = dict(vars(room.transport))
        assert await room.transport.sip_call_transfer(to) == error
        assert await room.transport.sip_refer(settings=to) == error
        if error is None:  # with a frame, the transport reports an error
            await worker.queue_frame(DailySIPTransferFrame(settings=to))
            await worker.queue_frame(DailySIPReferFrame(settings=to))
    assert all(settings is to for settings in asked)
    assert "sip_refer" in before
    assert "sip_refer" not in vars(room.transport), "nothing is left behind"

    trace = told(agent, observer)
    names = ["sip_transfer", "sip_refer"]
    spans = [span for span in trace.named(EVENT) if span.resource in names]
    assert [span.resource for span in spans] == (names if error else names * 2)
    assert {span["participant_id"] for span in spans} == {daily.MARIA["id"]}
    text = str([span.raw for span in trace.spans])
    assert "0100123" not in text
    assert "carl.maria" not in text
    assert all(span.error is bool(error) for span in spans)
    session = trace.one("pipecat.session")
    assert session["session.error_count"] == (2 if error else 0)
    if error:
        assert {s["error.message"] for s in spans} == {"no route to [address] or [number]"}


async def test_an_stt_service_that_is_made_deaf_is_told_and_that_it_hears_again(
    agent: TestAgent,
) -> None:
    observer = watching()

    def shape(bot: Shaped) -> list[Any]:
        return [bot.make_stt(), bot.pair.user(), bot.make_llm(), bot.make_tts(), bot.output]

    async with Shaped(shape, observer) as bot:
        await bot.push(STTMuteFrame(mute=True))
        await bot.push(STTMuteFrame(mute=False))
        await bot.end()
    muted = [
        span
        for span in told(agent, observer).named("pipecat.service.event")
        if span.resource.startswith("stt_")
    ]
    assert [span.resource for span in muted] == ["stt_muted", "stt_unmuted"]
    assert all(span["processor.name"].startswith("OpenAISTTService#") for span in muted)
    assert {span["gen_ai.provider.name"] for span in muted} == {"openai"}

"""Participants of a Daily room: the transport is real, its native client is not."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from ddtrace.trace import tracer
from loguru import logger
from pipecat.frames.frames import (
    InterimTranscriptionFrame,
    TextFrame,
    TranscriptionFrame,
    UserAudioRawFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.services.stt_service import STTService

from pipecat_dd import DatadogObserver, current_session
from tests.conversation.participants.daily import BOB, CARL, MARIA, DailyRoom, somebody
from tests.conversation.participants.running import Heard, Listener, bot_on
from tests.support.agent import TestAgent
from tests.support.lines import Lines
from tests.support.spans import Span, Trace

PHONE_KEY = "a key for telephone numbers"


def participants(trace: Trace) -> list[Span]:
    return trace.named("pipecat.participant")


def events(span: Span) -> list[str]:
    return [child.resource for child in span.children if child.name == "pipecat.participant.event"]


async def test_a_participant_is_one_span_from_joining_to_leaving(
    agent: TestAgent, lines: Lines
) -> None:
    observer = DatadogObserver()
    room, heard = DailyRoom(), Heard()
    heard.handle(room.transport, "on_participant_joined", "on_participant_left")
    async with bot_on(room.transport, observer):
        await room.joined()
        await room.happens(("on_participant_joined", BOB))
        await heard.until("on_participant_joined")
        assert [p.name for p in current_session().participants] == ["Bob"]
        logger.info("Bob is alone with the bot")
        await room.happens(("on_participant_left", BOB, "leftCall"))
        await heard.until("on_participant_left")
        assert current_session().participants == ()
        logger.info("nobody is there")

    trace = agent.session(observer.session_id)
    trace.check()
    (bob,) = participants(trace)
    session = trace.one("pipecat.session")
    assert bob.parent is session
    assert bob.resource == "DailyTransport"
    assert bob["participant_id"] == BOB["id"]
    assert (bob["participant.name"], bob["participant.role"]) == ("Bob", "owner")
    assert bob["participant.leave_reason"] == "leftCall"
    assert bob.end_ns < session.end_ns
    assert events(bob) == [
        "on_first_participant_joined",
        "on_participant_joined",
        "on_client_connected",
        "on_participant_left",
        "on_client_disconnected",
    ]
    assert {child["participant_id"] for child in bob.children} == {BOB["id"]}
    assert session["session.participant_count"] == 1
    assert session["participant_id"] == BOB["id"]

    for event in ("on_participant_joined", "on_participant_left"):
        line = lines.one(f"handling {event}")
        assert line["participant_id"] == BOB["id"]
        assert line["participant"] == {"id": BOB["id"], "name": "Bob"}
        assert line["session_id"] == observer.session_id
        assert line["dd.trace_id"] == trace.id
        span = trace.one("pipecat.participant.event", event)
        assert line["dd.span_id"] == str(span.id)
    assert lines.one("Bob is alone with the bot")["participant_id"] == BOB["id"]
    assert "participant_id" not in lines.one("nobody is there")


async def test_who_comes_back_is_there_anew_and_who_stays_leaves_with_the_session(
    agent: TestAgent,
) -> None:
    observer = DatadogObserver()
    room = DailyRoom()
    async with bot_on(room.transport, observer):
        await room.joined()
        await room.happens(
            ("on_participant_joined", MARIA),
            ("on_participant_left", MARIA, "leftCall"),
            ("on_participant_joined", MARIA),
            ("on_participant_updated", {**MARIA, "info": {"userName": "Maria K."}}),
            ("on_participant_joined", BOB),
        )
        logger.info("both")
    trace = agent.session(observer.session_id)
    trace.check()
    first, second, bob = participants(trace)
    assert first["participant_id"] == second["participant_id"] == MARIA["id"]
    assert first["participant.leave_reason"] == "leftCall"
    assert second["participant.leave_reason"] == bob["participant.leave_reason"] == "session_end"
    assert first.end_ns <= second.start_ns
    assert second["participant.name"] == "Maria K."
    session = trace.one("pipecat.session")
    assert session["session.participant_count"] == 2
    assert session.get("participant_id") is None, "it is of no one alone"


async def test_who_was_there_before_the_bot_is_there_and_the_bot_is_no_participant(
    agent: TestAgent, lines: Lines
) -> None:
    observer = DatadogObserver()
    room = DailyRoom(MARIA)
    async with bot_on(room.transport, observer):
        await room.joined()
        logger.info("with whom")
        await room.happens(("on_participant_joined", MARIA))  # Daily may tell of her, too
    trace = agent.session(observer.session_id)
    trace.check()
    (maria,) = participants(trace)
    assert maria["participant.name"] == "Maria"
    assert lines.one("with whom")["participant_id"] == MARIA["id"]


async def test_an_event_lasts_until_its_last_handler_has_returned(agent: TestAgent) -> None:
    observer = DatadogObserver()
    room, heard = DailyRoom(), Heard()
    release = asyncio.Event()

    async def slow(transport: Any, message: Any, sender: str) -> None:
        with tracer.trace("own.work"):
            await release.wait()
        heard.note("slow")

    def quick(transport: Any, message: Any, sender: str) -> None:
        heard.note("quick")

    room.transport.add_event_handler("on_app_message", slow)
    async with bot_on(room.transport, observer):
        await room.joined()
        # Registered while the pipeline runs.
        room.transport.add_event_handler("on_app_message", quick)
        message = {"type": "chat", "text": "hello"}
        await room.happens(
            ("on_participant_joined", MARIA), ("on_app_message", message, MARIA["id"])
        )
        await heard.until("quick")
        release.set()
        await heard.until("slow")
    trace = agent.session(observer.session_id)
    trace.check()
    event = trace.one("pipecat.participant.event", "on_app_message")
    own = trace.one("own.work")
    assert own.parent is event
    assert event.end_ns >= own.end_ns
    assert event["event.handler_count"] == 2
    assert event["message.kind"] == "chat"
    assert event["message.size_bytes"] == len(b'{"type": "chat", "text": "hello"}')
    assert not any("hello" in str(value) for value in event.tags.values())


class Unreadable:
    def __str__(self) -> str:
        raise RuntimeError("not yet")


async def test_a_message_of_unknown_size_is_an_event_all_the_same(agent: TestAgent) -> None:
    observer = DatadogObserver()
    room, heard = DailyRoom(), Heard()
    heard.handle(room.transport, "on_app_message")
    async with bot_on(room.transport, observer):
        await room.joined()
        message = {"type": "chat", "card": Unreadable()}
        await room.happens(
            ("on_participant_joined", MARIA), ("on_app_message", message, MARIA["id"])
        )
        await heard.until("on_app_message")
    event = agent.session(observer.session_id).one("pipecat.participant.event", "on_app_message")
    assert event["message.kind"] == "chat"
    assert "message.size_bytes" not in event.tags


async def test_a_handler_that_raises_marks_its_event(agent: TestAgent, lines: Lines) -> None:
    observer = DatadogObserver()
    room = DailyRoom()

    async def broken(transport: Any, participant: Any) -> None:
        raise LookupError("no such account")

    room.transport.add_event_handler("on_participant_joined", broken)
    async with bot_on(room.transport, observer):
        await room.joined()
        await room.happens(("on_participant_joined", MARIA))
    trace = agent.session(observer.session_id)
    event = trace.one("pipecat.participant.event", "on_participant_joined")
    assert event.error
    assert event["error.type"] == "LookupError"
    assert event["error.message"] == "no such account"
    assert "in broken" in event["error.stack"]
    assert not trace.one("pipecat.participant").error
    assert trace.one("pipecat.session")["session.error_count"] == 1
    line = lines.one("uncaught exception in event handler 'on_participant_joined'")
    assert line["participant_id"] == MARIA["id"]
    assert line["dd.span_id"] == str(event.id)


async def _run_handlers(*observers: DatadogObserver) -> tuple[list[Any], list[str]]:
    """Return what handlers of all sorts were called with, and Pipecat's error lines."""
    room = DailyRoom()
    called: list[Any] = []
    errors: list[str] = []
    sink = logger.add(lambda message: errors.append(message.record["message"]), level="ERROR")

    def handler(name: str, *, sync: bool = False, fails: bool = False) -> Any:
        def note(*args: Any) -> None:
            assert args[0] is room.transport
            called.append((name, args[1:]))
            if fails:
                raise RuntimeError(f"{name} fails")

        async def note_async(*args: Any) -> None:
            note(*args)

        return note if sync else note_async

    async def misfit(transport: Any) -> None:
        called.append("never")

    on = room.transport.add_event_handler
    removed = handler("removed")
    on("on_participant_joined", handler("first"))
    on("on_participant_joined", removed)
    on("on_participant_joined", handler("sync", sync=True))
    on("on_participant_joined", handler("fails", fails=True))
    on("on_participant_joined", handler("fails sync", sync=True, fails=True))
    on("on_participant_joined", misfit)
    on("on_participant_joined", handler("last"))
    on("on_participant_left", handler("left"))
    on("on_before_leave", handler("before leave"))
    try:
        async with bot_on(room.transport, *observers):
            await room.joined()
            await room.happens(("on_participant_joined", MARIA))
            room.transport._event_handlers["on_participant_joined"].handlers.remove(removed)
            on("on_participant_joined", handler("late"))
            await room.happens(
                ("on_participant_joined", BOB), ("on_participant_left", BOB, "hidden")
            )
    finally:
        logger.remove(sink)
    assert set(vars(room.transport)).isdisjoint({"_call_event_handler", "_run_handler"})
    return called, [error.partition(": ")[2] for error in errors]


async def test_handlers_run_as_they_do_without_an_observer() -> None:
    called, errors = await _run_handlers()
    assert len(called) == 6 + 6 + 2
    assert len(errors) == 6
    assert await _run_handlers(DatadogObserver()) == (called, errors)


async def test_floods_that_nobody_handles_are_taken_together(agent: TestAgent) -> None:
    observer = DatadogObserver()
    room = DailyRoom()
    messages = [("on_app_message", {"type": "tick", "n": 1}, MARIA["id"])] * 40
    others = [("on_app_message", {"type": "tick", "n": 1}, BOB["id"])] * 10
    tells_of_network = "on_network_connection_status_updated" in room.transport._event_handlers
    network = [("on_network_connection_status_updated", {"event": "connected"})] * (
        5 * tells_of_network
    )
    async with bot_on(room.transport, observer):
        await room.joined()
        await room.happens(("on_participant_joined", MARIA), ("on_participant_joined", BOB))
        await room.happens(*messages, *others, *network, ("on_dialin_ready", "sip:room@daily.co"))
    trace = agent.session(observer.session_id)
    trace.check()
    maria, bob = participants(trace)
    for person, count in ((maria, 40), (bob, 10)):
        spans = [s for s in person.children if s.resource == "on_app_message"]
        assert len(spans) <= 3, "one a second"
        assert sum(s["event.count"] for s in spans) == count
        assert sum(s["message.size_bytes"] for s in spans) == count * len(
            '{"type": "tick", "n": 1}'
        )
        assert {s["message.kind"] for s in spans} == {"tick"}
        assert {s["event.handler_count"] for s in spans if s.get("event.handler_count")} == set()
    name = "on_network_connection_status_updated"
    assert sum(s["event.count"] for s in trace.named("pipecat.participant.event", name)) == len(
        network
    )
    assert trace.one("pipecat.participant.event", "on_dialin_ready")["dialin.state"] == "ready"


async def test_events_of_a_call_say_what_they_are_and_nothing_private(agent: TestAgent) -> None:
    observer = DatadogObserver()
    room = DailyRoom()
    room.client._params = room.client._params  # dial-in settings are not set: nothing is sent
    async with bot_on(room.transport, observer):
        await room.joined()
        await room.happens(
            ("on_dialin_connected", {"sessionId": MARIA["id"], "sipFrom": "+15550100123"}),
            ("on_participant_joined", MARIA),
            ("on_dtmf_event", {"sessionId": MARIA["id"], "tone": "4"}),
            ("on_dtmf_event", {"sessionId": MARIA["id"], "tone": "1"}),
            ("on_dtmf_event", {"sessionId": MARIA["id"], "tone": "#"}),
            ("on_dialin_error", {"errorMsg": "no route to +1 555 010 0123"}),
            ("on_active_speaker_changed", MARIA),
        )
    trace = agent.session(observer.session_id)
    trace.check()
    (maria,) = participants(trace)
    tones = [s["dtmf.tone"] for s in maria.children if s.resource == "on_dtmf_event"]
    assert tones == ["4", "[left out]", "#"]
    error = trace.one("pipecat.participant.event", "on_dialin_error")
    assert error.error
    assert error["error.message"] == "no route to [number]"
    text = str([span.raw for span in trace.spans])
    assert "0100123" not in text
    assert "010 0123" not in text


@pytest.mark.parametrize("key", [None, PHONE_KEY])
async def test_a_callers_number_is_left_out_or_hashed(
    agent: TestAgent, lines: Lines, key: str | None
) -> None:
    hashes = set()
    for number in ("+15550100123", "+1 (555) 010-0123"):
        observer = DatadogObserver(phone_hash_key=key)
        room, heard = DailyRoom(), Heard()
        heard.handle(room.transport, "on_participant_joined")
        caller = somebody("3b2e7c1a-0f5d-4a77-9d0e-5b6c7d8e9f00", number)
        async with bot_on(room.transport, observer):
            await room.joined()
            await room.happens(("on_participant_joined", caller))
            await heard.until("on_participant_joined")
        trace = agent.session(observer.session_id)
        (person,) = participants(trace)
        assert person.get("participant.name") is None
        hashes.add(person.get("participant.phone_hash"))
        assert "0100123" not in str([span.raw for span in trace.spans])
    assert len(hashes) == 1, "the same caller, however the number is written"
    assert (hashes == {None}) is (key is None)
    assert all("name" not in line["participant"] for line in lines.saying("handling"))


async def test_names_stay_where_they_are_if_so_asked(agent: TestAgent, lines: Lines) -> None:
    observer = DatadogObserver(participant_names=False)
    room, heard = DailyRoom(), Heard()
    heard.handle(room.transport, "on_participant_joined")
    async with bot_on(room.transport, observer):
        await room.joined()
        await room.happens(("on_participant_joined", BOB))
        await heard.until("on_participant_joined")
    (bob,) = participants(agent.session(observer.session_id))
    assert bob.get("participant.name") is None
    assert bob["participant.role"] == "owner"
    assert lines.one("handling on_participant_joined")["participant"] == {"id": BOB["id"]}


async def test_frames_name_whom_they_are_of_and_nothing_else_guesses(
    agent: TestAgent, lines: Lines
) -> None:
    observer = DatadogObserver()
    room = DailyRoom()
    kinds = (TranscriptionFrame, InterimTranscriptionFrame, UserAudioRawFrame)
    listener = Listener(*kinds)
    async with bot_on(room.transport, observer, processors=[listener]) as worker:
        await room.joined()
        await room.happens(("on_participant_joined", MARIA), ("on_participant_joined", BOB))
        logger.info("nobody in particular")
        for person in (MARIA, BOB, MARIA):
            text = TranscriptionFrame(person["info"]["userName"], person["id"], "now")
            await worker.queue_frame(text)
            # As the transport does with what it hears.
            audio = {"audio": b"\0\0", "sample_rate": 16_000, "num_channels": 1}
            sound = UserAudioRawFrame(user_id=person["id"], **audio)
            await room.transport.input().push_frame(sound)
        await worker.queue_frame(TranscriptionFrame("stranger", "somebody-else", "now"))
        await listener.heard.until("TranscriptionFrame", 4)
        await listener.heard.until("UserAudioRawFrame", 3)
        await room.happens(("on_participant_left", BOB, "leftCall"))
        await worker.queue_frame(TranscriptionFrame("too late", BOB["id"], "now"))
        await worker.queue_frame(TranscriptionFrame("stranger again", "somebody-else", "now"))
        await worker.queue_frame(TranscriptionFrame("anybody", "", "now"))
        await listener.heard.until("TranscriptionFrame", 7)

    def ids(text: str) -> list[str | None]:
        return [line.get("participant_id") for line in lines.saying(text)]

    assert ids("nobody in particular") == [None]
    assert ids("working on TranscriptionFrame Maria") == [MARIA["id"]] * 2
    assert ids("working on TranscriptionFrame Bob") == [BOB["id"]]
    audio = ids("working on UserAudioRawFrame")
    assert Counter(audio) == {MARIA["id"]: 2, BOB["id"]: 1}
    assert ids("working on TranscriptionFrame stranger") == [None, None]
    assert ids("working on TranscriptionFrame too late") == [BOB["id"]]
    assert ids("working on TranscriptionFrame anybody") == [MARIA["id"]]
    trace = agent.session(observer.session_id)
    trace.check()
    by_line = {
        int(line["dd.span_id"]): line.get("participant_id")
        for line in lines.saying("working on Transcription")
    }
    for span in trace.named("pipecat.frame"):
        if span.id in by_line:
            assert span.get("participant_id") == by_line[span.id]


async def test_code_of_the_users_own_binds_a_participant(lines: Lines) -> None:
    observer = DatadogObserver()
    room = DailyRoom()
    async with bot_on(room.transport, observer):
        await room.joined()
        await room.happens(("on_participant_joined", MARIA), ("on_participant_joined", CARL))
        session = current_session()
        with session.bind_participant(CARL["id"]):
            logger.info("for Carl")
            await asyncio.create_task(asyncio.to_thread(logger.info, "for Carl in a thread"))
            with session.bind_participant("whoever"):
                logger.info("for whoever")
        logger.info("for nobody")
        for wrong in (None, "  "):
            with session.bind_participant(wrong):  # type: ignore[arg-type]
                logger.info("for a mistake")
    for line in lines.saying("for Carl"):
        assert line["participant"] == {"id": CARL["id"], "name": "Carl"}
    assert lines.one("for whoever")["participant_id"] == "whoever"
    assert "participant_id" not in lines.one("for nobody")
    for line in lines.saying("for a mistake"):
        assert "participant_id" not in line
    assert len(lines.saying("bind_participant: participant_id is")) == 2


async def test_several_transports_of_one_pipeline_are_all_listened_to(
    agent: TestAgent, lines: Lines
) -> None:
    observer = DatadogObserver()
    here, there = DailyRoom(), DailyRoom()
    second = [there.transport.input(), there.transport.output()]
    async with bot_on(here.transport, observer, processors=second):
        await here.joined()
        await there.joined()
        await here.happens(("on_participant_joined", MARIA))
        await there.happens(("on_participant_joined", BOB))
        logger.info("one in each")
        await there.happens(("on_participant_left", BOB, "leftCall"))
        logger.info("one in all")
    trace = agent.session(observer.session_id)
    trace.check()
    assert [p["participant.name"] for p in participants(trace)] == ["Maria", "Bob"]
    assert "participant_id" not in lines.one("one in each")
    assert lines.one("one in all")["participant_id"] == MARIA["id"]
    assert not {"_call_event_handler", "_run_handler"} & set(vars(there.transport))


async def test_what_is_heard_names_its_speaker_on_transcription_and_turn(agent: TestAgent) -> None:
    observer = DatadogObserver()
    room = DailyRoom()
    stt = Scribe()
    listener = Listener(TranscriptionFrame)
    async with bot_on(room.transport, observer, processors=[stt, listener]) as worker:
        await room.joined()
        await room.happens(("on_participant_joined", MARIA), ("on_participant_joined", BOB))
        for number, person in enumerate((MARIA, BOB), 1):
            await worker.queue_frame(VADUserStartedSpeakingFrame())
            await worker.queue_frame(UserStartedSpeakingFrame())
            await worker.queue_frame(VADUserStoppedSpeakingFrame())
            await worker.queue_frame(TextFrame(person["id"]))
            await listener.heard.until("TranscriptionFrame", number)
            await worker.queue_frame(UserStoppedSpeakingFrame())
    trace = agent.session(observer.session_id)
    trace.check()
    for kind in ("stt", "turn"):
        ids = [span["participant_id"] for span in trace.named(f"pipecat.{kind}")]
        assert ids == [MARIA["id"], BOB["id"]]
    speeches = trace.named("pipecat.user_speech")
    assert [span.get("participant_id") for span in speeches] == [None, None], "heard, not told"


class Scribe(STTService):
    """Transcribes what it is told to, as spoken by whom it is told."""

    async def process_frame(self, frame: Any, direction: Any) -> None:
        await super().process_frame(frame, direction)
        if type(frame) is TextFrame:
            await self.push_frame(TranscriptionFrame("words", frame.text, "now"))

    async def run_stt(self, audio: bytes) -> Any:
        yield None

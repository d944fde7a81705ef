"""Whatever a call does, and however many there are: nothing of what is over is kept."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from loguru import logger
from pipecat.frames.frames import (
    ControlFrame,
    EndFrame,
    ErrorFrame,
    Frame,
    InputAudioRawFrame,
    StartFrame,
    TextFrame,
)

from pipecat_dd import DatadogObserver, _guard
from pipecat_dd.conversation.model import Kind
from pipecat_dd.conversation.participants import REMEMBERED, Participants, Transport, Who
from pipecat_dd.conversation.stages import MAX_OPEN, MAX_RESOURCE_CHARS
from pipecat_dd.conversation.user import MAX_AWAITED
from pipecat_dd.export.spans.tree import MAX_TAG_CHARS, MAX_TRACES
from pipecat_dd.instrumentation.backlog import DATA_LIMIT, LIMIT, MEDIA_LIMIT, Backlog
from pipecat_dd.instrumentation.frame_traits import FrameTraitsTable
from tests.conversation.talk import Talk
from tests.support.agent import TestAgent
from tests.support.calls import AUDIO, Call, call
from tests.support.census import census

TURN = 500
"""How many events at most tell of the frames of a turn that only control."""

UNDER_WAY = 15
"""How much of a kind there may be of what a call has under way, and no more with each turn."""


@pytest.fixture(autouse=True)
def no_lines() -> None:
    logger.remove()


@pytest.fixture
def shed_count(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How many events are shed in a test; what is shed here is not told of in another."""
    monkeypatch.setattr(_guard, "_dropped", 0)
    return _guard.dropped_count


async def one_after_another(times: int) -> None:
    for _ in range(times):
        await asyncio.create_task(call([DatadogObserver()], 1))


async def at_once(times: int) -> None:
    async with asyncio.TaskGroup() as calls:
        for _ in range(times):
            calls.create_task(call([DatadogObserver()], 1))


@pytest.mark.parametrize("hold", [one_after_another, at_once])
async def test_sessions_that_are_over_leave_nothing_behind(hold: Any) -> None:
    await hold(2)
    before = census()
    await hold(10)
    assert census().more_than(before) == {}


async def test_a_long_call_keeps_nothing_of_the_turns_that_are_over() -> None:
    observer = DatadogObserver(trace_scope="turn", frame_spans="all", capture_content=True)

    async def turns(going_on: Call, count: int) -> None:
        for number in range(count):
            await going_on.turn("call quick" if number % 5 == 0 else "say it", audio_frames=1)

    async with Call([observer]) as going_on:
        # Every other transcription never comes: by then there are as many awaited as may be.
        await turns(going_on, 3 * MAX_AWAITED)
        before = census()
        await turns(going_on, 60)
        more = census().more_than(before)
    assert more.pop("sessions by trace", 0) <= MAX_TRACES
    assert {what: count for what, count in more.items() if count > UNDER_WAY} == {}


def test_traces_of_turns_long_over_are_forgotten() -> None:
    observer = DatadogObserver(trace_scope="turn")
    told: Any = observer._latest.runtime
    stages = told.conversation._stages
    for number in range(MAX_TRACES + 50):
        turn = stages.open(Kind.TURN, "user", number, parent=told.session.root)
        told.tree.log_ids(turn)
        stages.close(turn, number)
    assert len(told.tree.trace_ids) == MAX_TRACES + 1, "the turns', and the session's"
    assert told.tree.trace_id in told.tree.trace_ids
    assert len(told.tree._written_trace_ids) <= MAX_TRACES + 1
    assert len(told.tree._ours) == 1, "ids of spans that were sent"


def test_transcriptions_that_never_come_are_not_awaited_for_ever() -> None:
    talk = Talk()
    for _ in range(MAX_AWAITED * 3):
        talk.user_speaks()
        talk.user_turn_ends()
        talk.wait(0.1)
    assert len(talk.talk.user._open[talk.stt]) <= MAX_AWAITED + 1
    talk.wait(31)
    talk.user_speaks()
    assert len(talk.talk.user._open[talk.stt]) == 1
    talk.transcribed()
    talk.ends()
    assert len(talk.all("stt")) == 1, "that of the stretch that was transcribed"


def test_tools_that_were_asked_for_and_never_ran_are_forgotten() -> None:
    talk = Talk()
    talk.responds()
    talk.talk.bot.tools_asked(talk.llm, talk.ns, [f"call-{n}" for n in range(1_000)])
    assert len(talk.talk.bot.tools._asked) <= 256


def test_what_never_ends_is_told_of_when_there_is_too_much_of_it() -> None:
    talk = Talk()
    for number in range(MAX_OPEN + 10):
        talk.talk.bot.tool_begins(talk.llm, talk.ns + number, "stuck", f"call-{number}")
    assert len(talk.talk._stages._open) <= MAX_OPEN
    told = talk.all("tool")
    assert len(told) >= 10
    assert max(s.start_ns for s in told) < talk.ns + MAX_OPEN / 2, "the oldest"


def test_a_thousand_visitors_of_a_room_are_counted_and_not_kept() -> None:
    talk = Talk()
    people: Participants = talk.talk.participants
    transport = Transport("daily", "DailyTransport")
    for number in range(REMEMBERED + 500):
        people.join(Who(f"guest-{number}"), talk.ns, transport)
        people.leave(f"guest-{number}", talk.ns, transport, "left")
    assert people.count == REMEMBERED + 500
    assert len(people._ids) == REMEMBERED


async def test_text_is_cut_to_what_the_agent_takes(agent: TestAgent) -> None:
    observer = DatadogObserver(tags={"long": "x" * 100_000}, frame_spans="all")
    async with Call([observer]) as going_on:
        await going_on.turn()
        await going_on.worker.queue_frame(ErrorFrame("y" * 3_000_000))
        told: Any = observer._latest.runtime
        bot = told.conversation.bot
        processor = next(iter(told.session.processors.values()))
        bot.tool_begins(processor, 1, "z" * 100_000, "call-1")
    for span in agent.session(observer.session_id).spans:
        assert len(span.resource) <= MAX_RESOURCE_CHARS
        for name, value in span.tags.items():
            assert not isinstance(value, str) or len(value) <= MAX_TAG_CHARS, name


# The backlog in Pipecat's queue for the observer


@dataclass
class Note(ControlFrame):
    """A frame that only controls."""


def test_media_are_shed_first_and_what_begins_and_ends_a_pipeline_never(
    shed_count: Callable[[], int],
) -> None:
    shed: list[int] = []
    admits = Backlog(FrameTraitsTable(), lambda: shed.append(1)).admits
    limits = {InputAudioRawFrame: MEDIA_LIMIT, TextFrame: DATA_LIMIT, Note: LIMIT}
    for kind, limit in limits.items():
        assert admits(kind, limit - 1)
        assert not admits(kind, limit)
    assert len(shed) == shed_count() == 3
    assert admits(StartFrame, 1_000_000)
    assert admits(EndFrame, 1_000_000)


@pytest.fixture
async def behind() -> AsyncIterator[tuple[DatadogObserver, Call, "asyncio.Queue[Any]"]]:
    """A call whose observer is told of everything by its queue, and takes nothing from it."""
    observer = DatadogObserver()
    may_go_on = asyncio.Event()
    async with Call([observer]) as going_on:
        await going_on.turn()
        # As with a Pipecat that tells only by the queue.
        pipelines: Any = observer._latest.pipelines
        pipelines.covered_ids.clear()
        inner = observer.on_process_frame

        async def stuck(data: Any) -> None:
            await may_go_on.wait()
            await inner(data)

        observer.on_process_frame = stuck  # type: ignore[method-assign]
        yield observer, going_on, going_on.worker._observer._proxies[observer].queue
        may_go_on.set()


async def test_a_backlog_is_shed_counted_and_said_once(
    behind: tuple[DatadogObserver, Call, "asyncio.Queue[Any]"], shed_count: Callable[[], int]
) -> None:
    observer, going_on, queue = behind
    said: list[str] = []
    logger.add(lambda line: said.append(str(line)), level="WARNING")

    async def flood(make: Any) -> int:
        """Send many frames through the pipeline; return how many events wait then."""
        for _ in range(20):
            frames: list[Frame] = [make() for _ in range(50)]
            await going_on.worker.queue_frames(frames)
        await going_on.turn()  # after all of them
        return queue.qsize()

    # What controls a turn comes on top.
    assert await flood(lambda: InputAudioRawFrame(AUDIO, 16_000, 1)) <= MEDIA_LIMIT + TURN
    assert await flood(lambda: TextFrame("more")) <= DATA_LIMIT + TURN
    assert await flood(Note) <= LIMIT + TURN
    shed = shed_count()
    assert shed > 1_000
    assert len([line for line in said if "events wait" in line]) == 1

    session: Any = observer._latest.runtime
    assert session.session.root.attributes["session.shed_count"] == shed

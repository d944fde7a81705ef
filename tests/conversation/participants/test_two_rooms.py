"""Three people who talk over each other, leave and come back, in two rooms of one process.

Each line says in its text whom it is of, known from what the test itself does; a checker goes
over every line and every span and holds that against what they carry.
"""

import asyncio
import random
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from loguru import logger
from pipecat.frames.frames import Frame, TranscriptionFrame, UserAudioRawFrame
from pipecat.services.stt_service import STTService

from pipecat_dd import DatadogObserver, current_session
from tests.conversation.participants.daily import DailyRoom, somebody
from tests.conversation.participants.running import Listener, bot_on
from tests.support.agent import TestAgent
from tests.support.lines import Lines
from tests.support.spans import Trace

ROUNDS = 4
WORDS = 6


class Ears(STTService):
    """Transcribes whatever it hears, at once, and knows whom it heard."""

    def __init__(self, receive: Callable[[], Coroutine[Any, Any, None]]) -> None:
        super().__init__()
        self.receive = receive
        self.receiving: asyncio.Task[None] | None = None
        self.again = asyncio.Event()

    async def later(self) -> None:
        await self.again.wait()
        await self.receive()

    async def run_stt(self, audio: bytes) -> AsyncIterator[Frame]:
        if self.receiving is None:
            # As services connect when the first sound comes: whoever made it, the loop is no
            # one's once that sound has been worked on.
            self.receiving = self.create_task(self.later())
        else:
            self.again.set()
        logger.info(f"of={self._user_id} listening")
        await asyncio.sleep(0)  # somebody else is heard meanwhile
        await asyncio.to_thread(logger.info, f"of={self._user_id} listening in a thread")
        yield TranscriptionFrame("words", self._user_id, "now")


class Talk:
    """One room, and all that goes on in it."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.room = DailyRoom()
        self.observer = DatadogObserver()
        self.people = [
            somebody(str(uuid.UUID(int=self.random.getrandbits(128))), name)
            for name in ("Ann", "Ben", "Cem")
        ]
        self.ids = {person["id"] for person in self.people}
        self.listener = Listener(TranscriptionFrame)
        self.room.transport.add_event_handler("on_participant_joined", self.joined)
        self.room.transport.add_event_handler("on_participant_left", self.left)
        self.room.transport.add_event_handler("on_app_message", self.message)

    async def joined(self, transport: Any, participant: Any) -> None:
        logger.info(f"of={participant['id']} joined")
        await asyncio.sleep(self.random.random() / 100)
        logger.info(f"of={participant['id']} joined, a little later")

    async def left(self, transport: Any, participant: Any, reason: str) -> None:
        logger.info(f"of={participant['id']} left")

    def message(self, transport: Any, message: Any, sender: str) -> None:
        logger.info(f"of={sender} message")

    async def run(self) -> None:
        over = asyncio.Event()
        ears = Ears(lambda: self.watch(over))
        async with bot_on(self.room.transport, self.observer, processors=[ears, self.listener]):
            await self.room.joined()
            watching = asyncio.create_task(self.watch(over))
            await asyncio.gather(*(self.come_and_go(person) for person in self.people))
            over.set()
            await watching
            assert ears.receiving is not None
            await ears.receiving

    async def watch(self, over: asyncio.Event) -> None:
        """Write lines that belong to nobody, but where there is only one it can be."""
        while not over.is_set():
            there = current_session().participants
            alone = there[0].id if len(there) == 1 else None
            logger.info(f"of={alone} background")
            await asyncio.sleep(0.001)

    async def come_and_go(self, person: dict[str, Any]) -> None:
        for _ in range(ROUNDS):
            await asyncio.sleep(self.random.random() / 50)
            await self.room.happens(("on_participant_joined", person))
            for _ in range(WORDS):
                await self.speak(person)
                await self.room.happens(("on_app_message", {"type": "wave"}, person["id"]))
            await self.room.happens(("on_participant_left", person, "leftCall"))

    async def speak(self, person: dict[str, Any]) -> None:
        sound = UserAudioRawFrame(
            user_id=person["id"], audio=b"\0" * 640, sample_rate=16_000, num_channels=1
        )
        await self.room.transport.input().push_frame(sound)
        await asyncio.sleep(self.random.random() / 200)


def check(talk: Talk, lines: Lines, trace: Trace) -> int:
    """Return how many lines were checked."""
    trace.check()
    checked = 0
    for line in lines.all:
        if line.get("session_id") != talk.observer.session_id:
            assert line.get("participant_id") not in talk.ids, line
            continue
        said = line["message"].partition(" ")[0]
        if said.startswith("of="):
            expected = said.removeprefix("of=")
            actual = line.get("participant_id")
            assert actual == (None if expected == "None" else expected), str(line)
            checked += 1
        elif line["message"].startswith("working on TranscriptionFrame"):
            assert line["participant_id"] in talk.ids
        span = trace.by_id.get(int(line["dd.span_id"]))
        if span is not None and span.name in ("pipecat.participant.event", "pipecat.frame"):
            assert span.get("participant_id") in (line.get("participant_id"), None), line
    for span in trace.spans:
        assert span.get("participant_id") in {None, *talk.ids}
        if span.name == "pipecat.participant.event" and span.parent.name == "pipecat.participant":
            assert span["participant_id"] == span.parent["participant_id"]
    assert len(trace.named("pipecat.participant")) == ROUNDS * len(talk.people)
    assert trace.one("pipecat.session").get("participant_id") is None
    return checked


async def test_no_line_and_no_span_carries_a_wrong_participant(
    agent: TestAgent, lines: Lines
) -> None:
    talks: list[Talk] = []

    async def serve(seed: int) -> None:
        talk = Talk(seed)
        talks.append(talk)
        await talk.run()

    async with asyncio.timeout(60):
        await asyncio.gather(*(asyncio.create_task(serve(seed)) for seed in (1, 2)))
    for talk in talks:
        checked = check(talk, lines, agent.session(talk.observer.session_id))
        spoken = ROUNDS * WORDS * len(talk.people)
        assert checked > 3 * spoken, "two for each sound, one for each message"
        heard = [f for name, (f,) in talk.listener.heard.all if name == "TranscriptionFrame"]
        assert len(heard) == spoken

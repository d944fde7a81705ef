"""What a version has moved is less to show, and nothing that the bot could notice.

Each private name that we look up in other libraries is hidden from us in turn, and then all of
them at once, in a real conversation on a transport that has it.
"""

import asyncio
import pkgutil
import re
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any

import pytest
from loguru import logger
from websockets.asyncio.client import connect

import pipecat_dd
from pipecat_dd import DatadogObserver, _guard, _loguru
from pipecat_dd._private import peek
from pipecat_dd.testing import capture
from tests.conversation.participants.daily import MARIA, DailyRoom
from tests.conversation.participants.running import Heard, bot_on
from tests.conversation.participants.test_smallwebrtc import Caller
from tests.conversation.participants.test_smallwebrtc import on_loopback as on_loopback
from tests.conversation.participants.test_websocket import CALLS, CallOnFastAPI, server, serving
from tests.support.bot import Bot
from tests.versions.test_private import ENTRIES, WHERE

LINE = "somebody is there"
HANDLED = "handling on_client_connected"
"""What is written by the code that makes the observer, or where that is another task a handler."""

# Conversations, each of which returns the session's id


async def talk() -> str:
    observer, pushed = DatadogObserver(), Heard()

    async def on_after_push_frame(processor: Any, frame: Any) -> None:
        pushed.note("push")

    async with Bot(observer) as bot:
        bot.llm.add_event_handler("on_after_push_frame", on_after_push_frame)
        await bot.ask("How are you?")
        logger.info(LINE)
        await bot.end()
    assert pushed.all, "the user's handlers of a processor's events are called"
    return observer.session_id


async def meeting() -> str:
    """Two in a room: one was there before the bot."""
    observer, room, heard = DatadogObserver(), DailyRoom(MARIA), Heard()
    heard.handle(room.transport, "on_participant_left")
    async with bot_on(room.transport, observer):
        await room.joined()
        await room.happens(("on_participant_left", MARIA, "leftCall"))
        await heard.until("on_participant_left")
        logger.info(LINE)
    return observer.session_id


async def call_by_websocket() -> str:
    observer, heard = DatadogObserver(), Heard()
    transport, url = server()
    heard.handle(transport, "on_client_connected", "on_websocket_ready")
    async with bot_on(transport, observer):
        await heard.until("on_websocket_ready")
        async with connect(url):
            await heard.until("on_client_connected")
            logger.info(LINE)
    return observer.session_id


async def call_by_telephone() -> str:
    call = CallOnFastAPI(CALLS["twilio"][0]())
    async with serving(call) as served, connect(served.url):
        await call.heard.until("on_client_connected")
        call.hang_up.set()
        await served.until_over()
    assert call.observer is not None
    return call.observer.session_id


async def call_by_webrtc() -> str:
    observer, caller, heard = DatadogObserver(), Caller(), Heard()
    heard.handle(caller.transport, "on_client_connected")
    async with bot_on(caller.transport, observer):
        caller.hung_up.set()
        await caller.connects()
        await heard.until("on_client_connected")
        logger.info(LINE)
    await caller.pc.close()
    return observer.session_id


Scene = Callable[[], Awaitable[str]]

SPOKEN = {
    f"pipecat.{kind}"
    for kind in ("session", "turn", "user_speech", "stt", "llm", "tts", "bot_speech")
}
PEOPLE = {"pipecat.session", "pipecat.participant"}
PROMISED: dict[Scene, set[str]] = {
    talk: SPOKEN,
    meeting: PEOPLE,
    call_by_websocket: PEOPLE,
    call_by_telephone: PEOPLE,
    call_by_webrtc: PEOPLE,
}
"""The spans of each conversation, whatever is hidden."""

LOST = {
    # Who is there is only known by these.
    "_call_event_handler": {meeting, call_by_websocket, call_by_telephone, call_by_webrtc},
    "_event_handlers": {meeting, call_by_websocket, call_by_telephone, call_by_webrtc},
    "_transport": {meeting, call_by_websocket, call_by_telephone},
    "_client": {call_by_webrtc},
    "_callbacks": {call_by_webrtc},
}
"""In which conversations participants are not seen without it."""


SCENES: tuple[tuple[tuple[str, ...], tuple[Scene, ...]], ...] = (
    (("BaseObject",), (talk, meeting)),
    (("Daily",), (meeting,)),
    (("SmallWebRTC",), (call_by_webrtc,)),
    (("FastAPI", "Twilio"), (call_by_telephone,)),
    (("SingleClient",), (call_by_websocket,)),
    # Looked up as those of others are, which stand for them.
    (("LiveKit", "Tavus", "Vonage", "Telnyx", "Plivo", "Exotel", "VAD", "string"), ()),
    (("",), (talk,)),
)
"""The conversations in which what classes of such names have is looked up."""


def cases() -> Iterator[tuple[frozenset[str], Scene]]:
    """Yield what to hide, and in which conversation: each of Pipecat's names by itself.

    Those of ddtrace and Loguru are looked up apart from each other, and are hidden together.
    """
    elsewhere = set()
    for entry in ENTRIES:
        owner, _, name = entry.partition(".")
        if not re.fullmatch(r"_\w+", name):
            continue
        if not WHERE[owner].startswith("pipecat."):
            elsewhere.add(name)
            continue
        scenes = next(scenes for starts, scenes in SCENES if owner.startswith(starts))
        yield from ((frozenset({name}), scene) for scene in scenes)
    yield frozenset(elsewhere), talk


HIDDEN: ContextVar[frozenset[str]] = ContextVar("hidden", default=frozenset())
"""What is hidden in a conversation: several are held side by side."""

AT_ONCE = 12


@pytest.fixture(autouse=True)
def hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have names read as missing, wherever in the package they are asked for."""

    def missing(instance: Any, name: str, default: Any = None) -> Any:
        return default if name in HIDDEN.get() else peek(instance, name, default)

    for found in pkgutil.walk_packages(pipecat_dd.__path__, "pipecat_dd."):
        module = sys.modules.get(found.name)
        if getattr(module, "peek", None) is peek:
            monkeypatch.setattr(module, "peek", missing)


@pytest.fixture
def raised(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What of ours raised, and what was hidden there."""
    found: list[str] = []

    def failed(part: _guard.Part, error: BaseException) -> None:
        found.append(f"without {sorted(HIDDEN.get())}: {error!r}")

    monkeypatch.setattr(_guard.Part, "failed", failed)
    return found


async def without(names: frozenset[str], scene: Scene) -> str:
    """Hold a conversation, in a context of its own."""
    HIDDEN.set(names)
    return await scene()


async def goes_on(todo: Sequence[tuple[frozenset[str], Scene, set[str]]]) -> None:
    """Hold conversations side by side, and see that each shows what was promised."""
    with capture() as seen:
        ids = await asyncio.gather(
            *(asyncio.create_task(without(names, scene)) for names, scene, _ in todo)
        )
    for session_id, (names, scene, promised) in zip(ids, todo, strict=True):
        session = seen.session(session_id)
        here = f"{scene.__name__} without {sorted(names)}:\n{session.outline()}"
        assert promised <= {span.name for span in session.spans}, here
        assert session.saying(LINE) or session.saying(HANDLED), here


async def test_without_any_one_of_it_the_conversation_goes_on(raised: list[str]) -> None:
    todo = []
    for names, scene in sorted(set(cases()), key=str):
        lost = {"pipecat.participant"} if any(scene in LOST.get(n, ()) for n in names) else set()
        todo.append((names, scene, PROMISED[scene] - lost))
    for start in range(0, len(todo), AT_ONCE):
        await goes_on(todo[start : start + AT_ONCE])
    assert not raised, "\n".join(raised)


async def test_without_all_of_it_the_conversation_goes_on(
    monkeypatch: pytest.MonkeyPatch, raised: list[str]
) -> None:
    names = frozenset(name for entry in ENTRIES for name in re.findall(r"_\w+", entry))
    HIDDEN.set(names)
    monkeypatch.setattr(_loguru, "_WRITING_CODES", _loguru._writing_codes())
    assert not _loguru._WRITING_CODES
    await goes_on(
        [(names, scene, promised - {"pipecat.participant"}) for scene, promised in PROMISED.items()]
    )
    assert not raised, "\n".join(raised)

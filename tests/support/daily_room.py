"""A room of Daily's with one participant in it, and no network.

Stands where ``daily-python`` ends and Rust begins: the classes that Pipecat's Daily transport
takes from that package are replaced, everything of Pipecat's own is real. As with the real one,
completions and events are called from threads that asyncio knows nothing of, audio goes out and
comes in at the pace of speech, and a call of the event handler's returns when the transport has
taken it.

Example::

    def call(participant):
        participant.joins()
        participant.listens()  # to the greeting
        participant.says(pcm)
        participant.listens()  # to the answer

    with Room(call).open() as room:
        ...  # run a bot with a DailyTransport
    room.check()
"""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

BREATH_SECS = 1.0
"""How long the bot must be silent for its answer to be over."""
PATIENCE_SECS = 30.0
"""How long a participant waits for the bot before giving up."""

_FRAME_SECS = 0.02
_BYTES_PER_SAMPLE = 2


class Participant:
    """The other one in the room; used from a thread of its own.

    Args:
        room: The room.
        id: The participant's id; Daily's are UUIDs.
        name: The name that is shown.
    """

    def __init__(self, room: "Room", id: str, name: str) -> None:  # noqa: A002 - Daily's name
        self.id = id
        self._room = room
        self._info = {
            "id": id,
            "info": {"userName": name, "isLocal": False, "isOwner": False},
            "media": {"microphone": {"state": "playable"}},
        }
        self._is_there = False
        self._microphone: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._said = threading.Event()

    def joins(self) -> None:
        """Enter the room, as soon as the bot is in it."""
        self._room.bot_is_there.wait(PATIENCE_SECS)
        self._is_there = True
        self._room.handler.on_participant_joined(self._info)

    def listens(self) -> None:
        """Wait until the bot has spoken and is silent again.

        Raises:
            TimeoutError: It did not speak.
        """
        self._room.until_bot_has_spoken()

    def says(self, pcm: bytes) -> None:
        """Speak, and wait until all is said.

        Args:
            pcm: 16 bit mono PCM at the rate that the bot listens at.
        """
        self._said.clear()
        self._microphone.put(pcm)
        self._said.wait(PATIENCE_SECS)

    def leaves(self) -> None:
        """Leave the room; nothing if not in it."""
        if self._is_there:
            self._is_there = False
            self._room.handler.on_participant_left(self._info, "leftCall")

    def is_heard_by(self, hear: Callable[..., None], source: str, rate: int) -> None:
        """Send the microphone's sound, or silence, for as long as the participant is there.

        Args:
            hear: Is called with each piece of sound.
            source: Which of the participant's sounds it is.
            rate: Samples a second.
        """
        size = int(rate * _FRAME_SECS) * _BYTES_PER_SAMPLE
        speech = b""
        next_at = time.monotonic()
        while self._is_there:
            if not speech and not self._microphone.empty():
                speech = self._microphone.get()
            piece, rest = speech[:size].ljust(size, b"\0"), speech[size:]
            frames = SimpleNamespace(
                audio_frames=piece,
                num_audio_frames=size // _BYTES_PER_SAMPLE,
                sample_rate=rate,
                num_channels=1,
                bits_per_sample=16,
            )
            hear(self.id, frames, source)
            if speech and not rest:
                self._said.set()
            speech = rest
            next_at += _FRAME_SECS
            time.sleep(max(0.0, next_at - time.monotonic()))


class Room:
    """The room.

    Args:
        call: What the participant does. Whatever it does, the participant has left at its end.
        participant_id: The participant's id.
        participant_name: The participant's name.

    Attributes:
        handler: Pipecat's client, to which the events go.
        bot_is_there: Set when the bot has joined.
    """

    def __init__(
        self,
        call: Callable[[Participant], None],
        *,
        participant_id: str = "3b2e7c1a-0f5d-4a77-9d0e-5b6c7d8e9f00",
        participant_name: str = "manager",
    ) -> None:
        self._call = call
        self.participant = Participant(self, participant_id, participant_name)
        self.handler: Any = None
        self.bot_is_there = threading.Event()
        self._failure: BaseException | None = None
        self._ended = threading.Event()
        self._heard = threading.Condition()
        self._heard_at: float | None = None

    @contextmanager
    def open(self) -> Iterator["Room"]:
        """Let Pipecat's Daily transport find this room, whichever it asks for."""
        room = self

        class CallClient(_CallClient):
            def __init__(self, event_handler: Any = None) -> None:
                super().__init__(room, event_handler)

        class CustomAudioSource(_CustomAudioSource):
            def __init__(self, sample_rate: int, channels: int, auto_silence: bool = True) -> None:
                super().__init__(room, sample_rate * channels * _BYTES_PER_SAMPLE)

        threading.Thread(target=self._follow_script, name="participant", daemon=True).start()
        with patch.multiple(
            "pipecat.transports.daily.transport",
            Daily=SimpleNamespace(init=lambda: None),
            CallClient=CallClient,
            CustomAudioSource=CustomAudioSource,
            CustomAudioTrack=lambda source: SimpleNamespace(id="bot-microphone"),
        ):
            yield self

    def check(self) -> None:
        """Raise what the participant met with."""
        if not self._ended.wait(PATIENCE_SECS):
            raise TimeoutError("the call has not come to its end")
        if self._failure is not None:
            raise self._failure

    def bot_speaks(self, pcm: bytes) -> None:
        """Take what the bot says.

        Args:
            pcm: The sound; silence counts for nothing.
        """
        if any(pcm):
            with self._heard:
                self._heard_at = time.monotonic()
                self._heard.notify_all()

    def until_bot_has_spoken(self) -> None:
        """Wait until the bot has spoken since the last such call, and is silent again.

        Raises:
            TimeoutError: It did not speak.
        """
        with self._heard:
            if not self._heard.wait_for(lambda: self._heard_at is not None, PATIENCE_SECS):
                raise TimeoutError(f"the bot has said nothing for {PATIENCE_SECS} seconds")
            while self._heard.wait(BREATH_SECS):
                pass
            self._heard_at = None

    def _follow_script(self) -> None:
        try:
            self._call(self.participant)
        except BaseException as error:
            self._failure = error
        finally:
            self.participant.leaves()
            self._ended.set()


class _SdkThread:
    """A thread of the SDK's, which makes its calls in order.

    Not an executor: ddtrace knows those, and would take its own context into them.
    """

    def __init__(self, name: str) -> None:
        self._calls: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def call(self, function: Callable[..., object], *args: Any) -> None:
        self._calls.put(lambda: function(*args))

    def stop(self) -> None:
        self._calls.put(None)

    def _work(self) -> None:
        while call := self._calls.get():
            call()


class _CallClient:
    """What Pipecat uses of ``daily.CallClient``."""

    def __init__(self, room: Room, event_handler: Any) -> None:
        self._room = room
        self._room.handler = event_handler
        self._thread = _SdkThread("daily-call")

    def join(
        self,
        meeting_url: str,
        meeting_token: str | None = None,
        client_settings: Any = None,
        completion: Callable[..., None] | None = None,
    ) -> None:
        local = {"participants": {"local": {"id": "0a1b2c3d-bot"}}, "meetingSession": {"id": "m-1"}}
        self._complete(completion, local, None)
        self._room.bot_is_there.set()

    def leave(self, completion: Callable[..., None] | None = None) -> None:
        self._complete(completion, None)

    def release(self) -> None:
        self._thread.stop()

    def set_user_name(self, user_name: str) -> None:
        pass

    def update_subscription_profiles(
        self, profile_settings: Any, completion: Callable[..., None] | None = None
    ) -> None:
        self._complete(completion, None)

    def update_subscriptions(
        self,
        participant_settings: Any = None,
        profile_settings: Any = None,
        completion: Callable[..., None] | None = None,
    ) -> None:
        self._complete(completion, None)

    def send_app_message(
        self,
        message: Any,
        participant: str | None = None,
        completion: Callable[..., None] | None = None,
    ) -> None:
        self._complete(completion, None)

    def set_audio_renderer(
        self,
        participant_id: str,
        callback: Callable[..., None],
        audio_source: str = "microphone",
        sample_rate: int = 16_000,
        callback_interval_ms: int = 20,
        **_: Any,
    ) -> None:
        threading.Thread(
            target=self._room.participant.is_heard_by,
            args=(callback, audio_source, sample_rate),
            name="daily-audio",
            daemon=True,
        ).start()

    def _complete(self, completion: Callable[..., None] | None, *result: Any) -> None:
        if completion is not None:
            self._thread.call(completion, *result)


class _CustomAudioSource:
    """What Pipecat uses of ``daily.CustomAudioSource``: takes sound as fast as it is spoken."""

    def __init__(self, room: Room, bytes_per_sec: int) -> None:
        self._room = room
        self._bytes_per_sec = bytes_per_sec
        self._thread = _SdkThread("daily-microphone")

    def write_frames(self, frames: bytes, completion: Callable[[int], None]) -> None:
        self._thread.call(self._play, frames, completion)

    def _play(self, frames: bytes, completion: Callable[[int], None]) -> None:
        self._room.bot_speaks(frames)
        time.sleep(len(frames) / self._bytes_per_sec)
        completion(len(frames) // _BYTES_PER_SAMPLE)

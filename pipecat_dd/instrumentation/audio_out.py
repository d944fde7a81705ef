"""Records when an output transport begins to write each piece of audio.

Pipecat pushes a piece on once it is written, which for most transports is when it has nearly been
played. When the caller gets it is known only where the write begins.
"""

import time
from collections.abc import Awaitable, Callable, Hashable
from typing import Any

from pipecat_dd import _guard, _pipecat
from pipecat_dd.conversation.delivery import Delivery
from pipecat_dd.conversation.model import Processor
from pipecat_dd.conversation.voice import Voice

WRITE = "write_audio_frame"
"""The method of an output transport that writes a piece of audio."""

_VOICE = tuple(
    kind
    for name in ("TTSAudioRawFrame", "SpeechOutputAudioRawFrame")
    if (kind := _pipecat.frame_class(name)) is not None
)


def recording_writes(
    instance: Any, processor: Processor, voice: Voice, is_on: Callable[[], bool]
) -> Callable[..., Awaitable[Any]]:
    """Return the patch of an output transport's :data:`WRITE`.

    Args:
        instance: Pipecat's output transport.
        processor: Our record of it.
        voice: Follows what is written.
        is_on: Whether anything is recorded.
    """
    inner: Callable[..., Awaitable[Any]] = getattr(instance, WRITE)
    audio_secs, now_ns, guard = _pipecat.audio_secs, time.monotonic_ns, _guard.conversation
    begin, end = voice.begin_write, voice.end_write
    queue, delivery = _pipecat.send_queue_of(instance), Delivery()

    def deliver(line: Hashable, at_ns: int, secs: float) -> None:
        """Look whether what was written before has come late."""
        assert queue is not None
        speech = voice.speech
        if speech is None:
            return
        unacknowledged = queue.unacknowledged()
        if unacknowledged is None:
            return
        late = delivery.look(at_ns, unacknowledged, queue.acknowledged)
        if late is not None:
            voice.delay(line, late)
        delivery.send(at_ns, int(secs * 1e9), speech, is_first=not speech.written_ns)

    async def write_audio_frame(frame: Any, *args: Any, **kwargs: Any) -> Any:
        # In a coroutine of its own: Pipecat may run the write in a new task, and the loop may be
        # blocked before that begins.
        frame_id = None
        try:
            if is_on() and not guard.off:
                line = (processor, frame.transport_destination)
                is_voice = isinstance(frame, _VOICE)
                at_ns, secs = now_ns(), audio_secs(frame)
                begin(frame.id, line, at_ns, secs, is_voice=is_voice)
                frame_id = frame.id
                if queue is not None:
                    deliver(line, at_ns, secs)
        except Exception as error:
            guard.failed(error)
        taken = None
        try:
            taken = await inner(frame, *args, **kwargs)
            return taken
        finally:
            if frame_id is not None:
                try:
                    end(frame_id, is_written=bool(taken))
                except Exception as error:
                    guard.failed(error)

    return write_audio_frame

"""Patches the inputs that take audio in, to record when each piece of the user's audio arrives.

``push_audio_frame`` is where all of Pipecat's inputs hand on what has come, before it waits in the
input's own queue. The patch takes the time, and returns the original's coroutine. While the user
speaks, the level of a piece is measured every 150 ms.
"""

import contextvars
import time
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
from loguru import logger

from pipecat_dd import _guard, _pipecat
from pipecat_dd.conversation.audio_source import AudioSource
from pipecat_dd.conversation.context import WorkContext, current
from pipecat_dd.conversation.conversation import Conversation
from pipecat_dd.conversation.missing_audio import MISSING_NS
from pipecat_dd.conversation.model import Processor, Role, Stage
from pipecat_dd.instrumentation.patches import Patches

PUSH_AUDIO_FRAME = "push_audio_frame"
"""The method of an input that takes a piece of audio in."""

CLIPPED_FROM = 32_000
"""From which level a 16-bit sample counts as being at full scale. Not quite the highest there is:
the telephone's codes end at 32,124."""

MISSING = (
    f"pipecat_dd: no audio has come in the {MISSING_NS // 1_000_000_000} seconds since the user "
    "joined, although the bot expects it. Their microphone may be off or blocked, or the transport "
    "may not receive it"
)

Method = Callable[..., Awaitable[Any]]


class UserAudioInstrumentation:
    """Patches the inputs of one session."""

    def __init__(
        self, conversation: Conversation, patches: Patches, is_on: Callable[[], bool]
    ) -> None:
        """Prepare to patch.

        Args:
            conversation: Gets what arrives.
            patches: Replaces the methods, and puts them back.
            is_on: Whether the session is recorded.
        """
        self._conversation = conversation
        self._audio = conversation.user_audio
        self._patches = patches
        self._is_on = is_on
        self._takes_in = False
        self._listens = False
        self._audio.missing.is_expected = self._is_expected
        self._audio.missing.report = self._report_missing

    def meet(self, instance: Any, processor: Processor) -> None:
        """Take note of a processor, and patch it if it is an input that takes audio in.

        Args:
            instance: Pipecat's processor.
            processor: Our record of it.
        """
        silence, role = self._conversation.silence, processor.role
        if role is Role.STT or (role is Role.LLM and _pipecat.is_realtime(instance)):
            self._listens = silence.has_audio = True
        elif role is Role.TTS:
            silence.has_audio = True
        elif role is Role.INPUT and _pipecat.takes_audio_in(instance):
            self._takes_in = self._takes_in or _pipecat.streams_on_start(instance)
            arriving = self._arriving(instance, getattr(instance, PUSH_AUDIO_FRAME))
            self._patches.patch(instance, PUSH_AUDIO_FRAME, arriving)

    def _arriving(self, instance: Any, inner: Method) -> Method:
        audio, is_on, now_ns = self._audio, self._is_on, time.monotonic_ns
        guard, by = _guard.instrumentation, id(instance)
        plain = _pipecat.frame_class("InputAudioRawFrame")
        naming = _pipecat.frame_class("UserAudioRawFrame")
        mixed, known = audio.source((by,), None), audio.sources.get

        def push_audio_frame(frame: Any, *args: Any, **kwargs: Any) -> Awaitable[Any]:
            try:
                if is_on() and frame.num_frames and frame.sample_rate:
                    kind, source = type(frame), None
                    if kind is plain:
                        source = mixed
                    elif kind is naming:
                        source = known((by, frame.user_id, frame.transport_source))
                    source = source or self._source(by, frame)
                    at_ns = now_ns()
                    source.arrive(at_ns, frame.num_frames * 1_000_000_000 // frame.sample_rate)
                    if audio.is_speaking and at_ns >= source.sample_ns:
                        measure(source, at_ns, frame.audio)
            except Exception as error:
                guard.failed(error)
            return inner(frame, *args, **kwargs)

        return push_audio_frame

    def _source(self, instance_id: int, frame: Any) -> AudioSource:
        """Return the source of a piece of audio that may name a participant."""
        name, source = _pipecat.audio_source(frame)
        key = (instance_id,) if name is None else (instance_id, name, source)
        return self._audio.source(key, name)

    # Audio that never comes

    def _is_expected(self) -> bool:
        conversation = self._conversation
        return self._takes_in and (self._listens or conversation.has_detector)

    def _report_missing(self, stage: Stage) -> None:
        """Write a line that no audio of a participant comes, in the event's stage."""

        def write() -> None:
            current.set(WorkContext(stage.session, bound=stage))
            logger.warning(MISSING)

        with _guard.instrumentation.guarded():
            contextvars.copy_context().run(write)


def measure(source: AudioSource, at_ns: int, audio: bytes) -> None:
    """Measure the level of a piece.

    Args:
        source: Where it came from.
        at_ns: When it arrived, on the monotonic clock.
        audio: 16-bit samples.
    """
    samples = np.frombuffer(audio, dtype="<i2", count=len(audio) // 2).astype(np.float32)
    clipped = int(np.count_nonzero(np.abs(samples) >= CLIPPED_FROM))
    source.add_level(at_ns, float(samples @ samples), clipped, len(samples))

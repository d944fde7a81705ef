"""What Pipecat's frames and contexts hold, where that is not plain to read."""

import inspect
import json
from typing import Any

from pipecat.frames import frames as _frames
from pipecat.processors.frame_processor import FrameDirection

DOWNSTREAM = FrameDirection.DOWNSTREAM
"""The way that frames go unless said otherwise."""


def frame_class(name: str) -> type | None:
    """Return a frame's class, or None where this version of Pipecat has none of that name.

    Args:
        name: The class's name in ``pipecat.frames.frames``.
    """
    found = getattr(_frames, name, None)
    return found if isinstance(found, type) else None


def naming_attribute(kind: type) -> str | None:
    """Return the attribute by which frames of a class name a participant, if they do.

    Only what Pipecat's own classes define counts: what a user's class calls ``user_id`` need
    not be a participant of the room.

    Args:
        kind: The frame's class.
    """
    for base in kind.__mro__:
        if base.__module__.partition(".")[0] == "pipecat":
            for name in ("user_id", "participant_id"):
                if name in inspect.get_annotations(base):
                    return name
    return "transport_source" if issubclass(kind, _RAW_INPUT) else None


_RAW_INPUT = tuple(
    found
    for name in ("InputAudioRawFrame", "InputImageRawFrame", "InputTextRawFrame")
    if (found := frame_class(name)) is not None
)


_WORDS = tuple(
    found
    for name in ("TranscriptionFrame", "InterimTranscriptionFrame")
    if (found := frame_class(name)) is not None
)


def is_words(frame: Any) -> bool:
    """Whether a frame is a transcription of the user's speech, final or not."""
    return isinstance(frame, _WORDS)


_ASIDES = tuple(
    found for name in ("BotBackchannelFrame",) if (found := frame_class(name)) is not None
)


def is_aside(frame: Any) -> bool:
    """Whether a frame has the bot say a backchannel ("mm-hm"), which is no answer."""
    return isinstance(frame, _ASIDES)


def context_counts(frame: Any) -> tuple[int | None, int | None]:
    """Return how many messages and tools a model is given.

    Args:
        frame: An ``LLMContextFrame``.
    """
    context = getattr(frame, "context", None)
    messages = tools = None
    try:
        messages = len(context.get_messages())  # type: ignore[union-attr]
    except Exception:
        messages = None
    try:
        schema = context.tools  # type: ignore[union-attr]
        tools = len(getattr(schema, "standard_tools", schema) or ())
    except Exception:
        tools = None
    return messages, tools


def context_text(frame: Any, max_chars: int) -> str:
    """Return the messages that a model is given, as JSON, at least as far as is asked for.

    A long conversation's messages, or a picture among them, would take the event loop many
    milliseconds to write down whole.

    Args:
        frame: An ``LLMContextFrame``.
        max_chars: How much of it is of use.
    """
    try:
        written, separator = "", "["
        for message in frame.context.get_messages():
            short = _shortened(message, max_chars)
            written += separator + json.dumps(short, ensure_ascii=False, default=str)
            if len(written) >= max_chars:
                return written
            separator = ", "
        return f"{written}]" if written else "[]"
    except Exception:
        return ""


def _shortened(value: Any, max_chars: int) -> Any:
    """Cut every text in a message to what could be of use of it."""
    if isinstance(value, str):
        return value[:max_chars]
    if isinstance(value, dict):
        return {key: _shortened(part, max_chars) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_shortened(part, max_chars) for part in value]
    return value

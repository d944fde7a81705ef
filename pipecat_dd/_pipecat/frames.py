"""Reads Pipecat's frames and contexts, where that takes more than an attribute."""

import inspect
import json
from typing import Any

from pipecat.frames import frames as _frames
from pipecat.processors.frame_processor import FrameDirection

from pipecat_dd._private import peek

DOWNSTREAM = FrameDirection.DOWNSTREAM
"""The default direction of frames."""


def frame_class(name: str) -> type | None:
    """Return a frame's class, or None if this version of Pipecat has none of that name.

    Args:
        name: The class's name in ``pipecat.frames.frames``.
    """
    found = getattr(_frames, name, None)
    return found if isinstance(found, type) else None


def naming_attribute(kind: type) -> str | None:
    """Return the attribute of a class of frames that names a participant; None if there is none.

    Only the attributes of Pipecat's own classes count: ``user_id`` in a user's class need not be a
    participant of the room.

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
    """Whether a frame makes the bot say a backchannel ("mm-hm"), which is not a response."""
    return isinstance(frame, _ASIDES)


def is_kept(frame: Any) -> bool:
    """Whether a frame survives an interruption: what it holds is spoken to its end."""
    return getattr(frame, "interruptible", True) is False


def context_counts(held: Any) -> tuple[int | None, int | None]:
    """Return how many messages and tools a model gets; None if unknown.

    Args:
        held: A context, or an ``LLMContextFrame`` that holds one.
    """
    context = getattr(held, "context", held)
    messages = tools = None
    try:
        messages = len(context.get_messages())
    except Exception:
        messages = None
    try:
        schema = context.tools
        tools = len(getattr(schema, "standard_tools", schema) or ())
    except Exception:
        tools = None
    return messages, tools


def context_text(held: Any, max_chars: int) -> str:
    """Return the beginning of the messages that a model gets, as JSON.

    Serializing all messages of a long conversation, or an image among them, would block the event
    loop for many milliseconds.

    Args:
        held: A context, or an ``LLMContextFrame`` that holds one.
        max_chars: How many characters are needed; the result may be longer.
    """
    try:
        written, separator = "", "["
        for message in getattr(held, "context", held).get_messages():
            short = _shortened(message, max_chars)
            written += separator + json.dumps(short, ensure_ascii=False, default=str)
            if len(written) >= max_chars:
                return written
            separator = ", "
        return f"{written}]" if written else "[]"
    except Exception:
        return ""


def _shortened(value: Any, max_chars: int) -> Any:
    """Cut each text in a message to the given length."""
    if isinstance(value, str):
        return value[:max_chars]
    if isinstance(value, dict):
        return {key: _shortened(part, max_chars) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_shortened(part, max_chars) for part in value]
    return value


def audio_secs(frame: Any) -> float:
    """Return the duration in seconds of a frame's 16-bit audio."""
    samples = len(frame.audio) / (2 * max(1, frame.num_channels))
    return float(samples / max(1, frame.sample_rate))


def audio_source(frame: Any) -> tuple[str | None, str | None]:
    """Return whose audio a frame holds, and which of their sources it is; None if not named."""
    name, source = getattr(frame, "user_id", None), getattr(frame, "transport_source", None)
    return (
        name if isinstance(name, str) and name else None,
        source if isinstance(source, str) else None,
    )


_MARKERS = frozenset("●◐○✓")
"""What a model writes to classify the user's turn; before Pipecat 1.8 it comes as text."""


def is_marker(text: str) -> bool:
    """Whether a model's text only marks whether the user has finished speaking."""
    return text.strip() in _MARKERS


def skips_voice(service: Any, frame: Any) -> bool:
    """Whether a model's text is meant to be read and not spoken.

    Args:
        service: The service that pushes the text; it marks the frame only while pushing it.
        frame: The frame that holds the text.
    """
    return bool(getattr(frame, "skip_tts", None) or peek(service, "_skip_tts"))


def asks_model(frame: Any) -> bool | None:
    """Whether a frame asks the model to respond; None if the frame does not decide it.

    Args:
        frame: One that changes the context: a tool's result, messages, or a plain request.
    """
    properties = getattr(frame, "properties", None)
    wanted = getattr(properties, "run_llm", None)
    if wanted is None:
        wanted = getattr(frame, "run_llm", None)
    if hasattr(frame, "result") and not frame.result:
        return False  # the aggregator does not ask the model to respond to an empty result
    return None if wanted is None else bool(wanted)


def spoken_join(service: Any, before: str, text: str) -> str:
    """Return a text, with a space before it if one is needed after the text before.

    Args:
        service: The TTS service, which gets sentences, or tokens with their own spaces.
        before: The text spoken before.
        text: The text that follows.
    """
    mode = peek(service, "_text_aggregation_mode")
    if str(getattr(mode, "value", mode)) == "token" or not before or not text:
        return text
    if before[-1].isspace() or text[0].isspace() or _is_unspaced(before[-1]):
        return text
    return f" {text}"


def _is_unspaced(character: str) -> bool:
    """Whether no space follows a sentence that ends in this character."""
    return "\u3000" <= character <= "\u9fff" or "\uff00" <= character <= "\uffef"

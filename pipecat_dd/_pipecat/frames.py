"""What Pipecat's frames and contexts hold, where that is not plain to read."""

import inspect
import json
from typing import Any

from pipecat.frames import frames as _frames
from pipecat.processors.frame_processor import FrameDirection

from pipecat_dd._private import peek

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


def context_counts(held: Any) -> tuple[int | None, int | None]:
    """Return how many messages and tools a model is given.

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
    """Return the messages that a model is given, as JSON, at least as far as is asked for.

    A long conversation's messages, or a picture among them, would take the event loop many
    milliseconds to write down whole.

    Args:
        held: A context, or an ``LLMContextFrame`` that holds one.
        max_chars: How much of it is of use.
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
    """Cut every text in a message to what could be of use of it."""
    if isinstance(value, str):
        return value[:max_chars]
    if isinstance(value, dict):
        return {key: _shortened(part, max_chars) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_shortened(part, max_chars) for part in value]
    return value


def audio_secs(frame: Any) -> float:
    """Return how long the audio of a frame plays, in seconds.

    Args:
        frame: A frame of 16-bit audio.
    """
    samples = len(frame.audio) / (2 * max(1, frame.num_channels))
    return float(samples / max(1, frame.sample_rate))


_MARKERS = frozenset("●◐○✓")
"""What a model says of the user's turn, rather than to the user. Before Pipecat 1.8 it is text."""


def is_marker(text: str) -> bool:
    """Whether a text only says whether the user has finished, and is not for them.

    Args:
        text: The text of an LLM's frame.
    """
    return text.strip() in _MARKERS


def skips_voice(service: Any, frame: Any) -> bool:
    """Whether a model's text is only to be read.

    Args:
        service: The service that pushes it. It marks its text only as it passes that on.
        frame: The frame that holds the text.
    """
    return bool(getattr(frame, "skip_tts", None) or peek(service, "_skip_tts"))


def asks_model(frame: Any) -> bool | None:
    """Whether the model is asked to respond to what a frame brings; None where that depends.

    Args:
        frame: One that changes the context: a tool's result, messages, or a plain request.
    """
    properties = getattr(frame, "properties", None)
    wanted = getattr(properties, "run_llm", None)
    if wanted is None:
        wanted = getattr(frame, "run_llm", None)
    if hasattr(frame, "result") and not frame.result:
        return False  # the aggregator takes it to be nothing to talk about
    return None if wanted is None else bool(wanted)


def spoken_join(service: Any, before: str, text: str) -> str:
    """Return a text as it goes on from what is spoken before it.

    Args:
        service: The TTS service, which is given sentences, or tokens with their own spaces.
        before: What is spoken before.
        text: What follows.
    """
    mode = peek(service, "_text_aggregation_mode")
    if str(getattr(mode, "value", mode)) == "token" or not before or not text:
        return text
    if before[-1].isspace() or text[0].isspace() or _is_unspaced(before[-1]):
        return text
    return f" {text}"


def _is_unspaced(character: str) -> bool:
    """Whether nothing is put between a sentence that ends in this and the next."""
    return "\u3000" <= character <= "\u9fff" or "\uff00" <= character <= "\uffef"

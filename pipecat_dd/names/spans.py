"""The spans of a conversation: what each is called, when it opens and when it closes."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

PREFIX: Final = "pipecat."
"""The prefix of every span's name."""


class Kind(StrEnum):
    """The kinds of stages. The name of a stage's span is ``pipecat.`` and the kind's value."""

    SESSION = "session"
    STARTUP = "startup"
    PARTICIPANT = "participant"
    PARTICIPANT_EVENT = "participant.event"
    TURN = "turn"
    USER_SPEECH = "user_speech"
    STT = "stt"
    END_OF_TURN = "end_of_turn"
    LLM = "llm"
    TOOL = "tool"
    TTS = "tts"
    BOT_SPEECH = "bot_speech"
    FRAME = "frame"
    SERVICE_EVENT = "service.event"
    BLOCKED = "blocked"


def span_name(kind: Kind) -> str:
    """Return the name of the span of a kind of stage."""
    return f"{PREFIX}{kind}"


@dataclass(frozen=True, slots=True)
class SpanDoc:
    """A span: what its resource is, when it opens and when it closes."""

    kind: Kind
    resource: str
    opens: str
    closes: str


SPANS: Final = (
    SpanDoc(Kind.SESSION, "the bot's name", "the pipeline is set up", "the pipeline is cleaned up"),
    SpanDoc(
        Kind.STARTUP,
        "processor class; `pipeline` for the whole pipeline",
        "its `setup()` begins",
        "its `setup()` returns; for the whole pipeline, the StartFrame has passed through it",
    ),
    SpanDoc(
        Kind.PARTICIPANT,
        "transport class",
        "the participant joins or connects, or was there before the bot",
        "the participant leaves or disconnects, or the session ends",
    ),
    SpanDoc(
        Kind.PARTICIPANT_EVENT,
        "the transport's event name",
        "the event is dispatched",
        "its last handler returns; if the span stands for several events, the last one comes",
    ),
    SpanDoc(
        Kind.TURN,
        "`user` or `bot`: who began it",
        "the user begins to speak, or the bot begins to respond unasked",
        "the bot falls silent and nothing is in progress, the user begins the next turn, or the "
        "session ends",
    ),
    SpanDoc(
        Kind.USER_SPEECH,
        "class of the voice activity detector, or of the service that detected the speech",
        "speech begins",
        "speech ends",
    ),
    SpanDoc(
        Kind.STT,
        "service class and model",
        "speech begins",
        "its last final transcription comes",
    ),
    SpanDoc(
        Kind.END_OF_TURN,
        "strategy class, if it is known",
        "speech ends",
        "the ruling that the user's turn has ended",
    ),
    SpanDoc(
        Kind.LLM,
        "service class and model",
        "the service begins on a context, or announces a response of its own",
        "the response ends, fails or is interrupted",
    ),
    SpanDoc(
        Kind.TOOL,
        "the function's name",
        "the call begins",
        "the call completes, fails, times out or is cancelled",
    ),
    SpanDoc(
        Kind.TTS,
        "service class and model",
        "the service gets the first text",
        "synthesis stops, fails or is interrupted",
    ),
    SpanDoc(
        Kind.BOT_SPEECH,
        "`bot`",
        "the first audio is played",
        "the last audio has been written, or the user cuts in",
    ),
    SpanDoc(
        Kind.FRAME,
        "`<processor class> <frame class>`",
        "`process_frame` begins; for a run of frames, with the first",
        "it returns, raises or is cancelled; for a run of frames, with the last",
    ),
    SpanDoc(
        Kind.SERVICE_EVENT,
        "the event's name",
        "the event is dispatched",
        "its last handler returns; at once if it has none",
    ),
    SpanDoc(
        Kind.BLOCKED,
        "the place that blocked the event loop, `module.function`",
        "the event loop stops",
        "it goes on",
    ),
)

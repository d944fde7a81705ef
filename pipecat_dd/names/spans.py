"""The spans of a conversation: what each is called, when it opens and when it closes."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

PREFIX: Final = "pipecat."
"""What the name of every span begins with."""


class Kind(StrEnum):
    """The kinds of stages. ``pipecat.`` before the value is the name of the stage's span."""

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
    SpanDoc(Kind.SESSION, "the bot's name", "the pipeline is set up", "it is cleaned up"),
    SpanDoc(
        Kind.STARTUP,
        "processor class; `pipeline` for the whole",
        "its `setup()` began",
        "its `setup()` returned; for the whole, the StartFrame has passed through all of it",
    ),
    SpanDoc(
        Kind.PARTICIPANT,
        "transport class",
        "somebody joined or connected, or was there before the bot",
        "they left or disconnected, or the session ended",
    ),
    SpanDoc(
        Kind.PARTICIPANT_EVENT,
        "the transport's event name",
        "the event is dispatched",
        "the last handler of it returned; of several taken together, the last came",
    ),
    SpanDoc(
        Kind.TURN,
        "`user` or `bot`: who began it",
        "the user starts speaking, or the bot starts responding unasked",
        "the bot fell silent with nothing under way, the user began the next, or the session ended",
    ),
    SpanDoc(
        Kind.USER_SPEECH,
        "the class of the voice activity detector, or of the service that heard it where no "
        "detector did",
        "speech began",
        "speech ended",
    ),
    SpanDoc(
        Kind.STT, "service class and model", "speech began", "the last final transcription of it"
    ),
    SpanDoc(
        Kind.END_OF_TURN,
        "the strategy's class, where one is known",
        "speech ended",
        "it was ruled that the user's turn had ended",
    ),
    SpanDoc(
        Kind.LLM,
        "service class and model",
        "the service begins on a context, or announces a response of its own",
        "the response ended, failed or was interrupted",
    ),
    SpanDoc(
        Kind.TOOL,
        "the function's name",
        "the call is in progress",
        "it completed, failed, timed out or was cancelled",
    ),
    SpanDoc(
        Kind.TTS,
        "service class and model",
        "the first text was handed to synthesis",
        "synthesis stopped, failed or was interrupted",
    ),
    SpanDoc(
        Kind.BOT_SPEECH,
        "`bot`",
        "the bot is heard",
        "the last audio was written, or the user cut in",
    ),
    SpanDoc(
        Kind.FRAME,
        "`<processor class> <frame class>`",
        "`process_frame` begins; for a run of frames, with the first",
        "it returns, raises or is cancelled; for a run, with the last",
    ),
    SpanDoc(
        Kind.SERVICE_EVENT,
        "the event's name",
        "the event is dispatched",
        "its last handler returned; at once, where it has no handlers",
    ),
    SpanDoc(
        Kind.BLOCKED,
        "the place that blocked the event loop, `module.function`",
        "the event loop stopped turning",
        "it turned again",
    ),
)
